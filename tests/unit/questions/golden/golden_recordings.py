"""Recordings made by formula, of services of which everything is known.

A service is an M/M/1 queue: at a rate of λ its response times are exponential with mean
1 / (μ − λ) (Kleinrock 1975), so that their quantile q is −ln(1 − q) / (μ − λ), and an objective
q ≤ L is first missed at λ = μ + ln(1 − q) / L. A part's CPU per request falls with the rate as an
idle event loop's does: (work + wake) / (1 + λ · wake).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from loadpath.drive import ClosedLoad, OpenLoad
from loadpath.experiment.arms import arm_pairs
from loadpath.experiment.costs import tilted
from loadpath.experiment.depth import LEVELS
from loadpath.experiment.holds import hold_of
from loadpath.experiment.knee import mix_of, observe
from loadpath.experiment.mixknee import mix_search
from loadpath.experiment.scale import load_at
from loadpath.meter.tables import MeterTables
from loadpath.recording import (
    HoldsRecord,
    Machine,
    Recording,
    RecordingWriter,
    SegmentRecord,
    write_requests,
)
from loadpath.recording.schema import HOST, PROCESSES, REQUESTS, THREADS, TableSchema
from loadpath.recording.tables import numpy_type
from loadpath.spec import (
    Arrivals,
    DeclaredRequest,
    Objective,
    OpenArrivals,
    Operation,
    QuantileLimit,
    Service,
    Setup,
    Workload,
)
from loadpath.stats.compare import interleaved

OVERLOADED_S = 1.0
"""The response time of everything that arrives faster than it can be served."""


class Cost(msgspec.Struct, frozen=True):
    """CPU seconds a request takes of a part: `work_s`, and `wake_s` more where it was idle."""

    work_s: float
    wake_s: float = 0.0

    def at(self, rate_per_s: float) -> float:
        """What one request costs at that rate."""
        return (self.work_s + self.wake_s) / (1 + rate_per_s * self.wake_s)


USUAL = {"service": Cost(0.95e-3, 0.7e-3), "database": Cost(0.1e-3)}
"""At the knee of 908/s the service's one thread is 92 % busy, the database's 9 %."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """A service and its machine.

    `dear` are multiples of the parts' costs by operation, `steps` how many requests one of it
    makes, one after the other (1 unless said). `waiting` is the share of the time the
    service's busiest thread waits for a core; `threads` is how many threads its CPU is spread over
    evenly. `others_cores` is what other processes take, `fixed_work_s` how long the same work
    takes.
    """

    capacity_per_s: float = 1000.0
    parts: dict[str, Cost] = msgspec.field(default_factory=lambda: dict(USUAL))
    engine: Cost = Cost(0.02e-3)
    dear: dict[str, float] = {}
    steps: dict[str, int] = {}
    cores: int = 2
    threads: int = 1
    waiting: float = 0.02
    others_cores: float = 0.01
    fixed_work_s: float = 0.003

    def knee_per_s(self, quantile: float = 0.99, limit_s: float = 0.05) -> float:
        """The rate at which the quantile first exceeds the limit."""
        return self.capacity_per_s + math.log(1 - quantile) / limit_s

    def cost(self, part: str, rate_per_s: float, mix: Mapping[str, float]) -> float:
        """CPU seconds that a request of that mix costs a part, on average."""
        total = sum(mix.values())
        dear = sum(self.dear.get(name, 1.0) * weight for name, weight in mix.items()) / total
        known = self.engine if part == "engine" else self.parts[part]
        return known.at(rate_per_s) * (1.0 if part == "engine" else dear)


def setup(
    *operations: str,
    arrivals: Arrivals | None = None,
    limit_s: float = 0.05,
    weights: Sequence[float] | None = None,
    not_alone: Sequence[str] = (),
    start: tuple[str, ...] = ("granian", "shop:app"),
    workers: int = 1,
    assumptions: tuple[str, ...] = (),
) -> Setup:
    """A setup with those operations; their objective is p99 ≤ `limit_s`."""
    names = operations or ("GET /item",)
    return Setup(
        service=Service(name="shop", directory=Path("shop"), start=start, workers=workers),
        workload=Workload(
            arrivals=arrivals or OpenArrivals(300.0),
            operations=tuple(
                Operation(
                    name=name,
                    weight=weight,
                    alone=name not in not_alone,
                    request=DeclaredRequest(method="GET", path="/"),
                )
                for name, weight in zip(names, weights or [1.0] * len(names), strict=True)
            ),
            objective=Objective((QuantileLimit(0.99, limit_s),), 0.001),
            assumptions=assumptions,
        ),
    )


class Golden:
    """One recording under way: `drive` adds a segment, `recording` opens what there is so far.

    `hiccups` are stretches, in seconds from a segment's start, in which the service stood still.
    `late_steps_s` is how long after the reply before it a flow's second request and later ones go.
    """

    def __init__(self, folder: Path, setup: Setup, truth: Truth, *, name: str = "mix") -> None:
        self.setup = setup
        self.truth = truth
        self._now_s = 1000.0
        self._random = np.random.default_rng(7)
        machine = Machine(
            cores=truth.cores,
            cores_online=truth.cores,
            cpu_model="a model",
            memory_bytes=8 << 30,
            system="Linux",
            kernel="6.1",
            python="CPython 3.11",
        )
        self.writer = RecordingWriter.create(folder / name, setup, name=name, machine=machine)
        self._count = 0
        self.hiccups: tuple[tuple[float, float], ...] = ()
        self.late_steps_s = 0.0

    def recording(self) -> Recording:
        return Recording.open(self.writer.directory)

    def drive(
        self,
        purpose: str,
        load: OpenLoad | ClosedLoad,
        *,
        duration_s: float = 4.0,
        weights: Mapping[str, float] | None = None,
        background: tuple[OpenLoad, Mapping[str, float]] | None = None,
        stopped_after_s: float | None = None,
        others_cores: float | None = None,
        late_s: float = 0.0,
        failing: Mapping[str, float] | None = None,
        **place: Any,
    ) -> SegmentRecord:
        """One segment, as the service of `truth` would have taken it.

        `failing` maps an operation to the share of its requests that fail; `late_s` is how late
        the engine sent each request.
        """
        mix = dict(weights or mix_of(self.setup.workload))
        lasted_s = duration_s if stopped_after_s is None else stopped_after_s
        started_s, index = self._now_s, self._count
        self._count += 1
        self._now_s += lasted_s + 1.0
        arrived = self._arrivals(load, lasted_s, duration_s)
        chosen = self._operations(mix, len(arrived))
        rate = self._rate(load, arrived, duration_s)
        usual = rate[0] if len(rate) else 0.0
        if background is not None:
            under = self._arrivals(background[0], lasted_s, duration_s)
            arrived = np.r_[arrived, under]
            chosen = np.r_[chosen, self._operations(dict(background[1]), len(under))]
            rate = np.r_[rate + background[0].rate_per_s, np.full(len(under), rate[-1])]
        columns = self._rows(started_s, arrived, chosen, rate, late_s, failing or {})
        columns["segment"][:] = index
        write_requests(self.writer.requests_path(index), columns)
        others = self.truth.others_cores if others_cores is None else others_cores
        self.writer.write_tables(index, self._metered(started_s, lasted_s, usual, mix, others))
        record = SegmentRecord(
            index=index,
            purpose=purpose,
            load=msgspec.to_builtins(load),
            duration_s=duration_s,
            weights=mix,
            started_s=started_s,
            ended_s=started_s + lasted_s,
            drained_s=started_s + lasted_s + 0.1,
            background=None if background is None else msgspec.to_builtins(background[0]),
            background_weights={} if background is None else dict(background[1]),
            stopped_early=stopped_after_s is not None,
            arrivals=len(arrived),
            errors=int((columns["error"] > 0).sum()),
            **{"fixed_work_s": self.truth.fixed_work_s, **place},
        )
        self.writer.append_segment(record)
        return record

    def _arrivals(self, load: OpenLoad | ClosedLoad, lasted_s: float, full_s: float) -> Any:
        """Evenly spaced in the load's own time, from 0 on."""
        if isinstance(load, ClosedLoad):
            load = OpenLoad(rate_per_s=load.users / load.think_time_s)
        if load.end_rate_per_s is None:
            return (np.arange(int(load.rate_per_s * lasted_s)) + 0.5) / load.rate_per_s
        growth = math.log(load.end_rate_per_s / load.rate_per_s) / full_s
        count = int(load.rate_per_s * math.expm1(growth * lasted_s) / growth)
        return np.log1p((np.arange(count) + 0.5) * growth / load.rate_per_s) / growth

    def _rate(self, load: OpenLoad | ClosedLoad, arrived: Any, full_s: float) -> Any:
        """The rate at the time of each arrival."""
        if isinstance(load, ClosedLoad):
            return np.full(len(arrived), load.users / load.think_time_s)
        return np.array([load.rate_at(float(at_s), full_s) for at_s in arrived])

    def _operations(self, mix: dict[str, float], count: int) -> Any:
        """Which operation each arrival is of: in proportion, well mixed."""
        names = [operation.name for operation in self.setup.workload.operations]
        shares = np.array([mix.get(name, 0.0) for name in names]) / sum(mix.values())
        drawn = np.searchsorted(np.cumsum(shares), (np.arange(count) + 0.5) / max(count, 1))
        return self._random.permutation(drawn).astype("u2")

    def _rows(
        self, started_s: float, arrived: Any, chosen: Any, rate: Any, late_s: float, failing: Any
    ) -> dict[str, Any]:
        count, intended = len(arrived), started_s + arrived
        # Every quantile of the distribution as often as it should come, in a random order.
        ranks = self._random.permutation((np.arange(count) + 0.5) / max(count, 1))
        spare = self.truth.capacity_per_s - rate
        response = np.where(
            spare > 1, -np.log(1 - ranks) / np.maximum(spare, 1), OVERLOADED_S + 0 * ranks
        )
        for from_s, to_s in self.hiccups:
            response[(arrived >= from_s) & (arrived < to_s)] = OVERLOADED_S
        error = np.zeros(count, "u1")
        for name, share in failing.items():
            (of_it,) = np.nonzero(chosen == list(mix_of(self.setup.workload)).index(name))
            error[of_it[:: round(1 / share)]] = 1
        columns = blank(REQUESTS, count)
        columns["operation"] = chosen
        columns["flow"] = np.arange(count, dtype="u4")
        columns["last"][:] = True
        columns["intended_s"] = intended
        columns["sent_s"] = intended + late_s
        columns["first_byte_s"] = intended + response
        columns["done_s"] = intended + response
        columns["status"][:] = 200
        columns["error"] = error
        names = [operation.name for operation in self.setup.workload.operations]
        steps = np.array([self.truth.steps.get(name, 1) for name in names])
        return in_steps(columns, steps[chosen], self.late_steps_s)

    def _metered(
        self, started_s: float, lasted_s: float, rate: float, mix: Any, others: float
    ) -> MeterTables:
        """Samples every quarter of a second, from before the segment until after it."""
        at_s = started_s + np.arange(-1, math.ceil(lasted_s / 0.25) + 2) * 0.25
        since = at_s - at_s[0]
        used = {part: rate * self.truth.cost(part, rate, mix) for part in self.truth.parts}
        used["engine"] = rate * self.truth.cost("engine", rate, mix)
        busy = min(sum(used.values()) + others, float(self.truth.cores))
        processes, threads = [], []
        for number, (part, cores) in enumerate(used.items(), start=1):
            pid = 100 * number
            process = blank(PROCESSES, len(at_s), at_s=at_s, cpu_s=since * cores)
            process["pid"][:], process["parent"][:] = pid, 1
            process["part"][:], process["name"][:] = part, f"{part}-process"
            processes.append(process)
            count = self.truth.threads if part == "service" else 1
            for thread_number in range(count):
                thread = blank(THREADS, len(at_s), at_s=at_s, cpu_s=since * cores / count)
                thread["pid"][:], thread["tid"][:] = pid, pid + thread_number
                thread["part"][:], thread["name"][:] = part, "thread"
                if part == "service":
                    thread["wait_s"] = since * self.truth.waiting
                threads.append(thread)
        host = blank(
            HOST,
            len(at_s),
            at_s=at_s,
            busy_s=since * busy,
            idle_s=since * (self.truth.cores - busy),
            others_s=since * others,
        )
        host["cores"][:] = self.truth.cores
        return MeterTables(threads=_joined(threads), processes=_joined(processes), host=host)


