"""Which resource ran out: every thread, process, pool and the host's cores, by how full they were.

The bottleneck is the resource whose utilization reaches its limit first on the way to the knee. A
thread can use one core. A process that holds a global interpreter lock can use one core with all
its Python threads together. All processes together can use the host's cores, and so a thread that
is ready to run but waits for a core is a sign of the host, not of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from loadpath.experiment.knee import measured_window
from loadpath.meter import Usage, window
from loadpath.recording import Recording, SegmentRecord
from loadpath.spec import Setup

ResourceKind: TypeAlias = Literal["thread", "process", "cores", "engine", "pool", "limit"]

THREAD_FULL = 0.88
"""A thread this busy has no room left: the rest of its core goes to interrupts and switching."""

CORES_FULL = 0.95
"""So much of all cores busy and whoever becomes ready waits."""

CORES_SHARED = 0.75
"""From here on a thread that waits for a core waits because others use them."""

POOL_FULL = 0.85
"""Connections this busy leave none for the next request; the rest is the way to and fro."""

WANTED_FULL = 0.8
"""A thread that runs or stands ready for so much of the time has none left for a burst."""

WAITING = 0.12
"""A thread that is ready but not running for so much of the time wants a core it does not get."""

IDLE_STATES = ("idle", "disabled", "")

EVENT_LOOP_SERVERS = ("granian", "uvicorn", "hypercorn", "daphne", "node", "bun", "deno", "sanic")


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource at one load. `utilization` is the share of its limit that was used.

    `waiting` is, for a thread, the share of the time it was ready to run and did not get a core.
    `note` says what else shows it. A `limit` is one on requests in service at once, of which name
    and note say all there is to say.
    """

    kind: ResourceKind
    part: str
    name: str
    utilization: float
    unit: str
    waiting: float = 0.0
    note: str = ""

    @property
    def full(self) -> bool:
        """Whether it had nothing left to give."""
        limits = {"cores": CORES_FULL, "pool": POOL_FULL}
        return self.utilization >= limits.get(self.kind, THREAD_FULL)

    @property
    def starved(self) -> bool:
        """Whether a thread had no time left only because it was kept waiting for a core."""
        wanted = self.utilization + self.waiting
        return self.kind == "thread" and self.waiting > WAITING and wanted >= WANTED_FULL

    def describe(self) -> str:
        """`the one worker's event loop, 97 % of a core`."""
        if self.kind == "limit":
            return f"{self.name}: {self.note}" if self.note else self.name
        said = f"{self.name}, {self.utilization * 100:.0f} % of {self.unit}"
        return f"{said}: {self.note}" if self.note else said


def usage_in(recording: Recording, segment: SegmentRecord) -> Usage:
    """What every part used in the measured part of a segment."""
    return window(
        recording.table("threads", segment.index),
        recording.table("processes", segment.index),
        recording.table("host", segment.index),
        *measured_window(segment),
    )


def connections_in(recording: Recording, segment: SegmentRecord) -> list[Resource]:
    """The service's connections to PostgreSQL, as PostgreSQL saw them in a segment.

    A connection is busy while it runs a statement or sits in an open transaction. When all of them
    are busy nearly all the time, whoever needs one waits, however idle the CPU.
    """
    rows = recording.table("postgres", segment.index)
    from_s, to_s = measured_window(segment)
    inside = (rows["at_s"] >= from_s) & (rows["at_s"] < to_s)
    found = []
    for part in sorted(set(rows["part"][inside])):
        chosen = inside & (rows["part"] == part)
        samples = len(np.unique(rows["at_s"][chosen]))
        backends = rows["backends"][chosen].astype(float)
        busy = ~np.isin(rows["state"][chosen], IDLE_STATES)
        total = backends.sum() / samples
        found.append(
            Resource(
                kind="pool",
                part=str(part),
                name=f"the {total:.0f} connections to {part}",
                utilization=float(backends[busy].sum() / backends.sum()),
                unit="their time",
            )
        )
    return found


def resources(usage: Usage, setup: Setup) -> list[Resource]:
    """Every thread, process and core that could have run out, the fullest first."""
    cores = usage.host.cores
    found = [
        Resource(
            kind="cores",
            part="host",
            name=("the one core" if cores == 1 else f"all {cores} cores")
            + " of this machine, the load engine included",
            utilization=(usage.host.busy_cores + usage.host.steal_cores) / cores,
            unit="its time" if cores == 1 else "their time",
        )
    ]
    for process in usage.processes:
        threads = [t for t in usage.threads if t.pid == process.pid]
        busiest = max(threads, key=lambda t: t.cpu_s, default=None)
        alone = busiest is not None and busiest.cpu_s > 0.8 * process.cpu_s
        if busiest is not None:
            found.append(
                Resource(
                    kind="engine" if process.part == "engine" else "thread",
                    part=process.part,
                    name=_thread_name(process.part, setup, process.kind),
                    utilization=busiest.cpu_cores,
                    unit="a core",
                    waiting=busiest.wait_share,
                )
            )
        if not alone and process.part == "service" and 0.85 <= process.cpu_cores <= 1.15:
            found.append(
                Resource(
                    kind="process",
                    part=process.part,
                    name=f"{_worker(setup)}'s threads together, as under one interpreter lock",
                    utilization=min(process.cpu_cores, 1.0),
                    unit="a core",
                )
            )
    return sorted(found, key=lambda resource: -resource.utilization)


def limiting(below: Sequence[Resource], above: Sequence[Resource]) -> Resource | None:
    """What ran out, from the resources just below the knee and just above it.

    None: nothing was full, so requests waited for something that is not CPU. The host's cores are
    named before a thread of the service when that thread was itself kept waiting for a core: more
    threads than cores become ready at once, long before every core is busy all the time.
    """
    found = [r for r in above if r.full or r.starved] or [r for r in below if r.full or r.starved]
    if not found:
        return None
    service = [r for r in found if r.kind in {"thread", "process"} and r.part == "service"]
    starved = next((r for r in service if r.starved), None)
    full = [r for r in found if r.full]
    cores = next((r for r in (*above, *below) if r.kind == "cores"), None)
    if starved is not None and cores is not None and cores.utilization >= CORES_SHARED:
        waited = (
            f"{starved.name} ran {starved.utilization * 100:.0f} % of the time and stood ready "
            f"without a core for {starved.waiting * 100:.0f} %"
        )
        return msgspec.structs.replace(cores, note=waited)
    threads = [r for r in full if r.kind in {"thread", "process"} and r.part == "service"]
    threads = threads or [r for r in full if r.kind in {"thread", "process"}]
    engines = [r for r in full if r.kind == "engine"]
    if engines and not threads:
        return engines[0]
    if cores is not None and cores.full and not threads:
        return cores
    if threads:
        return threads[0]
    pools = [r for r in full if r.kind == "pool"]
    return pools[0] if pools else full[0] if full else None


def _worker(setup: Setup) -> str:
    return "the one worker" if setup.worker_count == 1 else "a worker"


def _thread_name(part: str, setup: Setup, name: str) -> str:
    if part == "service":
        loop = any(server in word for word in setup.service.start for server in EVENT_LOOP_SERVERS)
        return f"{_worker(setup)}'s {'event loop' if loop else 'busiest thread'}"
    if part == "engine":
        return "the load engine itself"
    return f"{part}'s {name}" if name else part
