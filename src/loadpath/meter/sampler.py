"""The meter: a thread that looks at every process of a run, four times a second."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

import msgspec

from loadpath.errors import WouldNotRunError
from loadpath.meter.kernel import KernelThreads
from loadpath.meter.ledger import Entry, Ledger
from loadpath.meter.names import Names
from loadpath.meter.proc import available, read_host, read_thread
from loadpath.meter.tables import MeterTables, Tick, to_tables
from loadpath.meter.tree import Member, Parts, Tree

OWN_PART = "loadpath"
"""The part that this process belongs to unless the caller says otherwise."""

TICKS_MAX = 4096
"""Samples kept between two calls of `take`; beyond that every second one is dropped."""


class MeterCost(msgspec.Struct, frozen=True):
    """What metering itself took: CPU time in all, and the longest single sample by the clock."""

    ticks: int
    cpu_s: float
    longest_s: float


class Meter:
    """Samples CPU time, run-queue wait and memory of the processes of `parts`, and the host's.

    `parts` gives root process ids by part; all their descendants are included, but for those
    of another part. It is called from another thread before every sample. This process is metered
    too, as part `loadpath`, unless a part names it.

    Raises `WouldNotRunError` on a system without /proc. An error in the sampling thread is raised
    by the next `take` or `stop`.
    """

    def __init__(
        self,
        parts: Callable[[], Parts],
        interval_s: float = 0.25,
        ticks_max: int = TICKS_MAX,
    ) -> None:
        if not available():
            raise WouldNotRunError(
                "CPU cannot be metered here: there is no /proc",
                advice="Run on Linux; on other systems `check`, `serve` and `report` work.",
            )
        self._parts = parts
        self._interval_s = interval_s
        self._ticks_max = ticks_max
        self._tree = Tree()
        self._ledger = Ledger()
        self._kernel = KernelThreads()
        self._names = Names()
        self._ticks: list[Tick] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._cost = MeterCost(0, 0.0, 0.0)

    def start(self) -> None:
        """Take the first sample and begin."""
        self._sample()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples. Those not taken yet can still be. Does nothing when not started."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._raise_error()

    def take(self) -> MeterTables:
        """What was sampled since the last call, with one more sample made now unless stopped."""
        self._raise_error()
        if not self._stopping.is_set():
            self._sample()
        with self._lock:
            ticks, self._ticks = self._ticks, []
        return to_tables(ticks)

    @property
    def cost(self) -> MeterCost:
        """What sampling took so far."""
        return self._cost

    def __enter__(self) -> Meter:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            # Samples that were missed are not made up for: two at once would tell nothing.
            due_s = max(due_s + self._interval_s, time.monotonic())
            if self._stopping.wait(due_s - time.monotonic()):
                return
            try:
                self._sample()
            except BaseException as error:  # noqa: BLE001 - raised by take and stop
                self._error = error
                return

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _sample(self) -> None:
        with self._lock:
            cpu_before_s, before_s = time.thread_time(), time.monotonic()
            tick = self._look()
            if len(self._ticks) >= self._ticks_max:
                del self._ticks[1::2]
            self._ticks.append(tick)
            took_s = time.monotonic() - before_s
            self._cost = MeterCost(
                self._cost.ticks + 1,
                self._cost.cpu_s + time.thread_time() - cpu_before_s,
                max(self._cost.longest_s, took_s),
            )

    def _look(self) -> Tick:
        parts = self._parts()
        if not any(os.getpid() in pids for pids in parts.values()):
            parts = {OWN_PART: (os.getpid(),), **parts}
        host = read_host()
        members = self._tree.walk(parts)
        self._ledger.add(host.at_s, (_entry(member) for member in members))
        ours_s = sum(self._ledger.totals.values())
        kernel_s = self._kernel.add()
        tick = Tick(
            host=(
                host.at_s,
                host.busy_s,
                host.idle_s,
                host.iowait_s,
                host.steal_s,
                host.busy_s - ours_s - kernel_s,
                kernel_s if self._kernel.visible else math.nan,
                host.pressure_s,
                host.cores,
            ),
            processes=[],
            threads=[],
        )
        for member in members:
            self._look_at(member, host.at_s, tick)
        self._names.forget_others()
        return tick

    def _look_at(self, member: Member, at_s: float, tick: Tick) -> None:
        part, process, tids = member
        name = self._names.of_process(process.pid, process.comm)
        tick.processes.append(
            (
                at_s,
                process.pid,
                process.parent,
                process.started_s,
                part,
                name,
                process.cpu_s,
                process.children_cpu_s,
                process.rss_bytes,
                process.threads,
            )
        )
        for tid in tids:
            thread = read_thread(process.pid, tid)
            if thread is not None:
                main = tid == process.pid
                called = name if main else self._names.of_thread(process.pid, tid)
                tick.threads.append(
                    (at_s, process.pid, tid, part, called, thread.cpu_s, thread.wait_s)
                )


def _entry(member: Member) -> Entry:
    process = member.process
    return Entry(
        process.pid,
        process.parent,
        process.started_s,
        member.part,
        process.cpu_s,
        process.children_cpu_s,
    )
