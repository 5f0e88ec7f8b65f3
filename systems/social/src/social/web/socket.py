"""Streams over a WebSocket: one connection, any number of streams, opened and closed by messages.

`{"type": "subscribe", "stream": "hashtag", "tag": "python"}`, or `unsubscribe`. What happens comes
as `{"stream": ["hashtag", "python"], "event": "update", "payload": "…"}`, where the payload is JSON
once more, as a text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from systems_common.database import DatabaseUnavailableError

from social.errors import ApiError, unavailable
from social.live.connections import Connection
from social.live.hub import Hub
from social.live.streams import Stream, stream_of
from social.tokens import Token

__all__ = ["STREAMING", "deny", "talk", "token_of"]

log = logging.getLogger(__name__)

STREAMING = "/api/v1/streaming"

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_MESSAGE_MAX = 4_096
_STUCK_S = 5.0
_CLOSE_TIMEOUT_S = 1.0
# A peer that vanished without a word is never noticed where nothing is sent.
_SILENT_S = 3600.0
# RFC 6455: who closes goes away; the policy was broken; too much was sent.
_GOING_AWAY, _POLICY, _TOO_BIG = 1001, 1008, 1009


class _Command(msgspec.Struct):
    """What a client says."""

    type: str = ""
    stream: str = ""
    tag: str = ""
    list: str | int = ""


_decode = msgspec.json.Decoder(_Command).decode
_encode_json = msgspec.json.Encoder().encode


def token_of(scope: Any) -> str | None:
    """The token of a stream where it is not in the header: in the query, or as a subprotocol, which
    is all that a browser can set.
    """
    query: bytes = scope["query_string"]
    given = parse_qs(query.decode("latin-1")).get("access_token")
    if given:
        return given[0]
    subprotocols: list[str] = scope.get("subprotocols") or []
    return subprotocols[0] if subprotocols else None


async def deny(send: Send, error: ApiError) -> None:
    """Answer the handshake with an error instead."""
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    headers += [(name.lower().encode(), text.encode()) for name, text in error.headers.items()]
    await send(
        {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": error.body()})


async def talk(hub: Hub, token: Token, scope: Any, receive: Receive, send: Send) -> None:
    """Take the connection and show what it asks for until it goes, or must go.

    Raises an `ApiError`, before the connection is taken, when it cannot be.
    """
    connection = Connection(token, _encode)
    hub.attach(connection)
    try:
        query = {
            name: values[0]
            for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
        }
        if query.get("stream"):
            found = stream_of(
                query["stream"], tag=query.get("tag", ""), list_id=query.get("list", "")
            )
            await hub.watch(connection, found)
        subprotocols = scope.get("subprotocols") or ()
        await receive()
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": subprotocols[0] if subprotocols else None,
            }
        )
        hearing = asyncio.create_task(_hear(hub, connection, receive))
        sending = asyncio.create_task(_send(connection, send))
        try:
            await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, sending):
                task.cancel()
            for result in await asyncio.gather(hearing, sending, return_exceptions=True):
                if isinstance(result, Exception):
                    _ended(result)
        # Not before the server has given up receiving: it closes only then.
        if sending.done() and connection.outbox.ended:
            await _close(connection.outbox.ended, send)
    finally:
        hub.detach(connection)


def _ended(error: Exception) -> None:
    # The server raises what it likes when a client has gone.
    expected = isinstance(error, OSError | RuntimeError)
    log.log(
        logging.INFO if expected else logging.ERROR,
        "a WebSocket ended",
        exc_info=None if expected else error,
        extra={"error": str(error) or repr(error)},
    )


async def _hear(hub: Hub, connection: Connection, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text") or message.get("bytes") or ""
        if len(text) > _MESSAGE_MAX:
            connection.outbox.end("its message is too long")
            continue
        try:
            command = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            _complain(connection, ApiError(400, "Expected a JSON object with type and stream"))
            continue
        await _obey(hub, connection, command)


async def _obey(hub: Hub, connection: Connection, command: _Command) -> None:
    try:
        stream = stream_of(command.stream, tag=command.tag, list_id=str(command.list))
        if command.type == "subscribe":
            await hub.watch(connection, stream)
        elif command.type == "unsubscribe":
            hub.unwatch(connection, stream)
        else:
            raise ApiError(400, "Expected the type subscribe or unsubscribe")
    except ApiError as error:
        _complain(connection, error)
    except DatabaseUnavailableError:
        _complain(connection, unavailable())


def _complain(connection: Connection, error: ApiError) -> None:
    connection.outbox.give(_encode_json({"error": error.error, "status": error.status}))


async def _send(connection: Connection, send: Send) -> None:
    outbox = connection.outbox
    try:
        while (taken := await outbox.take(_SILENT_S)) is not None:
            if not taken:
                outbox.end("nothing happened for an hour")
            for message in taken:
                async with asyncio.timeout(_STUCK_S):
                    await send({"type": "websocket.send", "text": message.decode()})
    except TimeoutError:
        log.warning("a reader of live events takes nothing and is left")
        outbox.end("it is too slow")


async def _close(reason: str, send: Send) -> None:
    code = {"it is too slow": _POLICY, "its message is too long": _TOO_BIG}.get(reason, _GOING_AWAY)
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await send({"type": "websocket.close", "code": code, "reason": reason})
    except (TimeoutError, OSError, RuntimeError) as error:
        log.info("a WebSocket is left as it is", extra={"error": str(error) or repr(error)})


def _encode(stream: Stream, event: str, payload: bytes) -> bytes:
    said: dict[str, Any] = {"stream": stream.labels, "event": event}
    if payload:
        said["payload"] = payload.decode()
    return _encode_json(said)
