"""A WebSocket that pushes what /sync would return: an extension, with the same tokens.

Each frame is an answer of /sync. The client names the `next_batch` of what it has taken; as long as
too much is not named nothing is sent, and who names nothing for long is dropped. So a process
holds at most one answer for a slow client, and loses nothing by dropping it: the client goes on,
here or by polls, from the token it has (DECISIONS 14).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any

from systems_common.batching import OverloadedError
from systems_common.database import DatabaseUnavailableError

from messaging.api_sync import Asked, asked_of
from messaging.errors import MatrixError, bad_json, invalid_param, unrecognized
from messaging.http import Receive, Send, parse_object, query_of
from messaging.service import Service
from messaging.sessions import Session

__all__ = ["PATH", "serve_gateway"]

log = logging.getLogger(__name__)

PATH = "/_matrix/client/unstable/org.loadpath.gateway/sync"
WINDOW = 16
"""How many answers the client may have without having named them."""
_HEARTBEAT_S = 30.0
_RETRY_S = 1.0
_CLOSE_TIMEOUT_S = 1.0
# Close codes from 4000 on are an application's own: the status of the error is added to it.
_ERRORS, _SLOW, _RESTARTING, _FAILED = 4000, 4408, 1012, 1011


class _ClosedError(Exception):
    """The connection ends. `code` None: it has ended already."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve_gateway(
    service: Service, scope: Any, receive: Receive, send: Send, token: str | None
) -> None:
    """One connection, from its beginning to its end."""
    await receive()
    task = asyncio.current_task()
    assert task is not None
    service.gateways.add(task)
    task.add_done_callback(service.gateways.discard)
    try:
        await send({"type": "websocket.accept"})
        closed = await _talk(service, scope, receive, send, token)
        if closed.code is not None:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                last = {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
                await send(last)
    except (RuntimeError, TimeoutError) as error:
        # How the server says that the client has gone.
        log.debug("a connection was gone", extra={"error": repr(error)})


async def _talk(
    service: Service, scope: Any, receive: Receive, send: Send, token: str | None
) -> _ClosedError:
    try:
        if scope["path"] != PATH:
            raise unrecognized()
        if token is None:
            raise MatrixError(401, "M_MISSING_TOKEN", "Missing access token")
        session = await service.sessions.find(token)
        asked = await asked_of(service, session, query_of(scope))
        connection = _Connection(service, token, asked, receive, send)
        async with asyncio.TaskGroup() as both:
            both.create_task(connection.listen())
            both.create_task(connection.push(session))
    except MatrixError as error:
        return await _refused(send, error)
    except DatabaseUnavailableError:
        return _ClosedError(_RESTARTING, "try again")
    except ExceptionGroup as group:
        causes = group.exceptions
        for cause in causes:
            if isinstance(cause, _ClosedError):
                return cause
        for cause in causes:
            if isinstance(cause, MatrixError):
                return await _refused(send, cause)
        if all(isinstance(cause, RuntimeError | TimeoutError) for cause in causes):
            raise causes[0] from None
        log.exception("a gateway connection failed")
        return _ClosedError(_FAILED, "the service failed")
    raise AssertionError("neither half of a connection ends without saying why")


async def _refused(send: Send, error: MatrixError) -> _ClosedError:
    """Say what is wrong, as an answer of the API would."""
    async with asyncio.timeout(_CLOSE_TIMEOUT_S):
        await send({"type": "websocket.send", "text": error.body().decode()})
    return _ClosedError(_ERRORS + error.status, error.code)


class _Connection:
    """The two halves of a connection; each ends by raising."""

    def __init__(
        self, service: Service, token: str, asked: Asked, receive: Receive, send: Send
    ) -> None:
        self._service = service
        self._token = token
        self._asked = asked
        self._receive = receive
        self._send = send
        self._slow_s = service.settings.gateway_slow_s
        self._untaken: deque[tuple[str, int]] = deque()
        self._taken = asyncio.Event()

    async def listen(self) -> None:
        """Take what the client says: the token of what it has taken."""
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                raise _ClosedError(None)
            text = message.get("text")
            if not isinstance(text, str):
                raise bad_json("Expected text frames.")
            named = parse_object(text.encode()).get("ack")
            tokens = [token for token, _ in self._untaken]
            if named not in tokens:
                raise invalid_param("ack: expected the next_batch of an answer that was sent")
            to_device = 0
            for _ in range(tokens.index(named) + 1):
                _, to_device = self._untaken.popleft()
            self._taken.set()
            session = await self._service.sessions.find(self._token)
            with contextlib.suppress(DatabaseUnavailableError):
                # They are deleted with the next one that is named.
                await self._service.sync.acknowledge(session, to_device)

    async def push(self, session: Session) -> None:
        """Send what is new, whenever there is something."""
        service, asked = self._service, self._asked
        since, full_state = asked.since, asked.full_state
        while True:
            service.presence.polled(session, asked.presence, _HEARTBEAT_S)
            try:
                body, position = await service.sync.answer(
                    session,
                    since,
                    asked.wanted,
                    timeout_s=_HEARTBEAT_S,
                    full_state=full_state,
                    acknowledges=False,
                )
                # Who was signed out meanwhile is told nothing more.
                session = await service.sessions.find(self._token)
            except (DatabaseUnavailableError, OverloadedError):
                await asyncio.sleep(_RETRY_S)
                continue
            if service.sync.is_closed:
                raise _ClosedError(_RESTARTING, "try again")
            since, full_state = position, False
            await self._send_answer(body, position.token, position.to_device)

    async def _send_answer(self, body: bytes, token: str, to_device: int) -> None:
        try:
            async with asyncio.timeout(self._slow_s):
                while len(self._untaken) >= WINDOW:
                    self._taken.clear()
                    await self._taken.wait()
                self._untaken.append((token, to_device))
                await self._send({"type": "websocket.send", "text": body.decode()})
        except TimeoutError:
            raise _ClosedError(_SLOW, "too slow") from None
