"""What a workload file imports: the words to write flows in.

A flow is a generator: it yields a `Request` and is sent the `Reply`. It does no IO, so it needs no
event loop and a test can run one without a network:

    @operation("POST /orders", weight=2)
    def order(state):
        reply = yield post("/orders", json={"item": state.key("item")})
        if reply.ok:
            state.acknowledge("order", id=reply.json()["id"])

    @still_holds("order")
    def can_be_read(order):
        reply = yield get(f"/orders/{order.id}")
        return reply.status == 200

What a crash loses or doubles is told, also of writes that were never answered, where each carries
a token, `state.attempt("order")`, and a function marked `@effects("order")` counts what is there.

Where it matters who asks, a login is run once for each identity (`[workload] identities = 100`),
before any load, and again when its requests are answered 401:

    @login
    def sign_in(identity):
        reply = yield post("/login", json={"user": f"user-{identity.number}"})
        identity.user_id = reply.json()["id"]
        return {"Authorization": f"Bearer {reply.json()['token']}"}

    @operation("GET /me")
    def me(state):
        yield get(f"/users/{state.identity.user_id}")

It may open WebSockets: `socket = yield connect("/rooms/7")`; then `send`, `expect`, `count` ….
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec

__all__ = [
    "Acknowledged",
    "Attempt",
    "Close",
    "Connect",
    "Count",
    "EffectsMark",
    "Expect",
    "Flow",
    "FlowMark",
    "HoldMark",
    "Identity",
    "LoginMark",
    "Mark",
    "Message",
    "Reply",
    "Request",
    "Send",
    "Socket",
    "SocketStep",
    "State",
    "close",
    "connect",
    "count",
    "delete",
    "effects",
    "expect",
    "get",
    "head",
    "login",
    "marks",
    "operation",
    "patch",
    "post",
    "put",
    "request",
    "send",
    "still_holds",
]


FOLLOW_MAX = 10
"""Redirects in a row that `follow=True` follows."""


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `headers` are added to Host and Content-Length, which the engine writes.

    `expect` are statuses of 400 and above that are no error for this request. `follow` is how many
    redirects in a row are followed, on the service alone; the flow is sent the reply to the last.
    `retries` is how often the same bytes are sent again when there is no reply, or one of 500 and
    above: after 0.1 s, 0.2 s, 0.4 s and so on, each spread by a half.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    expect: tuple[int, ...] = ()
    follow: int = 0
    retries: int = 0


class Reply:
    """What came back: the status, the body as received, and the raw header block (`head`)."""

    __slots__ = ("body", "head", "status")

    def __init__(self, status: int, body: bytes, head: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.head = head

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx or 3xx."""
        return 200 <= self.status < 400

    def json(self) -> Any:
        """The body, decoded. Raises `msgspec.DecodeError` when it is not JSON."""
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """The body as UTF-8, undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str | None:
        """The first header of that name (case does not matter), or None."""
        wanted = name.lower().encode("ascii")
        for line in self.head.split(b"\r\n")[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return None


class Socket(Reply):
    """A WebSocket: the reply to its handshake, `received` messages so far, and how it was closed.

    `close_code` is None while it is open; 1006 when its connection ended without a close frame.
    """

    __slots__ = ("close_code", "received")

    def __init__(self, status: int = 101, body: bytes = b"", head: bytes = b"") -> None:
        super().__init__(status, body, head)
        self.received = 0
        self.close_code: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the service agreed to speak WebSocket."""
        return self.status == 101


class Message:
    """One WebSocket message; `received_s`: when its last byte was read, on the monotonic clock."""

    __slots__ = ("binary", "data", "received_s")

    def __init__(self, data: bytes | str, received_s: float = 0.0) -> None:
        self.binary = isinstance(data, bytes)
        self.data = data.encode() if isinstance(data, str) else data
        self.received_s = received_s

    def json(self) -> Any:
        """The message, decoded. Raises `msgspec.DecodeError` when it is not JSON."""
        return msgspec.json.decode(self.data)

    @property
    def text(self) -> str:
        """The message as UTF-8, undecodable bytes replaced."""
        return self.data.decode("utf-8", "replace")


class Connect(msgspec.Struct, frozen=True):
    """Open a WebSocket; the flow is sent the `Socket`. `compress`: offer permessage-deflate."""

    request: Request
    subprotocols: tuple[str, ...] = ()
    compress: bool = False


