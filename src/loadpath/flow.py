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
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec

__all__ = [
    "Acknowledged",
    "Flow",
    "FlowMark",
    "HoldMark",
    "Reply",
    "Request",
    "State",
    "delete",
    "get",
    "head",
    "marks",
    "operation",
    "patch",
    "post",
    "put",
    "request",
    "still_holds",
]


class Request(msgspec.Struct, frozen=True):
    """One HTTP request. `headers` are added to Host and Content-Length, which the engine writes.

    `expect` are statuses of 400 and above that are no error for this request.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    expect: tuple[int, ...] = ()


class Reply:
    """What came back: the status, the body as received, and the raw header block."""

    __slots__ = ("_head", "body", "status")

    def __init__(self, status: int, body: bytes, head: bytes = b"") -> None:
        self.status = status
        self.body = body
        self._head = head

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
        for line in self._head.split(b"\r\n")[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == wanted:
                return value.strip().decode("latin-1")
        return None


class Acknowledged:
    """Something the service said it did, with the fields the flow kept of it."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.kind = kind
        self.fields = dict(fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(
                f"{self.__dict__.get('kind', 'acknowledged')} has no field {name!r}"
            ) from None

    def __repr__(self) -> str:
        return f"Acknowledged({self.kind!r}, {self.fields!r})"


class State(Protocol):
    """What a flow knows and may leave for other flows: one for the whole run, shared by all."""

    rng: random.Random

    def key(self, key_set: str) -> str:
        """The next key of that key set, drawn from its distribution."""
        ...

    def unique(self, prefix: str = "") -> str:
        """A token that no other call of this run gets, and that another run gets again."""
        ...

    def fresh_url(self) -> str:
        """A web address that no other call of this run gets."""
        ...

    def acknowledge(self, kind: str, **fields: Any) -> None:
        """Remember that the service said it did this; `still_holds(kind)` is checked against it."""
        ...

    def any_acknowledged(self, kind: str) -> Acknowledged | None:
        """One of what was acknowledged so far, at random; None when there is none yet."""
        ...


Flow: TypeAlias = Generator[Request, Reply, Any]


class FlowMark(msgspec.Struct, frozen=True):
    """What `@operation` leaves on a function. `alone` None: by the method in the name."""

    name: str
    weight: float
    alone: bool | None
    timeout_s: float | None


class HoldMark(msgspec.Struct, frozen=True):
    """What `@still_holds` leaves on a function."""

    kind: str


_F = TypeVar("_F", bound=Callable[..., Any])


def operation(
    name: str, *, weight: float = 1.0, alone: bool | None = None, timeout_s: float | None = None
) -> Callable[[_F], _F]:
    """Mark a generator function of one argument (the `State`) as the operation `name`."""

    def mark(function: _F) -> _F:
        function.__loadpath__ = FlowMark(name, weight, alone, timeout_s)  # type: ignore[attr-defined]
        return function

    return mark


def still_holds(kind: str) -> Callable[[_F], _F]:
    """Mark a generator function of one `Acknowledged` that returns whether it still holds."""

    def mark(function: _F) -> _F:
        function.__loadpath__ = HoldMark(kind)  # type: ignore[attr-defined]
        return function

    return mark


def marks(namespace: Mapping[str, Any]) -> list[tuple[FlowMark | HoldMark, Callable[..., Flow]]]:
    """Every marked function of a module's namespace, in the order written."""
    return [
        (value.__loadpath__, value)
        for value in namespace.values()
        if isinstance(getattr(value, "__loadpath__", None), FlowMark | HoldMark)
    ]


def request(
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    body: bytes | str = b"",
    expect: tuple[int, ...] = (),
) -> Request:
    """A request of any method; `json` is encoded and given its Content-Type."""
    if params:
        path = f"{path}{'&' if '?' in path else '?'}{urlencode(params, doseq=True)}"
    fields = tuple((headers or {}).items())
    content = body.encode() if isinstance(body, str) else body
    if json is not None:
        content = msgspec.json.encode(json)
        fields = (*fields, ("Content-Type", "application/json"))
    return Request(method.upper(), path, fields, content, expect)


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
