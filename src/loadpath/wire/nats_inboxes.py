"""Which answers can come back on one NATS connection: what its client subscribed to."""

from __future__ import annotations

from typing import Final

from loadpath.wire.unreadable import UnreadableError

SUBSCRIPTIONS_MAX: Final = 65_536


class _Subscription:
    __slots__ = ("delivered", "most", "subject")

    def __init__(self, subject: bytes) -> None:
        self.subject = subject
        self.delivered = 0
        self.most = 0  # 0: no limit


class Subscriptions:
    """The subscriptions of one connection, by their ids, and whether one takes a subject."""

    __slots__ = ("_by_id", "_exact", "_odd", "_prefixes")

    def __init__(self) -> None:
        self._by_id: dict[bytes, _Subscription] = {}
        self._exact: dict[bytes, int] = {}
        # a.b.* and a.b.> by what stands before the wildcard; all other patterns one by one.
        self._prefixes: dict[bytes, int] = {}
        self._odd: dict[bytes, int] = {}

    def add(self, sid: bytes, subject: bytes) -> None:
        """SUB. Raises `UnreadableError` when there are more than can be kept in mind."""
        if len(self._by_id) >= SUBSCRIPTIONS_MAX:
            raise UnreadableError(f"more than {SUBSCRIPTIONS_MAX} subscriptions")
        self.drop(sid)
        self._by_id[sid] = _Subscription(subject)
        table, key = self._place(subject)
        table[key] = table.get(key, 0) + 1

    def drop(self, sid: bytes) -> None:
        """UNSUB, at once."""
        entry = self._by_id.pop(sid, None)
        if entry is None:
            return
        table, key = self._place(entry.subject)
        table[key] -= 1
        if not table[key]:
            del table[key]

    def limit(self, sid: bytes, most: int) -> None:
        """UNSUB after so many messages, counted from its beginning."""
        entry = self._by_id.get(sid)
        if entry is not None:
            entry.most = most
            self._end(sid, entry)

    def delivered(self, sid: bytes) -> bytes:
        """A message came; what that subscription is to, b"" if nothing is known of it."""
        entry = self._by_id.get(sid)
        if entry is None:
            return b""
        entry.delivered += 1
        self._end(sid, entry)
        return entry.subject

    def take(self, subject: bytes) -> bool:
        """Whether a message to that subject comes back on this connection."""
        if subject in self._exact:
            return True
        before, dot, _ = subject.rpartition(b".")
        if dot and before + b".*" in self._prefixes:
            return True
        while dot:
            if before + b".>" in self._prefixes:
                return True
            before, dot, _ = before.rpartition(b".")
        return any(_matches(pattern, subject) for pattern in self._odd)

    def _end(self, sid: bytes, entry: _Subscription) -> None:
        if entry.most and entry.delivered >= entry.most:
            self.drop(sid)

    def _place(self, subject: bytes) -> tuple[dict[bytes, int], bytes]:
        before, _, last = subject.rpartition(b".")
        if b"*" not in subject and b">" not in subject:
            return self._exact, subject
        if last in {b"*", b">"} and b"*" not in before and before:
            return self._prefixes, subject
        return self._odd, subject


def _matches(pattern: bytes, subject: bytes) -> bool:
    wanted = pattern.split(b".")
    tokens = subject.split(b".")
    for place, token in enumerate(wanted):
        if token == b">":
            return len(tokens) > place
        if place >= len(tokens) or token not in {b"*", tokens[place]}:
            return False
    return len(wanted) == len(tokens)
