"""The table of endpoints: each says its method, path, parameters, who may call it and the scope.

That is all in one place so that authorisation is decided in one place, so that the OpenAPI document
cannot say anything else, and so that a test can go through all of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar, get_type_hints

import msgspec
from systems_common.blobs import Content, Spool
from systems_common.event_stream import EventStream

from social.errors import ApiError, not_found
from social.service import Service
from social.tokens import Token

__all__ = ["Answer", "Call", "Empty", "Endpoint", "Endpoints", "Router", "Who", "id_of"]

Who = Literal["anyone", "app", "user"]
"""`anyone`: without a token too; `app`: any token; `user`: a token of an account."""


class Empty(msgspec.Struct, frozen=True):
    """No parameters."""


class Answer(msgspec.Struct, frozen=True):
    """What goes back when it is not plain JSON with status 200."""

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content: Content | None = None
    """Goes out instead of the body, part by part."""


class Call:
    """One request, authorised: who asks, and the parts of the path that vary."""

    __slots__ = ("files", "headers", "path", "query", "service", "token", "uri", "viewer")

    def __init__(
        self,
        service: Service,
        token: Token | None,
        path: tuple[str, ...],
        headers: dict[bytes, bytes],
        uri: str,
        query: str,
    ) -> None:
        self.service = service
        self.token = token
        self.path = path
        self.headers = headers
        self.uri = uri
        self.query = query
        self.files: dict[str, Spool] = {}
        self.viewer: int | None = token.account_id if token is not None else None

    @property
    def me(self) -> int:
        """The account that asks, of an endpoint for users."""
        if self.viewer is None:
            raise ApiError(422, "This method requires an authenticated user")
        return self.viewer

    @property
    def id(self) -> int:
        """The id in the path. Raises a 404 when it is none."""
        return id_of(self.path[0])


def id_of(text: str) -> int:
    """An id as text as a number. Raises a 404 when it is none."""
    if not text.isdecimal() or not text.isascii() or len(text) > 19 or int(text) >= 1 << 63:
        raise not_found()
    return int(text)


P = TypeVar("P", bound=msgspec.Struct)
Handler = Callable[[Call, Any], Awaitable[object]]


class Endpoint(msgspec.Struct, frozen=True):
    """One method of one path. What stands in braces in the path varies."""

    method: str
    path: str
    handler: Handler
    params: type[msgspec.Struct]
    who: Who
    scope: str
    summary: str
    files: tuple[str, ...] = ()
    """Names of the files that its form may carry."""
    returns: Any = None
    """The type of what it answers with status 200, encoded as JSON; None: it is no JSON."""
    media_types: tuple[str, ...] = ("application/json",)
    """What the answer may be, when all is well."""
    redirects: bool = False


class Endpoints:
    """Those of one group, declared by decorating their handlers."""

    def __init__(self) -> None:
        self.all: list[Endpoint] = []

    def add(
        self,
        method: str,
        path: str,
        params: type[P],
        *,
        who: Who,
        scope: str = "",
        files: tuple[str, ...] = (),
        returns: Any = None,
        media_types: tuple[str, ...] = ("application/json",),
        redirects: bool = False,
    ) -> Callable[[Callable[[Call, P], Awaitable[object]]], Callable[[Call, P], Awaitable[object]]]:
        """Declare the function an endpoint. `scope` is asked of whoever comes with a token.

        `returns` is the type of its JSON where it encodes that itself; else the type that the
        function returns is.
        """

        def declare(
            handler: Callable[[Call, P], Awaitable[object]],
        ) -> Callable[[Call, P], Awaitable[object]]:
            summary = (handler.__doc__ or "").strip().partition("\n")[0]
            given = get_type_hints(handler, include_extras=True).get("return")
            kinds, what = media_types, returns
            if given is EventStream:
                kinds = ("text/event-stream",)
            elif given is not Answer:
                what = given
            self.all.append(
                Endpoint(
                    method=method,
                    path=path,
                    handler=handler,
                    params=params,
                    who=who,
                    scope=scope,
                    summary=summary,
                    files=files,
                    returns=what,
                    media_types=kinds,
                    redirects=redirects,
                )
            )
            return handler

        return declare


_NAME_IN_BRACES = re.compile(r"\{\w+\}")
# `@{name}` is a segment of which the rest varies.
_ANY, _AFTER_AT, _METHODS = "{}", "@{}", "/"


class Router:
    """Finds the endpoint of a path by its segments; a literal one goes before one that varies."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root: dict[str, Any] = {}
        for endpoint in endpoints:
            node = self._root
            for segment in endpoint.path.rstrip("/").split("/")[1:]:
                node = node.setdefault(_NAME_IN_BRACES.sub("{}", segment), {})
            methods = node.setdefault(_METHODS, {})
            if endpoint.method in methods:
                raise ValueError(f"{endpoint.method} {endpoint.path} is declared twice")
            methods[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, tuple[str, ...]]:
        """The endpoint and the varying segments. Raises a 404 or a 405."""
        # Some clients end a path with a slash.
        segments = path.rstrip("/").split("/")[1:]
        allowed: set[str] = set()
        for methods, varying in _walk(self._root, segments, 0, ()):
            endpoint = methods.get(method)
            if endpoint is not None:
                return endpoint, varying
            allowed.update(methods)
        if allowed:
            raise ApiError(405, "Method not allowed", headers={"Allow": ", ".join(sorted(allowed))})
        raise not_found()


def _walk(
    node: dict[str, Any], segments: list[str], at: int, varying: tuple[str, ...]
) -> Iterator[tuple[dict[str, Endpoint], tuple[str, ...]]]:
    if at == len(segments):
        if _METHODS in node:
            yield node[_METHODS], varying
        return
    segment = segments[at]
    if segment in node and segment not in (_ANY, _AFTER_AT, _METHODS):
        yield from _walk(node[segment], segments, at + 1, varying)
    if _AFTER_AT in node and segment.startswith("@") and segment != "@":
        yield from _walk(node[_AFTER_AT], segments, at + 1, (*varying, segment[1:]))
    if segment and _ANY in node:
        yield from _walk(node[_ANY], segments, at + 1, (*varying, segment))
