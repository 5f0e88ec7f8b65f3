"""Identifiers that are unique across processes, ordered by time and fit a PostgreSQL bigint.

An id is 41 bits of milliseconds since 2024-01-01, 12 bits of worker number, 10 bits of sequence
(the layout that Twitter published as Snowflake, 2010). A worker number comes from a database
sequence, so two live processes share one only if 4,096 were started in between. A random number
would collide by the birthday bound, and a row whose id collides is taken for a duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["EPOCH_MS", "WORKERS", "IdGenerator", "first_id_at", "time_of_id_s"]

EPOCH_MS = 1_704_067_200_000
WORKERS = 1 << 12
_SEQUENCE_BITS = 10
_SEQUENCES = 1 << _SEQUENCE_BITS
_TIME_SHIFT = 12 + _SEQUENCE_BITS


class IdGenerator:
    """Gives ids of one worker, each larger than the last even when the clock steps back."""

    def __init__(self, worker: int, *, clock_s: Callable[[], float] = time.time) -> None:
        self._worker_bits = (worker % WORKERS) << _SEQUENCE_BITS
        self._clock_s = clock_s
        self._last_ms = 0
        self._sequence = 0

    def next(self) -> int:
        """The next id."""
        now_ms = int(self._clock_s() * 1000) - EPOCH_MS
        if now_ms > self._last_ms:
            self._last_ms = now_ms
            self._sequence = 0
        else:
            self._sequence += 1
            if self._sequence == _SEQUENCES:
                # A burst of more than 1,024 in a millisecond borrows from the next one.
                self._last_ms += 1
                self._sequence = 0
        return (self._last_ms << _TIME_SHIFT) | self._worker_bits | self._sequence


def time_of_id_s(identifier: int) -> float:
    """When the id was given, Unix time in seconds (to the millisecond)."""
    return ((identifier >> _TIME_SHIFT) + EPOCH_MS) / 1000


def first_id_at(moment_ms: int) -> int:
    """The smallest id of that millisecond (Unix time); negative before 2024."""
    return (moment_ms - EPOCH_MS) << _TIME_SHIFT
