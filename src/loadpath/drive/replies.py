"""What every reply said, as digests: recorded where a cache is thought about, and nowhere else.

Of a reply there are kept a digest of what a user would see of it, its size, and the headers by
which caches go; of the request the key under which a shared cache would find it. Bodies, values of
query parameters and credentials never leave the engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

import msgspec
import numpy as np

from loadpath.drive.operations import parted
from loadpath.drive.rows import Columns, digests
from loadpath.recording.redact import looks_secret, redact_text
from loadpath.wire.seen import DIGEST_BYTES, body_hasher, header_fields, reply_digest, vary_of

CACHING_HEADERS = frozenset(
    (
        b"age",
        b"cache-control",
        b"content-type",
        b"etag",
        b"expires",
        b"last-modified",
        b"no-vary-search",
        b"pragma",
        b"set-cookie",
        b"vary",
    )
)
"""What caches go by (RFC 9111), and what makes keeping a reply dangerous."""

PRESENT = "…"
"""In place of a value that is not kept: that the header is there is what counts."""

SAMPLED_PER_OPERATION = 48
"""Requests remembered of each operation, to be asked again in other ways."""

HEADERS_MAX = 300


class Asked(msgspec.Struct, frozen=True):
    """The head of a request as it was sent: what a cache looks at. Names in lower case."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> bytes:
        """Every value of that header, joined; empty without one."""
        return b",".join(value for each, value in self.headers if each == name)

    @property
    def credentials(self) -> bytes:
        """What says who asks: cookies, authorization, keys; empty without any."""
        return b"\n".join(
            b"%b:%b" % (name, value) for name, value in self.headers if is_credential(name)
        )


def asked(payload: bytes) -> Asked:
    """Read the head of a request that the engine wrote."""
    head = payload.partition(b"\r\n\r\n")[0]
    line, _, rest = head.partition(b"\r\n")
    method, _, target = line.partition(b" ")
    return Asked(method.decode(), target.rpartition(b" ")[0], header_fields(rest))


def is_credential(name: bytes) -> bool:
    """Whether a request header of that name (in lower case) says who asks."""
    return looks_secret(name.decode("latin-1"))


def caching_headers(head: bytes) -> str:
    """The headers of a reply by which caches go, one a line, sorted: of the values only what cannot
    be a secret; of `Expires`, how many seconds it lies ahead of the reply's own date."""
    found = header_fields(head.partition(b"\r\n")[2])
    date = next((value for name, value in found if name == b"date"), b"")
    lines = []
    for name, value in found:
        if name not in CACHING_HEADERS:
            continue
        if name in (b"etag", b"last-modified", b"set-cookie"):
            said = "W/…" if value.startswith(b"W/") else PRESENT
        elif name == b"expires":
            said = _ahead(value, date)
        else:
            said = redact_text(value.decode("latin-1"), limit=HEADERS_MAX)
        lines.append(f"{name.decode()}: {said}")
    return "\n".join(sorted(lines))


class ReplyLog:
    """The replies of one segment, and requests of it to be asked again."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt[:64]
        self._heads: dict[bytes, tuple[str, tuple[bytes, ...]]] = {}
        self._asked: dict[bytes, tuple[Asked, int, int, int]] = {}
        self._rows: list[tuple[object, ...]] = []
        self.sampled: dict[int, dict[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def hasher(self) -> hashlib.blake2b:
        """What is to digest a reply's body as it comes."""
        return body_hasher(self._salt)

    def note(
        self,
        operation: int,
        code: int,
        payload: bytes,
        sent_s: float,
        done_s: float,
        status: int,
        head: bytes,
        body: hashlib.blake2b,
        size: int,
    ) -> None:
        """A whole reply to the request `payload`, of an operation and a key code, came."""
        request, target, credentials, authorized = self._request(payload)
        headers, vary = self._head(head)
        digest = reply_digest(body, status, head)
        self._rows.append(
            (
                operation,
                code,
                sent_s,
                done_s,
                request.method,
                target,
                self._key(request, target, vary) if vary else target,
                digest,
                status,
                size,
                headers,
                credentials,
                authorized,
            )
        )
        if request.method == "GET":
            kept = self.sampled.setdefault(operation, {})
            if len(kept) < SAMPLED_PER_OPERATION:
                kept.setdefault(payload, payload)

    def columns(self, segment: int) -> Columns:
        """The rows as `schema.REPLIES`, in the order in which replies came."""
        names = (
            ("operation", np.uint16),
            ("identity", np.uint64),
            ("sent_s", np.float64),
            ("done_s", np.float64),
            ("method", object),
            ("target", np.uint64),
            ("key", np.uint64),
            ("digest", np.uint64),
            ("status", np.uint16),
            ("bytes", np.uint32),
            ("headers", object),
            ("credentials", np.uint64),
            ("authorized", np.bool_),
        )
        columns = list(zip(*self._rows, strict=True)) or [()] * len(names)
        made: Columns = {"segment": np.full(len(self._rows), segment, np.uint16)}
        for (name, kind), values in zip(names, columns, strict=True):
            made[name] = np.array(values, dtype=kind)
        _, who = parted(made["identity"])
        made["identity"] = digests(who, lambda code: f"\0identity {code - 1}", self._salt)
        return made

    def _request(self, payload: bytes) -> tuple[Asked, int, int, int]:
        found = self._asked.get(payload)
        if found is None:
            if len(self._asked) >= 100_000:  # bodies that are never sent twice
                self._asked.clear()
            request = asked(payload)
            target = self.digest(b"%b %b" % (request.method.encode(), request.target))
            who = request.credentials
            found = (
                request,
                target,
                self.digest(who) if who else 0,
                any(name == b"authorization" for name, _ in request.headers),
            )
            self._asked[payload] = found
        return found

    def _head(self, head: bytes) -> tuple[str, tuple[bytes, ...]]:
        found = self._heads.get(head)
        if found is None:
            if len(self._heads) >= 1024:  # each second has a date of its own
                self._heads.clear()
            found = self._heads[head] = caching_headers(head), vary_of(head)
        return found

    def _key(self, request: Asked, target: int, vary: Sequence[bytes]) -> int:
        return self.digest(b"%d\n" % target + b"\n".join(map(request.values, vary)))

    def digest(self, content: bytes) -> int:
        """A salted digest, never 0."""
        made = hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=self._salt).digest()
        return int.from_bytes(made, "little") or 1


def _ahead(expires: bytes, date: bytes) -> str:
    try:
        then = parsedate_to_datetime(expires.decode("latin-1"))
        now = parsedate_to_datetime(date.decode("latin-1"))
        return f"{(then - now).total_seconds():+g} s"
    except (ValueError, TypeError):
        return "+0 s"  # not a date: it is over already (RFC 9111, section 5.3)
