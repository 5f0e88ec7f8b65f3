"""Which writes change what others are answered: seen between two answers that differ. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from loadpath.caching.stream import Changes, Flags, Floats, Ids, Stream, make_changes

CLEARLY = 3.0
"""So many standard deviations more changes than chance would put beside a write make it a cause."""


class Writer(msgspec.Struct, frozen=True):
    """An operation that writes: of `changes` seen in answers so many had one of its writes between
    the two answers (`beside`), and so many would have by chance (`expected`)."""

    operation: str
    changes: int
    beside: int
    expected: float

    @property
    def changes_answers(self) -> bool:
        """Whether its writes are followed by other answers more often than chance has it."""
        return self.beside - self.expected > CLEARLY * math.sqrt(max(self.expected, 1.0))


class ChangedBy(msgspec.Struct, frozen=True, eq=False):
    """The writes that change answers, with the keys they changed; and every operation that writes.
    `unexplained`: changes without any write beside them, as a clock or another program makes."""

    changes: Changes
    writers: tuple[Writer, ...]
    unexplained: int


def changed_by(stream: Stream, writes: Mapping[str, Floats]) -> ChangedBy:
    """Find them: `writes` are the times at which each operation's writes were acknowledged."""
    pairs = _pairs(stream)
    low, high, keys = pairs.from_s[pairs.differ], pairs.to_s[pairs.differ], pairs.key[pairs.differ]
    writers, explained = [], np.zeros(len(low), dtype=bool)
    for operation, at_s in writes.items():
        beside = _has_any(at_s, low, high)
        # What chance would do: over all pairs of answers of one key, as long apart as these.
        rate = len(at_s) / max(stream.span_s, 1e-9)
        expected = float((1 - np.exp(-rate * (high - low))).sum())
        writers.append(Writer(operation, len(low), int(beside.sum()), expected))
        explained |= beside
    at, of = [], []
    for writer in writers:
        if writer.changes_answers:
            times = writes[writer.operation]
            last = np.searchsorted(times, high, side="right") - 1
            beside = _has_any(times, low, high)
            at.append(times[last[beside]])
            of.append(keys[beside])
    changes = make_changes(np.concatenate(at), np.concatenate(of)) if at else make_changes()
    return ChangedBy(changes, tuple(writers), int((~explained).sum()))


class _Pairs(NamedTuple):
    """Every two answers of one key that follow each other: from when to when something could have
    changed them, whether they differ, and the key."""

    from_s: Floats
    to_s: Floats
    differ: Flags
    key: Ids


def _pairs(stream: Stream) -> _Pairs:
    order = np.argsort(stream.key, kind="stable")
    key, at_s, digest = stream.key[order], stream.at_s[order], stream.digest[order]
    same = key[1:] == key[:-1]
    from_s = at_s[:-1][same]
    to_s = (at_s + stream.took_s[order])[1:][same]
    differ = np.asarray((digest[1:] != digest[:-1])[same])
    return _Pairs(from_s, np.maximum(to_s, from_s), differ, key[1:][same])


def _has_any(times: Floats, low: Floats, high: Floats) -> Flags:
    first = np.searchsorted(times, low, side="left")
    return np.asarray(first < np.searchsorted(times, high, side="right"))