class Send(msgspec.Struct, frozen=True):
    """Send a message; the flow is sent when it was written, on the monotonic clock."""

    socket: Socket
    data: bytes
    binary: bool = False


class Expect(msgspec.Struct, frozen=True):
    """Wait for a message; the flow is sent the `Message`."""

    socket: Socket
    accept: Callable[[Message], bool] | None = None
    timeout_s: float | None = None
    since: Callable[[Message], float] | None = None


class Count(msgspec.Struct, frozen=True):
    """Take what comes for so long; the flow is sent the number of messages."""

    sockets: tuple[Socket, ...]
    seconds: float


class Close(msgspec.Struct, frozen=True):
    """Close a WebSocket; the flow is sent the code of the other side."""

    socket: Socket
    code: int = 1000
    reason: str = ""


SocketStep: TypeAlias = Send | Expect | Count | Close


class Acknowledged:
    """Something the service said it did, with the fields the flow kept of it."""

    def __init__(
        self, kind: str, fields: Mapping[str, Any], identity: Identity | None = None
    ) -> None:
        self.kind = kind
        self.fields = dict(fields)
        self._identity = identity  # as whom its check asks
        self._token = ""  # of the attempt that it answered

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(
                f"{self.__dict__.get('kind', 'acknowledged')} has no field {name!r}"
            ) from None

    def __repr__(self) -> str:
        return f"Acknowledged({self.kind!r}, {self.fields!r})"


class Attempt(msgspec.Struct, frozen=True):
    """A write that was tried, whatever came of it. `acknowledged`: what the flow kept of it when
    the service said that it was done; None: it never said so."""

    kind: str
    token: str
    key: str = ""
    acknowledged: Acknowledged | None = None


class Identity:
    """One simulated user: its number, from 0, and what the login keeps in it as attributes."""

    number: int

    def __init__(self, number: int) -> None:
        self.number = number

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"identity {self.number} has no {name!r}: the login did not set it")

    def __repr__(self) -> str:  # what the login keeps may be secret
        return f"Identity({self.number})"


class State(Protocol):
    """What a flow knows and may leave for other flows: one for the whole run, shared by all."""

    rng: random.Random

    @property
    def identity(self) -> Identity:
        """Who does this flow, drawn by `[workload] identities`."""
        ...

    def key(self, key_set: str) -> str:
        """The next key of that key set, drawn from its distribution."""
        ...

    def unique(self, prefix: str = "") -> str:
        """A token that no other call of this run gets, and that another run gets again."""
        ...

    def fresh_url(self) -> str:
        """A web address that no other call of this run gets."""
        ...

    def attempt(self, kind: str, key: str = "") -> str:
        """A unique token for a write that is about to be tried; `effects(kind)` looks for it.

        It is done once this flow acknowledges one of that kind, refused when the flow ends with a
        reply of 4xx, and else it may have happened. `key`: what orders it, such as a room.
        """
        ...

    def acknowledge(self, kind: str, **fields: Any) -> None:
        """Remember that the service said it did this; `still_holds(kind)` is checked against it."""
        ...

    def any_acknowledged(self, kind: str) -> Acknowledged | None:
        """One of what was acknowledged so far, at random; None when there is none yet."""
        ...


Flow: TypeAlias = Generator[Request | Connect | SocketStep, Any, Any]
"""Sent a `Reply` for a `Request`, and for the others what each of them says."""


class FlowMark(msgspec.Struct, frozen=True):
    """What `@operation` leaves on a function. `alone` None: by the method in the name."""

    name: str
    weight: float
    alone: bool | None
    timeout_s: float | None


class HoldMark(msgspec.Struct, frozen=True):
    """What `@still_holds` leaves on a function."""

    kind: str


class EffectsMark(msgspec.Struct, frozen=True):
    """What `@effects` leaves on a function."""

    kind: str


class LoginMark(msgspec.Struct, frozen=True):
    """What `@login` leaves on a function."""


Mark: TypeAlias = FlowMark | HoldMark | EffectsMark | LoginMark

_F = TypeVar("_F", bound=Callable[..., Any])


def _leave(mark: Mark) -> Callable[[_F], _F]:
    def on(function: _F) -> _F:
        function.__loadpath__ = mark  # type: ignore[attr-defined]
        return function

    return on


def operation(
    name: str, *, weight: float = 1.0, alone: bool | None = None, timeout_s: float | None = None
) -> Callable[[_F], _F]:
    """Mark a generator function of one argument (the `State`) as the operation `name`."""
    return _leave(FlowMark(name, weight, alone, timeout_s))


