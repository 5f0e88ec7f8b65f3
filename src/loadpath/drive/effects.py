"""Looking for the effects of what flows tried to write, when all is quiet; and what was noted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from time import monotonic

import numpy as np

from loadpath import recording
from loadpath.drive.alone import CHECK_SEGMENT, UNKNOWN_IN_A_ROW_MAX, run_alone
from loadpath.drive.driver import Driver
from loadpath.drive.journal import Entry
from loadpath.drive.plan import EffectsCounted, EffectsWanted, Segment
from loadpath.drive.rows import digests_of
from loadpath.drive.sequential import SequentialClient
from loadpath.drive.state import FlowRun
from loadpath.flow import Attempt
from loadpath.recording.schema import EFFECTS, EFFECTS_UNKNOWN, READS, WRITES


def write_journal(driver: Driver, segment: Segment) -> None:
    """Write what was noted in a segment to its two files; raises `RecordingError`."""
    journal, salt = driver.state.journal, driver.plan.salt
    for path, table, columns in (
        (segment.writes_path, WRITES, journal.writes(salt)),
        (segment.reads_path, READS, journal.reads(salt)),
    ):
        if path is not None and columns is not None:
            recording.write_table(path, table, columns)


class EffectsCounter:
    """Counts effects for a driver whose loop is at rest, one attempt after the other.

    By the `@effects` of a kind; without one, what was acknowledged counts as there once or not at
    all by its `@still_holds`.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._run = 0

    def count(self, wanted: EffectsWanted) -> EffectsCounted:
        """Count, and write what was found to `wanted.path`. Raises `RecordingError`."""
        deadline = monotonic() + wanted.budget_s
        driver = self._driver
        by_kind: dict[str, list[Entry]] = {}
        for entry in driver.state.journal.of(wanted.segments):
            by_kind.setdefault(entry.kind, []).append(entry)
        driver.begin_segment(CHECK_SEGMENT)
        uncounted = []
        found: list[tuple[Entry, float, int]] = []
        client = SequentialClient(driver.address, driver.security)
        try:
            for kind, entries in by_kind.items():
                if kind not in driver.workload.effects and kind not in driver.workload.holds:
                    uncounted.append(kind)
                    continue
                chosen = self._chosen(entries, wanted)
                found += self._count_kind(client, chosen, deadline)
        finally:
            client.close()
        recording.write_table(
            wanted.path,
            EFFECTS,
            {
                "kind": np.array([entry.kind for entry, _, _ in found], dtype=object),
                "token": digests_of([entry.token for entry, _, _ in found], driver.plan.salt),
                "checked_s": np.array([at_s for _, at_s, _ in found], dtype=float),
                "effects": np.array([effects for _, _, effects in found], dtype=np.uint32),
            },
        )
        return EffectsCounted(
            looked_for=len(found),
            total=sum(len(entries) for entries in by_kind.values()),
            unknown=sum(effects == EFFECTS_UNKNOWN for _, _, effects in found),
            uncounted_kinds=tuple(uncounted),
        )

    def _chosen(self, entries: Sequence[Entry], wanted: EffectsWanted) -> Sequence[Entry]:
        if len(entries) <= wanted.limit:
            return entries
        near_s = wanted.near_s
        if near_s is None:
            return random.Random(self._driver.plan.seed).sample(entries, wanted.limit)

        def distance(entry: Entry) -> float:
            started_s, ended_s, _ = entry.attempts[-1]
            return abs((started_s if np.isnan(ended_s) else ended_s) - near_s)

        return sorted(entries, key=distance)[: wanted.limit]

    def _count_kind(
        self, client: SequentialClient, entries: Sequence[Entry], deadline: float
    ) -> list[tuple[Entry, float, int]]:
        found = []
        unknown_in_a_row = 0
        for entry in entries:
            if monotonic() > deadline or unknown_in_a_row >= UNKNOWN_IN_A_ROW_MAX:
                break
            effects = self._effects(client, entry, deadline)
            unknown_in_a_row = unknown_in_a_row + 1 if effects is None else 0
            found.append((entry, monotonic(), EFFECTS_UNKNOWN if effects is None else effects))
        return found

    def _effects(self, client: SequentialClient, entry: Entry, deadline: float) -> int | None:
        """How often it is there; None: it could not be told."""
        workload, flows = self._driver.workload, self._driver.flows
        self._run += 1
        run = FlowRun((self._run, 0, monotonic(), 0, None), self._run)
        item = entry.acknowledged
        count = workload.effects.get(entry.kind)
        if count is not None:
            attempt = Attempt(entry.kind, entry.token, entry.key, item)
            outcome = flows.start_count(run, count, attempt)
        elif item is not None:
            outcome = flows.start_check(run, workload.holds[entry.kind], item)
        else:
            return None
        done = run_alone(flows, run, outcome, client, deadline)
        if done.why is not None or run.unsure:
            return None
        returned = run.returned
        if count is None:
            return int(bool(returned))
        if isinstance(returned, int) and 0 <= returned < EFFECTS_UNKNOWN:
            return int(returned)
        return None
