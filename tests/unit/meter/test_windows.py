"""Figures between two moments, from tables written by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.meter import Usage, window
from loadpath.meter.tables import Columns, Tick, to_tables

Row = tuple[Any, ...]


class Scene:
    """A machine of two cores with one process: a busy main thread and a quiet one.

    Samples lie a second apart, from 100 s on.
    """

    def __init__(self, ticks: int = 11) -> None:
        self.ticks = [
            Tick(host=self.host(100.0 + i), processes=[], threads=[]) for i in range(ticks)
        ]
        for tick in self.ticks:
            at_s = tick.host[0]
            self.process(at_s, 10, 0.9 * (at_s - 100) + 7)
            self.thread(
                at_s, 10, 10, 0.8 * (at_s - 100) + 5, wait_s=0.15 * (at_s - 100), name="loop"
            )
            self.thread(at_s, 10, 11, 0.1 * (at_s - 100) + 2, name="tokio")

    @staticmethod
    def host(at_s: float) -> Row:
        """1.2 of 2 cores busy, 0.05 by others, 0.1 stolen."""
        since = at_s - 100
        return (
            at_s,
            1.2 * since,
            0.6 * since,
            0.1 * since,
            0.1 * since,
            0.05 * since,
            0.02 * since,
            0.3 * since,
            2,
        )

    def tick(self, at_s: float) -> Tick:
        """The sample at that time."""
        return next(tick for tick in self.ticks if tick.host[0] == at_s)

    def process(
        self,
        at_s: float,
        pid: int,
        cpu_s: float,
        *,
        children_cpu_s: float = 0.0,
        part: str = "service",
        started_s: float = 3.0,
    ) -> None:
        """A row of `processes`."""
        row = (at_s, pid, 1, started_s, part, "app", cpu_s, children_cpu_s, 1000 * pid, 2)
        self.tick(at_s).processes.append(row)

    def thread(
        self, at_s: float, pid: int, tid: int, cpu_s: float, *, name: str, wait_s: float = 0.0
    ) -> None:
        """A row of `threads`."""
        self.tick(at_s).threads.append((at_s, pid, tid, "service", name, cpu_s, wait_s))

    def use(self, from_s: float, to_s: float) -> Usage:
        """The window of it."""
        tables = to_tables(self.ticks)
        return window(tables.threads, tables.processes, tables.host, from_s, to_s)


@given(st.floats(100, 109.8), st.floats(0.1, 10))
def test_steady_use_is_the_same_in_every_window(from_s: float, length: float) -> None:
    """Wherever its ends fall between samples."""
    found = Scene().use(from_s, min(from_s + length, 110.0))
    assert found.covered_ratio == pytest.approx(1)
    assert found.cpu_cores("service") == pytest.approx(0.9)
    (process,) = found.processes
    assert process.cpu_cores == pytest.approx(0.9)
    assert (process.pid, process.kind, process.rss_bytes) == (10, "app", 10_000)
    loop, quiet = found.threads
    assert (loop.name, quiet.name) == ("loop", "tokio")
    assert loop.cpu_cores == pytest.approx(0.8)
    assert loop.wait_share == pytest.approx(0.15)
    assert quiet.cpu_cores == pytest.approx(0.1)
    assert found.busiest_thread("service") == loop
    host = found.host
    assert host.cores == 2
    assert host.busy_cores == pytest.approx(1.2)
    assert host.others_cores == pytest.approx(0.05)
    assert host.steal_cores == pytest.approx(0.1)
    assert host.kernel_cores == pytest.approx(0.02)
    assert host.pressure == pytest.approx(0.3)


def test_parts_that_are_not_there_used_nothing() -> None:
    """Asking for them is no error."""
    found = Scene().use(101, 105)
    assert found.cpu_cores("cache") == 0
    assert found.busiest_thread("cache") is None


def test_a_process_born_in_the_window_counts_from_its_birth() -> None:
    """Started at 104.5, first seen at 105 with 0.3 s used, then 0.5 s a second."""
    scene = Scene()
    for at_s in range(105, 111):
        cpu_s = 0.3 + 0.5 * (at_s - 105)
        scene.process(float(at_s), 20, cpu_s, part="cache", started_s=104.5)
    found = scene.use(102, 107)
    assert found.cpu_by_part["cache"] == pytest.approx(1.3)
    assert {p.pid: p.cpu_s for p in found.processes}[20] == pytest.approx(1.3)
    assert scene.use(102, 104.5).cpu_by_part["cache"] == pytest.approx(0.15)


def test_a_process_that_ended_keeps_what_it_used() -> None:
    """Last seen at 104, then gone."""
    scene = Scene()
    for at_s in range(100, 105):
        scene.process(float(at_s), 20, 0.5 * (at_s - 100), part="cache")
    found = scene.use(103, 109)
    assert found.cpu_by_part["cache"] == pytest.approx(0.5)
    assert {p.pid: p.cpu_s for p in found.processes}[20] == pytest.approx(0.5)


def test_what_was_reaped_counts_for_the_part() -> None:
    """Children too short to be seen appear in no process, but in the part."""
    scene = Scene(1)
    for at_s in range(101, 106):
        scene.ticks.append(Tick(host=Scene.host(at_s), processes=[], threads=[]))
        scene.process(at_s, 10, 7.0, children_cpu_s=0.4 * (at_s - 101))
    found = scene.use(101, 105)
    assert found.cpu_by_part["service"] == pytest.approx(1.6)
    assert found.processes[0].cpu_s == 0


def test_a_thread_started_in_the_window_counts_from_its_start() -> None:
    """A pool grows under load; a process seen for the first time is old, and so are its threads."""
    scene = Scene()
    for at_s in range(104, 111):
        scene.thread(float(at_s), 10, 12, 0.2 + 0.3 * (at_s - 104), name="pool")
        scene.process(float(at_s), 30, 100.0 + at_s, part="late")
        scene.thread(float(at_s), 30, 30, 100.0 + at_s, name="old")
    threads = {thread.name: thread.cpu_s for thread in scene.use(102, 106).threads}
    assert threads["pool"] == pytest.approx(0.8)
    assert threads["old"] == pytest.approx(2.0)


def test_two_processes_of_one_id_are_two() -> None:
    """The kernel hands ids out again."""
    scene = Scene()
    scene.process(103.0, 20, 9.0, part="cache", started_s=50.0)
    scene.process(104.0, 20, 9.5, part="cache", started_s=50.0)
    scene.process(106.0, 20, 0.2, part="cache", started_s=105.5)
    scene.process(107.0, 20, 0.6, part="cache", started_s=105.5)
    found = scene.use(100, 110)
    assert sorted(p.cpu_s for p in found.processes if p.pid == 20) == [
        pytest.approx(0.5),
        pytest.approx(0.6),
    ]
    assert found.cpu_by_part["cache"] == pytest.approx(1.1)


def test_unsampled_stretches_are_said() -> None:
    """Half of the window lies after the last sample, or in a gap of several seconds."""
    assert Scene().use(105, 115).covered_ratio == pytest.approx(0.5)
    scene = Scene()
    scene.ticks = [tick for tick in scene.ticks if not 103 < tick.host[0] < 108]
    assert scene.use(101, 110).covered_ratio == pytest.approx(4 / 9)


def test_without_samples_nothing_is_known() -> None:
    """And nothing fails."""
    found = window(*_empty(), 5.0, 6.0)
    assert found.covered_ratio == 0
    assert found.cpu_by_part == {}
    assert found.host.cores == 0
    assert math.isnan(found.host.pressure)


def _empty() -> tuple[Columns, Columns, Columns]:
    tables = to_tables([])
    return tables.threads, tables.processes, tables.host


def test_counters_that_step_back_never_give_less_than_nothing() -> None:
    """What others used is a difference of two inexact figures."""
    scene = Scene(2)
    for tick in scene.ticks:
        row = list(tick.host)
        row[5] = -0.01 * (row[0] - 100)
        scene.ticks[scene.ticks.index(tick)] = Tick(
            host=tuple(row), processes=tick.processes, threads=tick.threads
        )
    assert scene.use(100, 101).host.others_cores == 0


def test_what_the_kernel_hides_is_unknown_not_zero() -> None:
    """In a container its threads cannot be seen, and pressure need not be kept."""
    tables = to_tables(Scene().ticks)
    hidden = {**tables.host, "kernel_s": tables.host["kernel_s"] * np.nan}
    found = window(tables.threads, tables.processes, hidden, 101, 105).host
    assert math.isnan(found.kernel_cores)
    assert found.others_cores == pytest.approx(0.05)


def test_an_empty_window_is_refused() -> None:
    """It has no rate."""
    with pytest.raises(ValueError, match="empty window"):
        Scene().use(105, 105)


def test_ten_minutes_of_samples_are_judged_in_no_time() -> None:
    """Only the rows around the window are looked at, so many windows of a long run are cheap."""
    scene = Scene(2)
    rows = 2400
    host = np.array([Scene.host(100 + i / 4) for i in range(rows)])
    tables = to_tables(scene.ticks)
    columns = {name: host[:, place] for place, name in enumerate(tables.host)}
    columns["cores"] = np.full(rows, 2)
    found = window(tables.threads, tables.processes, columns, 300, 310)
    assert found.host.busy_cores == pytest.approx(1.2)
    assert found.processes == ()
