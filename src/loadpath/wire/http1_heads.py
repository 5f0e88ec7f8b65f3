"""What the head of an HTTP/1.1 message says of the message: RFC 9112, sections 2 to 6."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from loadpath.wire.unreadable import UnreadableError, shown

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]+(\S+)[ \t]+HTTP/1\.[0-9]\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?:[ \t][^\r]*)?\r\n")
_HTTP2_LINE: Final = b"PRI * HTTP/2.0\r\n"
_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r\n[ \t]+")
_SPACED_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding)[ \t]+:")
_BODILESS: Final = frozenset((204, 304))


class Framing(NamedTuple):
    """Where a message ends: after so many bytes, with its last chunk, or (None) at the close."""

    length: int | None
    chunked: bool = False


NO_BODY: Final = Framing(0)


class RequestHead(NamedTuple):
    """A request line, how the body ends, and whether the body waits to be asked for."""

    method: str
    target: str
    framing: Framing
    expects_continue: bool


class ReplyHead(NamedTuple):
    """A status, how the body ends, and what the connection is upgraded to (101 alone)."""

    status: int
    framing: Framing
    upgrade: str


def request_head(head: bytes) -> RequestHead:
    """What a whole head (its empty line included) says. Raises `UnreadableError`."""
    head = _plain(head)
    line = _REQUEST_LINE.match(head)
    if line is None:
        if head.startswith(_HTTP2_LINE):
            raise UnreadableError("the connection speaks HTTP/2")
        raise UnreadableError(f"expected a request line of HTTP/1.1, got {shown(head)}")
    low = head.lower()
    if _SPACED_FRAMING.search(low):
        # A server has to refuse it, and one that does not might read another length.
        raise UnreadableError("a space before the colon of a header that says where a body ends")
    coding = _value(low, b"\r\ntransfer-encoding:")
    if coding is None:
        framing = Framing(_length(low) or 0)
    elif _is_chunked(coding):
        framing = Framing(None, chunked=True)
    else:
        raise UnreadableError(f"a request of which no server can know the end: {shown(coding)}")
    return RequestHead(
        line[1].decode("ascii"),
        line[2].decode("utf-8", "backslashreplace"),
        framing,
        _value(low, b"\r\nexpect:") == b"100-continue",
    )


def reply_head(head: bytes, method: str) -> ReplyHead:
    """What a whole head says, as a reply to that method. Raises `UnreadableError`."""
    head = _plain(head)
    line = _STATUS_LINE.match(head)
    if line is None:
        raise UnreadableError(f"expected a status line of HTTP/1.1, got {shown(head)}")
    status = int(line[1])
    low = head.lower()
    if status < 200 or status in _BODILESS or method == "HEAD":
        upgrade = _value(low, b"\r\nupgrade:") if status == 101 else None
        return ReplyHead(status, NO_BODY, (upgrade or b"").decode("ascii", "backslashreplace"))
    if method == "CONNECT" and status < 300:
        return ReplyHead(status, NO_BODY, "")
    if b" :" in low or b"\t:" in low:
        low = _SPACED_FRAMING.sub(rb"\r\n\1:", low)
    coding = _value(low, b"\r\ntransfer-encoding:")
    # A chunked body overrules a length (section 6.3).
    framing = Framing(_length(low)) if coding is None else Framing(None, _is_chunked(coding))
    return ReplyHead(status, framing, "")


def _plain(head: bytes) -> bytes:
    """A head with CRLF alone and without folded lines (sections 2.2 and 5.2)."""
    if head.count(b"\n") != head.count(b"\r\n"):
        head = _LINE_END.sub(b"\r\n", head)
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)
    return head


def _is_chunked(coding: bytes) -> bool:
    return coding.rpartition(b",")[2].strip() == b"chunked"


def _length(low: bytes) -> int | None:
    values = _value(low, b"\r\ncontent-length:")
    if values is None:
        return None
    different = {value.strip() for value in values.split(b",")}
    value = different.pop()
    if different:
        raise UnreadableError(f"two different lengths, {shown(values)}")
    if not value.isdigit() or len(value) > 18:
        raise UnreadableError(f"expected a Content-Length in digits, got {shown(values)}")
    return int(value)


def _value(low: bytes, name: bytes) -> bytes | None:
    """All values of a header, comma-joined; None when it is absent."""
    at = low.find(name)
    if at < 0:
        return None
    values = []
    while at >= 0:
        end = low.find(b"\r\n", at + 2)
        values.append(low[at + len(name) : end].strip())
        at = low.find(name, end)
    return b",".join(values)
