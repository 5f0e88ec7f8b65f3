"""Positions in the stream of everything: PostgreSQL's own snapshots. Pure.

A sync token is the snapshot of the read that gave it. What a later read sees and that snapshot did
not is new, whatever the order in which transactions took their numbers and committed, so an event
that commits late is never skipped (DECISIONS 2).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from messaging.errors import invalid_param

__all__ = ["NOTHING", "Position", "Snapshot", "later", "parse_position", "snapshot_of"]

_TOKEN = re.compile(
    r"s([0-9a-f]+)_(\d+)-(\d+)((?:-\d+)*)_d(\d+)_t(\d+)(?:_o(\d+))?_p([0-9a-zA-Z]*)\.(\d+)",
    re.ASCII,
)
_NUMBERS_MAX = 2**63 - 1
_TOKEN_MAX = 4_000


class Snapshot(msgspec.Struct, frozen=True):
    """Which transactions are seen: those below `xmin`, and those below `xmax` not in `running`."""

    xmin: int
    xmax: int
    running: frozenset[int] = frozenset()

    def sees(self, xid: int) -> bool:
        """Whether what that (committed) transaction wrote is seen."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)

    @property
    def text(self) -> str:
        """As PostgreSQL writes it."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"


def later(one: Snapshot, other: Snapshot) -> Snapshot:
    """The one that was taken later, of two of the same server: its bounds only grow, and between
    the same bounds transactions only end."""
    mine = (one.xmax, one.xmin, -len(one.running))
    return other if (other.xmax, other.xmin, -len(other.running)) > mine else one


NOTHING = Snapshot(1, 1)
"""Sees nothing: for who has seen nothing yet."""


def snapshot_of(text: str) -> Snapshot:
    """A snapshot as PostgreSQL writes it, `xmin:xmax:xid,xid`."""
    xmin, xmax, running = text.split(":")
    return Snapshot(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))))


class Position(msgspec.Struct, frozen=True):
    """A sync token: the snapshot, the last message to the device, the versions of who types and of
    who is online.

    `process` and `tail` say which process gave it and after which of its reads: that one may
    remember what came since. Another process reads it from the database.
    """

    epoch: str
    snapshot: Snapshot
    to_device: int = 0
    typing: int = 0
    process: str = ""
    tail: int = 0
    presence: int = 0

    @property
    def token(self) -> str:
        """As clients are given it."""
        seen = self.snapshot
        running = "".join(f"-{xid}" for xid in sorted(seen.running))
        return (
            f"s{self.epoch}_{seen.xmin}-{seen.xmax}{running}_d{self.to_device}_t{self.typing}"
            f"_o{self.presence}_p{self.process}.{self.tail}"
        )


@lru_cache(maxsize=512)
def parse_position(token: str) -> Position:
    """A position from a token. Raises M_INVALID_PARAM.

    All who were told of the same message come back with the same token.
    """
    match = _TOKEN.fullmatch(token) if len(token) <= _TOKEN_MAX else None
    if match is None:
        raise invalid_param("That is no token of this server.")
    epoch, xmin, xmax, running, to_device, typing, presence, process, tail = match.groups()
    numbers = [int(xmin), int(xmax), *map(int, running.split("-")[1:])]
    positions = [int(to_device), int(typing), int(tail), int(presence or 0)]
    if max(*numbers, *positions) > _NUMBERS_MAX or not 0 < numbers[0] <= numbers[1]:
        raise invalid_param("That is no token of this server.")
    if any(not numbers[0] <= xid < numbers[1] for xid in numbers[2:]):
        raise invalid_param("That is no token of this server.")
    snapshot = Snapshot(numbers[0], numbers[1], frozenset(numbers[2:]))
    return Position(epoch, snapshot, positions[0], positions[1], process, *positions[2:])
