"""Streams as server-sent events; over a WebSocket they are spoken in web/socket.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from systems_common.event_stream import EventStream

from social.errors import invalid, unauthorized
from social.live.connections import Connection
from social.live.hub import Hub
from social.live.streams import Stream, stream_of
from social.web.routing import Answer, Call, Empty, Endpoints
from social.web.socket import STREAMING

__all__ = ["endpoints"]

endpoints = Endpoints()

_STILL_THERE_S = 15.0


class PublicStream(msgspec.Struct, frozen=True, kw_only=True):
    """Only statuses with media?"""

    only_media: bool = False


class TagStream(msgspec.Struct, frozen=True, kw_only=True):
    """Which hashtag."""

    tag: str = ""


class ListStream(msgspec.Struct, frozen=True, kw_only=True):
    """Which list."""

    list: str = ""


class AnyStream(msgspec.Struct, frozen=True, kw_only=True):
    """Which stream, and which hashtag or list where it takes one."""

    stream: str = ""
    tag: str = ""
    list: str = ""


class _Events:
    """The events of a connection as bytes, until it ends."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b":)\n\n"
        while (taken := await self._connection.outbox.take(_STILL_THERE_S)) is not None:
            yield b"".join(taken) or b":thump\n\n"

    async def aclose(self) -> None:
        self._hub.detach(self._connection)


def _encode(stream: Stream, event: str, payload: bytes) -> bytes:
    # Browsers leave out what has no data; `undefined` is what Mastodon says.
    return b"event: %b\ndata: %b\n\n" % (event.encode(), payload or b"undefined")


async def _open(call: Call, stream: Stream) -> EventStream:
    token = call.token
    if token is None or token.account_id is None:
        raise unauthorized()
    hub = call.service.hub
    connection = Connection(token, _encode)
    hub.attach(connection)
    try:
        await hub.watch(connection, stream)
    except BaseException:
        hub.detach(connection)
        raise
    return EventStream(_Events(hub, connection))


@endpoints.add("GET", "/api/v1/streaming/health", Empty, who="anyone", media_types=("text/plain",))
async def healthy(call: Call, _: Empty) -> Answer:
    """Whether streams are spoken here."""
    return Answer(b"OK", content_type="text/plain; charset=utf-8")


@endpoints.add("GET", STREAMING, AnyStream, who="user")
async def any_stream(call: Call, asked: AnyStream) -> EventStream:
    """A stream by its name; with a WebSocket handshake, any number of them."""
    if not asked.stream:
        raise invalid("Expected the name of a stream")
    return await _open(call, stream_of(asked.stream, tag=asked.tag, list_id=asked.list))


@endpoints.add("GET", f"{STREAMING}/user", Empty, who="user", scope="read:statuses")
async def user(call: Call, _: Empty) -> EventStream:
    """One's home and notifications."""
    return await _open(call, stream_of("user"))


@endpoints.add(
    "GET", f"{STREAMING}/user/notification", Empty, who="user", scope="read:notifications"
)
async def notifications(call: Call, _: Empty) -> EventStream:
    """One's notifications."""
    return await _open(call, stream_of("user:notification"))


@endpoints.add("GET", f"{STREAMING}/direct", Empty, who="user", scope="read:statuses")
async def direct(call: Call, _: Empty) -> EventStream:
    """One's conversations."""
    return await _open(call, stream_of("direct"))


@endpoints.add("GET", f"{STREAMING}/public", PublicStream, who="user", scope="read:statuses")
async def public(call: Call, asked: PublicStream) -> EventStream:
    """The public timeline."""
    return await _open(call, stream_of("public:media" if asked.only_media else "public"))


@endpoints.add("GET", f"{STREAMING}/public/local", PublicStream, who="user", scope="read:statuses")
async def local(call: Call, asked: PublicStream) -> EventStream:
    """The public timeline; there is only one server."""
    name = "public:local:media" if asked.only_media else "public:local"
    return await _open(call, stream_of(name))


@endpoints.add("GET", f"{STREAMING}/public/remote", PublicStream, who="user", scope="read:statuses")
async def remote(call: Call, _: PublicStream) -> EventStream:
    """What other servers say: nothing, there are none."""
    return await _open(call, stream_of("public:remote"))


@endpoints.add("GET", f"{STREAMING}/hashtag", TagStream, who="user", scope="read:statuses")
async def hashtag(call: Call, asked: TagStream) -> EventStream:
    """Public statuses with a hashtag."""
    return await _open(call, stream_of("hashtag", tag=asked.tag))


@endpoints.add("GET", f"{STREAMING}/hashtag/local", TagStream, who="user", scope="read:statuses")
async def local_hashtag(call: Call, asked: TagStream) -> EventStream:
    """Public statuses with a hashtag; there is only one server."""
    return await _open(call, stream_of("hashtag:local", tag=asked.tag))


@endpoints.add("GET", f"{STREAMING}/list", ListStream, who="user", scope="read:lists")
async def of_list(call: Call, asked: ListStream) -> EventStream:
    """What the members of a list write and share."""
    return await _open(call, stream_of("list", list_id=asked.list))
