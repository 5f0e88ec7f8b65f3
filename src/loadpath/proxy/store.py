"""What is kept: entries by key, the least recently used dropped for lack of room. Pure, no IO."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from loadpath.wire.seen import body_hasher, header_fields, reply_digest, vary_of

ENTRY_BYTES = 600
"""What an entry takes beside its reply."""

ENTRY_SHARE = 1 / 8
"""A reply larger than this share of all room is not kept: it would push out everything else."""


class Entry(msgspec.Struct, frozen=True):
    """A kept reply. `line` is its status line with its end, `rest` all that follows."""

    line: bytes
    rest: bytes
    stored_s: float
    expires_s: float

    @property
    def digest(self) -> int:
        """Of what a user sees of it. Made when it is asked for: most entries are never compared."""
        return digest_of(self.line + self.rest)

    def answer(self, now: float) -> bytes:
        """The reply as it is given again, with its age (RFC 9111, section 5.1)."""
        return b"%bAge: %d\r\n%b" % (self.line, now - self.stored_s, self.rest)


class Store:
    """Entries of at most `size_bytes`, by target and by what the service's Vary names."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._vary: dict[bytes, tuple[bytes, ...]] = {}
        self.bytes = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def key(self, target: bytes, head: bytes) -> bytes:
        """The key of a request: its method and target, and the headers that replies vary by."""
        names = self._vary.get(target)
        return target if not names else key_of(target, head, names)

    def find(self, key: bytes, now: float) -> Entry | None:
        """The entry of that key, if it is fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_s <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, target: bytes, request: bytes, reply: bytes, now: float, ttl_s: float) -> bool:
        """Keep a whole reply to that request for so long; whether it was kept."""
        names = keepable(reply)
        if names is None or len(reply) > self._size_bytes * ENTRY_SHARE:
            return False
        if names:
            self._vary[target] = names
        else:
            self._vary.pop(target, None)
        key = self.key(target, request)
        self._drop(key)
        end = reply.index(b"\r\n") + 2
        entry = Entry(reply[:end], reply[end:], now, now + ttl_s)
        self._entries[key] = entry
        self.bytes += _size(key, entry)
        while self.bytes > self._size_bytes:
            self._drop(next(iter(self._entries)))
            self.evicted += 1
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._vary.clear()
        self.bytes = 0

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= _size(key, entry)


def key_of(target: bytes, head: bytes, names: Sequence[bytes]) -> bytes:
    """A target and what a request says in those headers."""
    fields = header_fields(head.partition(b"\r\n")[2])
    said = [b",".join(v for n, v in fields if n == name) for name in names]
    return b"\n".join((target, *said))


def keepable(reply: bytes) -> tuple[bytes, ...] | None:
    """The headers a reply varies by, where it may be kept at all; None: it may not.

    Successes and redirects are, but no part of something (206) and no 304; nothing that sets a
    cookie, and nothing that varies by everything.
    """
    head = reply[: reply.index(b"\r\n\r\n") + 2]
    status = int(head[9:12])
    if not 200 <= status < 400 or status in (206, 304):
        return None
    if b"\r\nset-cookie:" in head.lower():
        return None
    names = vary_of(head)
    return None if b"*" in names else names


def digest_of(reply: bytes) -> int:
    """The digest of what a user sees of a whole reply."""
    head, _, body = reply.partition(b"\r\n\r\n")
    hasher = body_hasher()
    hasher.update(body)
    return reply_digest(hasher, int(head[9:12]), head + b"\r\n")


def _size(key: bytes, entry: Entry) -> int:
    return len(key) + len(entry.line) + len(entry.rest) + ENTRY_BYTES
