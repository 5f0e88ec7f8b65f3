"""What was written and read back while load ran: who was told what, and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from loadpath.drive.rows import Columns, digests_of
from loadpath.flow import Acknowledged
from loadpath.recording.schema import WriteOutcome

if TYPE_CHECKING:
    from loadpath.drive.state import FlowRun

ENTRIES_MAX = 1_000_000
"""Logical requests remembered by one engine process, some 300 bytes each."""

REQUEST_TIMEOUT = 408
"""The one status of 4xx that does not say that nothing was done."""


class Entry:
    """One logical request and its attempts, each `[started_s, ended_s, outcome]`."""

    __slots__ = ("acknowledged", "attempts", "key", "kind", "segment", "token")

    def __init__(self, segment: int, kind: str, token: str, key: str, now: float) -> None:
        self.segment = segment
        self.kind = kind
        self.token = token
        self.key = key
        self.attempts: list[list[float]] = [[now, math.nan, WriteOutcome.INFO]]
        self.acknowledged: Acknowledged | None = None

    def end(self, outcome: WriteOutcome, now: float) -> None:
        """The attempt under way came to that."""
        self.attempts[-1][1:] = now, outcome


class Journal:
    """Attempts of writes and looks at what was acknowledged, for the whole life of an engine.

    `forgotten` counts logical requests beyond `ENTRIES_MAX`, of which nothing is kept.
    """

    def __init__(self) -> None:
        self.segment = 0
        self.entries: list[Entry] = []
        self.forgotten = 0
        self._reads: list[tuple[int, str, str, float, float, bool]] = []

    def attempt(self, run: FlowRun, kind: str, token: str, key: str) -> None:
        """A flow is about to try a write."""
        entry = self._enter(kind, token, key, monotonic())
        if run.attempts is None:
            run.attempts = []
        run.attempts.append(entry)

    def acknowledged(self, run: FlowRun, item: Acknowledged, token: Callable[[], str]) -> None:
        """A flow was told that it was done; without an attempt before, from its own start on.

        `token` makes one for that case.
        """
        now = monotonic()
        entry = next(
            (e for e in run.attempts or () if e.kind == item.kind and e.acknowledged is None), None
        )
        if entry is None:
            entry = self._enter(item.kind, token(), "", run.intended_s)
        entry.acknowledged = item
        entry.end(WriteOutcome.OK, now)
        item._token = entry.token

    def ended(self, run: FlowRun, status: int, now: float) -> None:
        """A flow ended with a reply of that status; what it was not told of was refused or not."""
        refused = 400 <= status < 500 and status != REQUEST_TIMEOUT
        for entry in run.attempts or ():
            if entry.acknowledged is None:
                entry.end(WriteOutcome.FAIL if refused else WriteOutcome.INFO, now)

    def again(self, run: FlowRun, now: float, at_s: float, *, replied: bool) -> None:
        """A request of a flow failed, and is sent again at `at_s`."""
        for entry in run.attempts or ():
            if entry.acknowledged is None:
                entry.end(WriteOutcome.INFO, now if replied else math.nan)
                entry.attempts.append([at_s, math.nan, WriteOutcome.INFO])

    def saw(self, item: Acknowledged, started_s: float, now: float, seen: bool) -> None:
        """Something that was acknowledged was looked for."""
        self._reads.append((self.segment, item.kind, item._token, started_s, now, seen))

    def begin_segment(self, index: int) -> None:
        """What follows belongs to that segment."""
        self.segment = index
        self._reads.clear()

    def of(self, segments: Sequence[int]) -> Iterator[Entry]:
        """The logical requests of those segments, in the order they began."""
        wanted = frozenset(segments)
        return (entry for entry in self.entries if entry.segment in wanted)

    def writes(self, salt: bytes) -> Columns | None:
        """The attempts of this segment as `schema.WRITES`; None when there were none."""
        entries = list(self.of((self.segment,)))
        if not entries:
            return None
        attempts = np.array([each for entry in entries for each in entry.attempts], dtype=float)
        times = np.array([len(entry.attempts) for entry in entries])
        return {
            "segment": np.full(len(attempts), self.segment, np.uint16),
            "kind": np.repeat(np.array([e.kind for e in entries], dtype=object), times),
            "token": np.repeat(digests_of([e.token for e in entries], salt), times),
            "key": np.repeat(digests_of([e.key for e in entries], salt), times),
            "started_s": attempts[:, 0],
            "ended_s": attempts[:, 1],
            "outcome": attempts[:, 2].astype(np.uint8),
        }

    def reads(self, salt: bytes) -> Columns | None:
        """The looks of this segment as `schema.READS`; None when there were none."""
        if not self._reads:
            return None
        segment, kind, token, started_s, ended_s, seen = zip(*self._reads, strict=True)
        return {
            "segment": np.array(segment, np.uint16),
            "kind": np.array(kind, dtype=object),
            "token": digests_of(token, salt),
            "started_s": np.array(started_s),
            "ended_s": np.array(ended_s),
            "seen": np.array(seen, np.bool_),
        }

    def _enter(self, kind: str, token: str, key: str, now: float) -> Entry:
        entry = Entry(self.segment, kind, token, key, now)
        if len(self.entries) < ENTRIES_MAX:
            self.entries.append(entry)
        else:
            self.forgotten += 1
        return entry
