"""A request as the handlers see it, and what they answer with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from systems_common.blobs import Content

from messaging.errors import MatrixError, bad_json, invalid_param, missing_param, too_large
from messaging.sessions import Session

__all__ = [
    "BODY_BYTES_MAX",
    "EMPTY",
    "Receive",
    "Reply",
    "Request",
    "Send",
    "reply_json",
    "send_reply",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
T = TypeVar("T")

BODY_BYTES_MAX = 1024 * 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_HEADERS = [
    (b"content-type", b"application/json"),
    # The specification wants these on everything: clients run in browsers, from other origins.
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"X-Requested-With, Content-Type, Authorization"),
]


class Reply(msgspec.Struct, frozen=True):
    """What a handler answers: encoded JSON unless `headers` say otherwise."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content: Content | None = None
    """Goes out instead of the body, part by part."""


EMPTY = Reply(b"{}")


def reply_json(content: Any, status: int = 200) -> Reply:
    """Encode the answer."""
    return Reply(_encode(content), status)


class Request:
    """One request. `args` are the parameters of its path, decoded."""

    __slots__ = ("_body", "_query", "_receive", "_session", "args", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, args: list[str], session: Session | None
    ) -> None:
        self.scope = scope
        self.args = args
        self._receive = receive
        self._session = session
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    @property
    def session(self) -> Session:
        """Who asks. Only handlers that were registered as public lack one."""
        if self._session is None:
            raise MatrixError(401, "M_MISSING_TOKEN", "Missing access token")
        return self._session

    @property
    def maybe_session(self) -> Session | None:
        """Who asks, where anybody may."""
        return self._session

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of one that is given twice, the last."""
        if self._query is None:
            self._query = query_of(self.scope)
        return self._query

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
        """A whole number of the query, brought between `least` and `most`."""
        text = self.query.get(name)
        if text is None:
            return default
        try:
            return min(most, max(least, int(text)))
        except ValueError:
            raise invalid_param(f"{name}: expected a whole number") from None

    def header(self, wanted: bytes) -> str | None:
        """A header of the request, named in lower case."""
        for name, value in self.scope["headers"]:
            if name == wanted:
                return bytes(value).decode("latin-1")
        return None

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises `MatrixError` when it ends too early."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise MatrixError(400, "M_UNKNOWN", "The body ended too early.")
            more = message.get("more_body", False)
            if part := message.get("body", b""):
                yield part

    async def body(self, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        """The whole body. Raises `MatrixError` when it is too large."""
        if self._body is None:
            message = await self._receive()
            chunk: bytes = message.get("body", b"")
            if message.get("more_body", False):
                parts = [chunk]
                size = len(chunk)
                while message.get("more_body", False) and size <= bytes_max:
                    message = await self._receive()
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                chunk = b"".join(parts)
            if len(chunk) > bytes_max:
                raise too_large(f"The body is larger than {bytes_max} bytes.")
            self._body = chunk
        return self._body

    async def object(self, *, optional: bool = False) -> dict[str, Any]:
        """The body as a JSON object; with `optional` none at all is an empty one."""
        return parse_object(await self.body(), optional=optional)

    async def read(self, kind: type[T], *, optional: bool = False) -> T:
        """The body as a struct; what it does not name is ignored."""
        body = await self.body()
        parsed = parse_object(body, optional=optional)
        try:
            return msgspec.convert(parsed, kind)
        except msgspec.ValidationError as error:
            if "missing required field" in str(error):
                raise missing_param(str(error)) from None
            raise bad_json(str(error)) from None


def parse_object(body: bytes, *, optional: bool = False) -> dict[str, Any]:
    """A JSON object. Raises M_NOT_JSON or M_BAD_JSON."""
    if optional and not body:
        return {}
    try:
        parsed = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise MatrixError(400, "M_NOT_JSON", "The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise bad_json("Expected a JSON object.")
    return parsed


def query_of(scope: Scope) -> dict[str, str]:
    """The query parameters of a request."""
    raw: bytes = scope["query_string"]
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        raise invalid_param("The query string is not one.") from None
    for _, value in pairs:
        if "\0" in value or "�" in value:
            raise invalid_param("expected UTF-8 without NUL in the query")
    return dict(pairs)


async def send_reply(send: Send, reply: Reply, *, head: bool = False) -> None:
    """Send an answer; of one to HEAD, only what stands before a file."""
    body, content = reply.body, reply.content
    size = len(body) if content is None else content.size
    headers = [*_HEADERS, (b"content-length", b"%d" % size)]
    if reply.headers:
        named = {name for name, _ in reply.headers}
        headers = [*(h for h in headers if h[0] not in named), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if content is not None:
        async with contextlib.aclosing(content.parts) as parts:
            if not head:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": body})
