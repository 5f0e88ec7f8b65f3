"""Requests as bytes: declared ones compiled ahead around their placeholders, or of flows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote

import msgspec

from loadpath.drive.keys import KeyTexts
from loadpath.errors import ConfigurationError
from loadpath.flow import Request
from loadpath.spec import DeclaredRequest

Build: TypeAlias = Callable[[Sequence[int]], bytes]
"""From the key numbers of a request's slots to its bytes."""

Headers: TypeAlias = tuple[tuple[str, str], ...]

IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))
"""Methods whose requests may be sent again when a connection is lost (RFC 9110, section 9.2.2)."""

_WITH_LENGTH = frozenset(("POST", "PUT", "PATCH"))  # though the body may be empty

USER_AGENT = "loadpath"
CLOSE = ("Connection", "close")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_METHOD = re.compile(r"[A-Z][A-Z-]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WRITTEN_BY_ENGINE = frozenset(("content-length", "transfer-encoding"))
# Printable ASCII that a request target may hold unescaped; `%` stays, for it is an escape already.
_TARGET_SAFE = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


class RequestTemplate(msgspec.Struct, frozen=True):
    """A declared request, compiled. `key_sets` names the key set of each slot that `build` takes.

    With no slot `fixed` holds the bytes; with one, `build` may be called with any one-tuple.
    """

    method: str
    key_sets: tuple[str, ...]
    build: Build
    fixed: bytes | None


def compile_request(
    declared: DeclaredRequest, host: str, texts: Mapping[str, KeyTexts]
) -> RequestTemplate:
    """Compile a declared request for `host` (as in the Host header).

    Raises `ConfigurationError` for a placeholder without a key set and for what HTTP forbids.
    """
    slots = {name: slot for slot, name in enumerate(declared.keys)}
    for name, key_set in declared.keys.items():
        if key_set not in texts:
            raise ConfigurationError(
                f"`{declared.method} {declared.path}`: {{{name}}} is of key set `{key_set}`, "
                f"which the workload does not have"
            )
    readers = [texts[key_set] for key_set in declared.keys.values()]
    path = _split(declared.path, slots)
    for part in path:
        if isinstance(part, str) and _PLACEHOLDER.search(part):
            raise ConfigurationError(
                f"`{declared.method} {declared.path}`: no key set is given for "
                f"{_PLACEHOLDER.search(part)[0]}"  # type: ignore[index]
            )
    before = [f"{_method(declared.method)} ".encode()]
    pieces: list[bytes | int] = [*before, *(_target(p) if isinstance(p, str) else p for p in path)]
    head = b" HTTP/1.1\r\n" + header_block(host, declared.headers)
    body = [] if declared.body is None else _split(declared.body, slots)
    if not any(isinstance(part, int) for part in body):
        content = (declared.body or "").encode()
        pieces.append(head + _length_line(declared.method, content) + b"\r\n" + content)
        build = _joiner(pieces, readers)
    else:
        json_body = (declared.body or "").lstrip()[:1] in ("{", "[")
        build = _with_body(_joiner([*pieces, head], readers), body, readers, json_body=json_body)
    used = bool(slots)
    return RequestTemplate(
        method=declared.method,
        key_sets=tuple(declared.keys.values()),
        build=build,
        fixed=None if used else build(()),
    )


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
            path = quote(path, safe=_TARGET_SAFE)
        if path[:1] != "/" and path != "*":
            raise ValueError(f"a path begins with `/`, got {path[:80]!r}")
        method, body = request.method, request.body
        around = self._around.get((method, request.headers))
        before, after = around or self._make_around(method, request.headers)
        if body or method in _WITH_LENGTH:
            after = b"%bContent-Length: %d\r\n\r\n%b" % (after[:-2], len(body), body)
        return before + path.encode() + after

    def _make_around(self, method: str, headers: Headers) -> tuple[bytes, bytes]:
        """What stands before and after the path of a request without a body."""
        if len(self._around) >= 1024:  # say, an Authorization header per user
            self._around.clear()
        if not _METHOD.fullmatch(method):
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


def _length_line(method: str, content: bytes) -> bytes:
    if content or method in _WITH_LENGTH:
        return b"Content-Length: %d\r\n" % len(content)
    return b""


def _method(method: str) -> str:
    if not _METHOD.fullmatch(method):
        raise ConfigurationError(f"expected a method such as GET, got {method!r}")
    return method


def _target(text: str) -> bytes:
    return quote(text, safe=_TARGET_SAFE).encode("ascii")


def _split(text: str, slots: Mapping[str, int]) -> list[str | int]:
    """A text cut at its placeholders, each replaced by its slot; other braces are text."""
    parts: list[str | int] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        slot = slots.get(match[1])
        if slot is not None:
            parts += [text[at : match.start()], slot]
            at = match.end()
    parts.append(text[at:])
    return [part for part in parts if part != ""]


def _joiner(pieces: Sequence[bytes | int], readers: Sequence[KeyTexts]) -> Build:
    """A function that puts percent-encoded keys between literal bytes."""
    merged: list[bytes | int] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    match merged:
        case [bytes(fixed)]:
            return lambda numbers: fixed
        case [bytes(before), int(slot), bytes(after)]:
            quoted = readers[slot].quoted
            return lambda numbers: before + quoted(numbers[slot]) + after
    return lambda numbers: b"".join(
        [p if isinstance(p, bytes) else readers[p].quoted(numbers[p]) for p in merged]
    )


def _with_body(
    head: Build, body: Sequence[str | int], readers: Sequence[KeyTexts], *, json_body: bool
) -> Build:
    """A function that writes a body around keys, with its length after the head."""

    def text(slot: int, number: int) -> str:
        key = readers[slot].text(number)
        # Between the quotes that the body's author wrote, so without those of the encoder.
        return msgspec.json.encode(key).decode()[1:-1] if json_body else key

    def build(numbers: Sequence[int]) -> bytes:
        content = "".join([p if isinstance(p, str) else text(p, numbers[p]) for p in body]).encode()
        return b"%bContent-Length: %d\r\n\r\n%b" % (head(numbers), len(content), content)

    return build
