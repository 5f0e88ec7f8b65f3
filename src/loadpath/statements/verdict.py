"""Whether an index is worth having: what all statements do with it, writes included. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from loadpath.statements.course import mean_of
from loadpath.statements.reading import read
from loadpath.statements.record import AtSize, IndexRecord, StatementRecord

Verdict: TypeAlias = Literal["kept", "trade", "rejected", "unbuilt"]

PAGE_BYTES: Final = 8192.0
GAIN_MIN: Final = 0.001
"""Of the work of the whole workload, writes included: less is no gain."""

HELPED_TO: Final = 0.7
HARMED_TO: Final = 1.3
HARMED_PAGES: Final = 8.0
"""A statement is helped below that share of its pages, and harmed above the other and by more than
so many pages: the tree of an index is no harm."""

ALIKE_TIMES: Final = 1.25
ALIKE_PAGES: Final = 2.0
"""An index that leaves a statement hardly more pages than the best one does is as good."""

COPY_SHARE: Final = 0.4
"""An index that carries further columns and takes this share of its table is a copy of it."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an index does to one statement, in mean pages a call."""

    number: int
    shape: str
    before: float
    after: float

    @property
    def times(self) -> float:
        """After ÷ before."""
        return self.after / max(self.before, 1.0)


class IndexVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """An index that was tried: what it does to the workload, and to each statement it changes.

    `work_before` and `work_after` are pages a second of the whole workload, the log of writes
    included; `write_pages` and `write_wal_bytes` what a write of that table costs more, in pages
    and in bytes of the log, on average.
    """

    record: IndexRecord
    verdict: Verdict
    work_before: float
    work_after: float
    helped: tuple[Change, ...] = ()
    harmed: tuple[Change, ...] = ()
    write_pages: float = 0.0
    write_wal_bytes: float = 0.0
    recommended: bool = False

    @property
    def gain(self) -> float:
        """The share of the work that it takes away."""
        return 1.0 - self.work_after / self.work_before if self.work_before else 0.0


def verdicts(
    indexes: Sequence[IndexRecord],
    records: Sequence[StatementRecord],
    table_bytes: Mapping[str, int] | None = None,
) -> list[IndexVerdict]:
    """Judge every index, and recommend the fewest that help all that is helped.

    Of those that do as well for the same statements, the smallest. The best come first.
    `table_bytes` are of today's tables.
    """
    found = sorted(
        (_verdict(index, records, table_bytes or {}) for index in indexes),
        key=lambda v: (-v.gain, v.record.bytes),
    )
    served: set[int] = set()
    chosen: set[str] = set()
    for each in found:
        if each.verdict != "kept":
            continue
        new = {change.number for change in each.helped} - served
        if not new:
            continue
        best = _cheapest(each, found, new)
        chosen.add(best.record.name)
        served |= {change.number for change in best.helped}
    return [msgspec.structs.replace(each, recommended=each.record.name in chosen) for each in found]


def _cheapest(best: IndexVerdict, found: Sequence[IndexVerdict], new: set[int]) -> IndexVerdict:
    left = {change.number: change.after for change in best.helped if change.number in new}

    def does_as_well(each: IndexVerdict) -> bool:
        own = {change.number: change.after for change in each.helped}
        return each.verdict == "kept" and all(
            number in own and own[number] <= ALIKE_TIMES * after + ALIKE_PAGES
            for number, after in left.items()
        )

    alike = [each for each in found if does_as_well(each)]
    return min(alike, key=lambda each: (each.record.bytes, len(each.record.ddl)), default=best)


def _verdict(
    index: IndexRecord, records: Sequence[StatementRecord], table_bytes: Mapping[str, int]
) -> IndexVerdict:
    if index.problem:
        return IndexVerdict(record=index, verdict="unbuilt", work_before=0.0, work_after=0.0)
    before = after = 0.0
    helped, harmed = [], []
    pages, wal = [], []
    for number, record in enumerate(records):
        was = next((each for each in record.at if each.size == index.size), None)
        if was is None:
            continue
        # What does not touch the table was not measured again.
        now = index.statements.get(number, was)
        was_work, now_work = _work(was, record), _work(now, record)
        if math.isnan(was_work) or math.isnan(now_work):
            continue
        before += record.calls_per_s * was_work
        after += record.calls_per_s * now_work
        change = Change(
            number=number,
            shape=record.shape,
            before=mean_of(was, record.counts, lambda r: r.buffers),
            after=mean_of(now, record.counts, lambda r: r.buffers),
        )
        statement = read(record.shape)
        if change.times <= HELPED_TO and change.before - change.after > HARMED_PAGES:
            helped.append(change)
        elif index.table in statement.written:
            pages.append(change.after - change.before)
            wal.append(
                mean_of(now, record.counts, lambda r: r.wal_bytes)
                - mean_of(was, record.counts, lambda r: r.wal_bytes)
            )
        if change.times >= HARMED_TO and change.after - change.before > HARMED_PAGES:
            harmed.append(change)
    gains = before > 0 and 1.0 - after / before >= GAIN_MIN
    verdict: Verdict = "rejected"
    of_table = table_bytes.get(index.table, 0) * index.size.times
    copies = " INCLUDE (" in index.ddl and 0 < of_table * COPY_SHARE < index.bytes
    if helped and gains and not copies:
        verdict = "trade" if harmed else "kept"
    return IndexVerdict(
        record=index,
        verdict=verdict,
        work_before=before,
        work_after=after,
        helped=tuple(sorted(helped, key=lambda c: c.times)),
        harmed=tuple(sorted(harmed, key=lambda c: -c.times)),
        write_pages=sum(pages) / len(pages) if pages else 0.0,
        write_wal_bytes=sum(wal) / len(wal) if wal else 0.0,
    )


def _work(at: AtSize, record: StatementRecord) -> float:
    """Pages a call, what a write adds to the log counted as pages."""
    return mean_of(at, record.counts, lambda r: r.buffers + r.wal_bytes / PAGE_BYTES)
