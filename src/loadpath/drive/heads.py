"""Heads of replies that were read before, recognised without reading them again."""

from __future__ import annotations

from loadpath.wire.reply import FramingError, parse_head

_HEADS_KEPT = 512
_HEAD_BYTES_KEPT = 4096


class Heads:
    """Recognises heads of replies that were read before: a service repeats its heads within a
    second (then `Date` changes), and a dictionary is ten times as fast as reading one.

    A key is a whole head, blank line included, so equality alone proves where the head ends.
    """

    __slots__ = ("guess", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[int, int]] = {}  # head -> status, size of the whole reply
        self.guess = 0  # length of the last head: where the next one probably ends

    def learn(self, data: bytes) -> tuple[int, int] | None:
        """Status and size of a reply that begins so; None when it takes a `ReplyReader`."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head = data[:end]
        found = self.known.get(head)
        if found is None:
            try:
                framing = parse_head(head)
            except FramingError:
                return None  # the reader will say so again, and in words
            if framing.length is None or framing.status < 200 or not framing.reusable:
                return None
            if end > _HEAD_BYTES_KEPT:
                return framing.status, end + framing.length
            if len(self.known) >= _HEADS_KEPT:
                self.known.clear()
            found = self.known[head] = (framing.status, end + framing.length)
        self.guess = end
        return found