def still_holds(kind: str) -> Callable[[_F], _F]:
    """Mark a generator function of one `Acknowledged` that returns whether it still holds."""
    return _leave(HoldMark(kind))


def effects(kind: str) -> Callable[[_F], _F]:
    """Mark a generator function of one `Attempt` that returns how often its effect is there.

    None: it cannot be told.
    """
    return _leave(EffectsMark(kind))


def login(function: _F) -> _F:
    """Mark a generator function of one `Identity` that logs it in.

    What it returns are headers for every later request of that identity, or None.
    """
    return _leave(LoginMark())(function)


def marks(namespace: Mapping[str, Any]) -> list[tuple[Mark, Callable[..., Flow]]]:
    """Every marked function of a module's namespace, in the order written."""
    return [
        (value.__loadpath__, value)
        for value in namespace.values()
        if isinstance(getattr(value, "__loadpath__", None), Mark)
    ]


def request(
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    body: bytes | str = b"",
    form: Mapping[str, Any] | None = None,
    expect: tuple[int, ...] = (),
    follow: bool | int = False,
    retries: int = 0,
) -> Request:
    """A request of any method; `json` and `form` are encoded and given their Content-Type.

    `follow` True follows up to 10 redirects in a row, a number as many; never off the service.
    `retries`: how often it is sent again when it fails.
    """
    if params:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode(params, doseq=True)}"
    fields = tuple((headers or {}).items())
    content = body.encode() if isinstance(body, str) else body
    if json is not None:
        content = msgspec.json.encode(json)
        fields = (*fields, ("Content-Type", "application/json"))
    if form is not None:
        content = urlencode(form, doseq=True).encode()
        fields = (*fields, ("Content-Type", "application/x-www-form-urlencoded"))
    hops = FOLLOW_MAX if follow is True else int(follow)
    return Request(method.upper(), path, fields, content, expect, hops, retries)


def get(path: str, **options: Any) -> Request:
    """A GET request; options as `request`."""
    if not options:  # most requests of most flows, and three times as fast
        return Request("GET", path)
    return request("GET", path, **options)


def head(path: str, **options: Any) -> Request:
    """A HEAD request; options as `request`."""
    return request("HEAD", path, **options)


def post(path: str, **options: Any) -> Request:
    """A POST request; options as `request`."""
    return request("POST", path, **options)


def put(path: str, **options: Any) -> Request:
    """A PUT request; options as `request`."""
    return request("PUT", path, **options)


def patch(path: str, **options: Any) -> Request:
    """A PATCH request; options as `request`."""
    return request("PATCH", path, **options)


def delete(path: str, **options: Any) -> Request:
    """A DELETE request; options as `request`."""
    return request("DELETE", path, **options)


def connect(
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: tuple[str, ...] = (),
    compress: bool = False,
    expect: tuple[int, ...] = (),
) -> Connect:
    """Open a WebSocket at `path`. A refusal ends the flow, unless its status is in `expect`."""
    asked = request("GET", path, params=params, headers=headers, expect=expect)
    return Connect(asked, tuple(subprotocols), compress)


def send(socket: Socket, data: bytes | str = "", *, json: Any = None) -> Send:
    """Send text (`str`, or `json` encoded) or binary data (`bytes`) as one message."""
    if json is not None:
        return Send(socket, msgspec.json.encode(json))
    if isinstance(data, str):
        return Send(socket, data.encode())
    return Send(socket, data, binary=True)


def expect(
    socket: Socket,
    accept: Callable[[Message], bool] | None = None,
    *,
    timeout_s: float | None = None,
    since: Callable[[Message], float] | None = None,
) -> Expect:
    """Wait for the next message, or the next that `accept` takes; others before it are dropped.

    No such message within `timeout_s` (None: the operation's timeout) is an error that ends the
    flow, and so is the end of the socket. With `since`, which says of a message when it was sent
    (`time.monotonic()`), the response time of the step is counted from then: a delivery time.
    """
    return Expect(socket, accept, timeout_s, since)


def count(*sockets: Socket, seconds: float) -> Count:
    """Take every message that comes in on some sockets of the flow, for so long, and keep none."""
    return Count(sockets, seconds)


def close(socket: Socket, code: int = 1000, reason: str = "") -> Close:
    """Close a WebSocket and wait until the other side has done so too."""
    return Close(socket, code, reason)
