"""The digest of what a user sees of a reply: equal ones say the same."""

from __future__ import annotations

import hashlib

SEEN_HEADERS = frozenset(
    (
        b"content-type",
        b"content-encoding",
        b"content-language",
        b"content-disposition",
        b"location",
        b"link",
    )
)
"""What a user sees of a head, beside the status. Dates, request ids and tags differ from reply to
reply and say nothing of the content."""

DIGEST_BYTES = 8


def body_hasher(key: bytes = b"") -> hashlib.blake2b:
    """What is to digest a reply's body as it comes."""
    return hashlib.blake2b(digest_size=DIGEST_BYTES, key=key[:64])


def reply_digest(body: hashlib.blake2b, status: int, head: bytes) -> int:
    """The digest of a reply, of its body and then of what else a user sees of it; never 0."""
    body.update(b"\n%d\n" % status)
    for name, value in sorted(header_fields(head.partition(b"\r\n")[2])):
        if name in SEEN_HEADERS:
            body.update(b"%b:%b\n" % (name, value))
    return int.from_bytes(body.digest(), "little") or 1


def header_fields(lines: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of header lines, names in lower case, in the order they came."""
    found = []
    for line in lines.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found.append((name.strip().lower(), value.strip()))
    return tuple(found)


def vary_of(head: bytes) -> tuple[bytes, ...]:
    """The request headers by which replies to a target are told apart, in lower case, sorted."""
    if b"\r\nvary:" not in head.lower():
        return ()
    names = {
        part.strip().lower()
        for name, value in header_fields(head.partition(b"\r\n")[2])
        if name == b"vary"
        for part in value.split(b",")
    }
    return tuple(sorted(names - {b""}))
