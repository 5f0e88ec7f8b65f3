"""The requests of flows as bytes, and the header lines of all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import quote

from loadpath.errors import ConfigurationError
from loadpath.flow import Request

Headers: TypeAlias = tuple[tuple[str, str], ...]

IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))
"""Methods whose requests may be sent again when a connection is lost (RFC 9110, section 9.2.2)."""

WITH_LENGTH = frozenset(("POST", "PUT", "PATCH"))  # though the body may be empty

USER_AGENT = "loadpath"
CLOSE = ("Connection", "close")

METHOD = re.compile(r"[A-Z][A-Z-]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WRITTEN_BY_ENGINE = frozenset(("content-length", "transfer-encoding"))
# Printable ASCII that a request target may hold unescaped; `%` stays, for it is an escape already.
TARGET_SAFE = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


class RequestWriter:
    """Writes the requests of flows as bytes; what depends on the method and headers is kept."""

    def __init__(self, host: str, *, keep_alive: bool = True) -> None:
        self._host = host
        self._always = () if keep_alive else (CLOSE,)
        self._around: dict[tuple[str, Headers], tuple[bytes, bytes]] = {}

    def encode(self, request: Request) -> bytes:
        """The request's bytes. Raises `ValueError` for what must not be sent."""
        path = request.path
        if not (path.isascii() and path.isprintable() and " " not in path):
            path = quote(path, safe=TARGET_SAFE)
        if path[:1] != "/" and path != "*":
            raise ValueError(f"a path begins with `/`, got {path[:80]!r}")
        method, body = request.method, request.body
        around = self._around.get((method, request.headers))
        before, after = around or self._make_around(method, request.headers)
        if body or method in WITH_LENGTH:
            after = b"%bContent-Length: %d\r\n\r\n%b" % (after[:-2], len(body), body)
        return before + path.encode() + after

    def _make_around(self, method: str, headers: Headers) -> tuple[bytes, bytes]:
        """What stands before and after the path of a request without a body."""
        if len(self._around) >= 1024:  # say, an Authorization header per user
            self._around.clear()
        if not METHOD.fullmatch(method):
            raise ValueError(f"expected a method such as GET, got {method[:80]!r}")
        try:
            block = header_block(self._host, (*self._always, *headers))
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        around = f"{method} ".encode(), b" HTTP/1.1\r\n" + block + b"\r\n"
        self._around[method, headers] = around
        return around


def header_block(host: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """Header lines, each ended: Host and User-Agent unless given, then `headers`.

    Raises `ConfigurationError` for a name or value that HTTP does not allow.
    """
    given = {name.lower() for name, _ in headers}
    lines = [
        (name, value)
        for name, value in (("Host", host), ("User-Agent", USER_AGENT))
        if name.lower() not in given
    ]
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not the name of a header")
        if name.lower() in _WRITTEN_BY_ENGINE:
            raise ConfigurationError(f"the header {name} is written by the engine: leave it out")
        if any(c in value for c in "\r\n\0"):
            raise ConfigurationError(f"the header {name} has a line break in its value")
        lines.append((name, value))
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("utf-8")
