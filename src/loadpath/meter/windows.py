"""Who used how much CPU between two moments, from metered tables alone. Pure.

Samples lie a quarter of a second apart; between them CPU time is taken to grow evenly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.meter.ledger import Entry, Ledger
from loadpath.meter.proc import TICK_S
from loadpath.meter.tables import Columns

Floats: TypeAlias = npt.NDArray[np.float64]

GAP_MAX_S = 2.0
"""Samples further apart than this leave what is between them uncovered."""


class ThreadUse(msgspec.Struct, frozen=True, kw_only=True):
    """One thread. `cpu_cores` is the share of the window it ran, `wait_share` the share it stood
    runnable without a CPU (nan: not known): near 1 together, it had no time left."""

    part: str
    pid: int
    tid: int
    name: str
    cpu_s: float
    cpu_cores: float
    wait_share: float


class ProcessUse(msgspec.Struct, frozen=True, kw_only=True):
    """One process, ended threads included, ended children not.

    `kind` is its name, of PostgreSQL's processes what they do: `backend`, `walwriter` …
    """

    part: str
    pid: int
    kind: str
    cpu_s: float
    cpu_cores: float
    rss_bytes: int
    threads: int


class HostUse(msgspec.Struct, frozen=True, kw_only=True):
    """The machine: how many of its `cores` were busy, idle, taken by the hypervisor; and of the
    busy ones, how many by processes that are not the run's, how many by the kernel's own threads
    (nan: not visible). `pressure` is the share of the window anything waited for a CPU (nan: not
    known)."""

    cores: int
    busy_cores: float
    idle_cores: float
    iowait_cores: float
    steal_cores: float
    others_cores: float
    kernel_cores: float
    pressure: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything between two moments. `cpu_by_part`, CPU seconds, counts what ended as well;
    `processes` and `threads` are in order of use, most first. `covered_ratio`: how much of the
    window was sampled.
    """

    from_s: float
    to_s: float
    covered_ratio: float
    cpu_by_part: dict[str, float]
    processes: tuple[ProcessUse, ...]
    threads: tuple[ThreadUse, ...]
    host: HostUse

    def cpu_cores(self, part: str) -> float:
        """Cores that a part used on average; 0 for one that is not known."""
        return self.cpu_by_part.get(part, 0.0) / (self.to_s - self.from_s)

    def busiest_thread(self, part: str) -> ThreadUse | None:
        """The thread of a part that ran most."""
        return next((thread for thread in self.threads if thread.part == part), None)


def window(
    threads: Columns, processes: Columns, host: Columns, from_s: float, to_s: float
) -> Usage:
    """What was used in [from_s, to_s), monotonic seconds. Raises `ValueError` for an empty window.

    The tables are as docs/reference/recording.md has them, and may cover more. Without samples in
    the window everything is 0, and `covered_ratio` says so.
    """
    if not from_s < to_s:
        raise ValueError(f"an empty window: from {from_s} to {to_s}")
    ticks = np.unique(host["at_s"])
    # One sample either side is enough to interpolate with.
    first = max(int(np.searchsorted(ticks, from_s, side="right")) - 1, 0)
    last = min(int(np.searchsorted(ticks, to_s, side="left")) + 1, len(ticks))
    ticks = ticks[first:last]
    span = Span(from_s, to_s, ticks)
    threads, processes = _cut(threads, ticks), _cut(processes, ticks)
    return Usage(
        from_s=span.from_s,
        to_s=span.to_s,
        covered_ratio=span.covered_ratio(),
        cpu_by_part=_part_cpu(processes, span),
        processes=_process_use(processes, span),
        threads=_thread_use(threads, processes, span),
        host=_host_use(_cut(host, ticks), span),
    )


class Span:
    """A window and the sample times around it."""

    def __init__(self, from_s: float, to_s: float, ticks: Floats) -> None:
        self.from_s = float(from_s)
        self.to_s = float(to_s)
        self.duration_s = self.to_s - self.from_s
        self.ticks = ticks

    def growth(self, at_s: Floats, total: Floats) -> float:
        """How much a cumulative figure grew within the window."""
        if len(at_s) == 0:
            return 0.0
        start, end = np.interp([self.from_s, self.to_s], at_s, total)
        return max(float(end - start), 0.0)

    def tick_before(self, at_s: float) -> float | None:
        """The sample before the one at `at_s`; None for the first."""
        place = int(np.searchsorted(self.ticks, at_s))
        return float(self.ticks[place - 1]) if place > 0 else None

    def covered_ratio(self) -> float:
        """The share of the window that lies between samples close enough to each other."""
        if len(self.ticks) < 2:
            return 0.0
        starts, ends = self.ticks[:-1], self.ticks[1:]
        inside = np.minimum(ends, self.to_s) - np.maximum(starts, self.from_s)
        close = ends - starts <= GAP_MAX_S
        return float(np.clip(inside[close], 0, None).sum()) / self.duration_s


def _cut(table: Columns, ticks: Floats) -> Columns:
    """The rows of the given samples, in the order of time (rows of one sample keep theirs)."""
    if len(ticks) == 0:
        return {name: values[:0] for name, values in table.items()}
    inside = (table["at_s"] >= ticks[0]) & (table["at_s"] <= ticks[-1])
    order = np.flatnonzero(inside)[np.argsort(table["at_s"][inside], kind="stable")]
    return {name: values[order] for name, values in table.items()}