def blank(table: TableSchema, count: int, **columns: Any) -> dict[str, Any]:
    """Rows of zeros and empty names, but for `columns`."""
    made: dict[str, Any] = {}
    for column in table.columns:
        made[column.name] = np.zeros(count, numpy_type(column.type))
        if column.type == "text":
            made[column.name] = np.full(count, "", dtype=object)
    return {**made, **columns}


def in_steps(columns: dict[str, Any], steps: Any, late_s: float) -> dict[str, Any]:
    """Flows of one request as flows of so many, which take equally long one after the other."""
    flow = np.repeat(np.arange(len(steps)), steps)
    split = {name: values[flow] for name, values in columns.items()}
    step = np.arange(len(flow)) - np.repeat(np.cumsum(steps) - steps, steps)
    began, each = split["intended_s"], (split["done_s"] - split["intended_s"]) / steps[flow]
    late = split["sent_s"] - began
    split["step"] = step.astype("u1")
    split["last"] = step == steps[flow] - 1
    split["intended_s"] = began + step * each
    split["sent_s"] = split["intended_s"] + np.where(step == 0, late, late_s)
    split["done_s"] = split["first_byte_s"] = began + (step + 1) * each
    return split


def _joined(tables: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows of several tables in the order of time, as a meter takes them."""
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.argsort(whole["at_s"], kind="stable")
    return {name: values[order] for name, values in whole.items()}


def today(golden: Golden, *, duration_s: float = 8.0, **how: Any) -> None:
    """The workload's own load: a warm-up, and what is judged."""
    own = load_at(golden.setup.workload.arrivals, 1.0)
    golden.drive("warmup", own, duration_s=3.0)
    golden.drive("baseline", own, duration_s=duration_s, **how)


def find_knee(golden: Golden, start: float, *, holds: int = 7, **how: Any) -> float:
    """Holds as a search asks for them; returns the knee's scale, or the last one looked at."""
    arrivals = golden.setup.workload.arrivals
    search = mix_search(arrivals, start, tolerance=0.04, holds=holds)
    scale = start
    while (wanted := search.next_rate()) is not None:
        scale = wanted
        segment = golden.drive("hold", load_at(arrivals, scale), **how)
        observe(search, hold_of(golden.recording(), segment))
    found = search.result().knee
    return found.value if found else scale


def take_demand(golden: Golden, knee_per_s: float) -> None:
    """CPU a request of the mix at three loads, with more of what cannot be driven alone."""
    mix = mix_of(golden.setup.workload)
    for level in LEVELS:
        load = OpenLoad(rate_per_s=level * knee_per_s)
        golden.drive("demand", load)
        for operation in golden.setup.workload.operations:
            if not operation.alone:
                golden.drive(
                    "demand-tilted",
                    load,
                    weights=tilted(mix, operation.name),
                    label=operation.name,
                )


def look_at_operations(golden: Golden, all_per_s: float) -> None:
    """A ramp of each operation over the others at their usual rate, then its CPU a request."""
    workload = golden.setup.workload
    total = sum(operation.weight for operation in workload.operations)
    for operation in workload.operations:
        if not operation.alone:
            continue
        own_per_s = all_per_s * operation.weight / total
        others = {o.name: o.weight for o in workload.operations if o.name != operation.name}
        under = (OpenLoad(rate_per_s=all_per_s - own_per_s), others) if others else None
        golden.drive(
            "operation-ramp",
            OpenLoad(rate_per_s=own_per_s, end_rate_per_s=own_per_s * 1.4**20),
            duration_s=20.0,
            stopped_after_s=math.log(2.0 * golden.truth.capacity_per_s / own_per_s) / math.log(1.4),
            weights={operation.name: 1.0},
            background=under,
            label=operation.name,
        )
        knee_per_s = golden.truth.knee_per_s() - (all_per_s - own_per_s)
        for level in LEVELS:
            golden.drive(
                "operation-demand",
                OpenLoad(rate_per_s=level * knee_per_s),
                weights={operation.name: 1.0},
                label=operation.name,
            )


def mix_recording(
    folder: Path,
    setup: Setup,
    truth: Truth,
    *,
    holds: HoldsRecord | None = None,
    **how_held: Any,
) -> Recording:
    """A whole recording of the mix; `how_held` is passed on to every hold."""
    golden = Golden(folder, setup, truth)
    arrivals = setup.workload.arrivals
    own_per_s = (
        arrivals.rate_per_s
        if isinstance(arrivals, OpenArrivals)
        else arrivals.users / arrivals.think_time_s
    )
    today(golden)
    start = truth.knee_per_s() / own_per_s if isinstance(arrivals, OpenArrivals) else 1.0
    scale = find_knee(golden, start, **how_held)
    take_demand(golden, scale * own_per_s)
    look_at_operations(golden, own_per_s)
    if holds is not None:
        golden.writer.write_holds(holds)
    golden.writer.finish()
    return golden.recording()


def arm_recordings(
    folder: Path, setup: Setup, capacities: Sequence[tuple[float, float]], truth: Truth
) -> list[Recording]:
    """Rounds of an interleaved comparison: what one worker carries, and what one more does."""
    made = []
    for place, letter in enumerate(interleaved(len(capacities))):
        round_ = place // 2
        capacity_per_s = capacities[round_]["AB".index(letter)]
        workers = setup.worker_count + (letter == "B")
        golden = Golden(
            folder,
            msgspec.structs.replace(setup, workers=workers),
            msgspec.structs.replace(truth, capacity_per_s=capacity_per_s),
            name=f"workers-{workers}-round-{round_ + 1}",
        )
        low, high = 0.55 * truth.knee_per_s(), 1.8 * truth.knee_per_s()
        golden.drive(
            "arm-ramp",
            OpenLoad(rate_per_s=low, end_rate_per_s=high),
            duration_s=10.0,
            arm=letter,
            round=round_,
        )
        golden.writer.finish()
        made.append(golden.recording())
    assert len(arm_pairs(made, "arm-ramp")) == len(capacities)
    return made