def _part_cpu(processes: Columns, span: Span) -> dict[str, float]:
    ledger = Ledger()
    names = ("pid", "parent", "started_s", "part", "cpu_s", "children_cpu_s")
    history: list[dict[str, float]] = []
    edges = np.searchsorted(processes["at_s"], span.ticks)
    edges = np.append(edges, len(processes["at_s"]))
    for place, tick_s in enumerate(span.ticks):
        rows = slice(edges[place], edges[place + 1])
        columns = [processes[name][rows].tolist() for name in names]
        ledger.add(float(tick_s), (Entry(*row) for row in zip(*columns, strict=True)))
        history.append(dict(ledger.totals))
    return {
        part: span.growth(span.ticks, np.array([totals.get(part, 0.0) for totals in history]))
        for part in ledger.totals
    }


def _process_use(processes: Columns, span: Span) -> tuple[ProcessUse, ...]:
    found = []
    for rows in _groups(processes, "pid", "started_s"):
        at_s, cpu_s = _with_birth(
            processes["at_s"][rows],
            processes["cpu_s"][rows],
            _born_after(processes, rows[0], span),
        )
        last = rows[-1]
        grown_s = span.growth(at_s, cpu_s)
        found.append(
            ProcessUse(
                part=str(processes["part"][last]),
                pid=int(processes["pid"][last]),
                kind=str(processes["name"][last]),
                cpu_s=grown_s,
                cpu_cores=grown_s / span.duration_s,
                rss_bytes=int(processes["rss_bytes"][rows].max()),
                threads=int(processes["threads"][rows].max()),
            )
        )
    return tuple(sorted(found, key=lambda use: -use.cpu_s))


def _thread_use(threads: Columns, processes: Columns, span: Span) -> tuple[ThreadUse, ...]:
    # Since when a process is known: a thread first seen later than that was started since.
    known: dict[int, float] = {}
    young: dict[int, float | None] = {}
    for rows in _groups(processes, "pid", "started_s"):
        pid = int(processes["pid"][rows[0]])
        known[pid] = float(processes["at_s"][rows[0]])
        young[pid] = _born_after(processes, rows[0], span)
    found = []
    for rows in _groups(threads, "pid", "tid"):
        first, last = rows[0], rows[-1]
        pid, first_s = int(threads["pid"][first]), float(threads["at_s"][first])
        late = first_s > known.get(pid, first_s)
        born_s = span.tick_before(first_s) if late else young.get(pid)
        use = {}
        for column in ("cpu_s", "wait_s"):
            total = np.maximum.accumulate(threads[column][rows])
            use[column] = span.growth(*_with_birth(threads["at_s"][rows], total, born_s))
        found.append(
            ThreadUse(
                part=str(threads["part"][last]),
                pid=pid,
                tid=int(threads["tid"][last]),
                name=str(threads["name"][last]),
                cpu_s=use["cpu_s"],
                cpu_cores=use["cpu_s"] / span.duration_s,
                wait_share=use["wait_s"] / span.duration_s,
            )
        )
    return tuple(sorted(found, key=lambda use: -use.cpu_s))


def _host_use(host: Columns, span: Span) -> HostUse:
    def cores(column: str) -> float:
        if np.isnan(host[column]).any():
            return math.nan
        return span.growth(host["at_s"], host[column]) / span.duration_s

    if len(host["at_s"]) == 0:
        return HostUse(
            cores=0,
            busy_cores=0.0,
            idle_cores=0.0,
            iowait_cores=0.0,
            steal_cores=0.0,
            others_cores=0.0,
            kernel_cores=math.nan,
            pressure=math.nan,
        )
    return HostUse(
        cores=int(host["cores"][-1]),
        busy_cores=cores("busy_s"),
        idle_cores=cores("idle_s"),
        iowait_cores=cores("iowait_s"),
        steal_cores=cores("steal_s"),
        others_cores=cores("others_s"),
        kernel_cores=cores("kernel_s"),
        pressure=cores("pressure_s"),
    )


def _born_after(processes: Columns, row: int, span: Span) -> float | None:
    """When a process that appears at `row` had used nothing yet; None when it is too old."""
    before_s = span.tick_before(float(processes["at_s"][row]))
    started_s = float(processes["started_s"][row])
    if before_s is None or started_s < before_s - 2 * TICK_S:
        return None
    return max(before_s, started_s)


def _with_birth(at_s: Floats, total: Floats, born_s: float | None) -> tuple[Floats, Floats]:
    if born_s is None or born_s >= at_s[0]:
        return at_s, total
    return np.r_[born_s, at_s], np.r_[0.0, total]


def _groups(table: Columns, *by: str) -> Iterator[npt.NDArray[Any]]:
    """Row numbers of the rows that agree in the columns `by`, each group in the order of time."""
    if len(table["at_s"]) == 0:
        return
    order = np.lexsort([table[name] for name in reversed(by)])
    changed = np.zeros(len(order), dtype=np.bool_)
    for name in by:
        values = table[name][order]
        changed[1:] |= values[1:] != values[:-1]
    yield from np.split(order, np.flatnonzero(changed))
