"""Compiles a model's words into the flat arrays that the kernel runs.

Every operation becomes a short program of instructions, one row of `code` and `numbers` each. What
is held where is known when it is compiled: each instruction has the address of the code that gives
back what is held there and then fails, so that a request may be given up anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadpath.errors import ConfigurationError
from loadpath.model.demands import demands
from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Law,
    Maybe,
    Model,
    Release,
    Serve,
    Spawn,
    Step,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# What an instruction does. The kernel's copies of these numbers are these names.
THINK, SERVE, DELAY, ACQUIRE, RELEASE, BRANCH, JUMP, SPAWN, ATTEMPT, END, FAIL = range(11)

# Columns of `code`.
OP, ARG, TO, UNDO, LAW, FIRST, COUNT, EXTRA = range(8)
"""Instruction; station, pool or retries; jump; where to give up; law; values, or child; flag."""

# Columns of `numbers`.
P0, P1, LIMIT, TALLY = range(4)
"""Two of the law; probability, timeout or patience (s); backoff (s) or a running count."""

CONSTANT, EXPONENTIAL, GAMMA, LOGNORMAL, EMPIRICAL = range(5)

OPERATIONS_MAX = 256
"""An operation is noted of each request in one byte."""

HELD_MAX = 64
"""Pools that one request may hold at once: more is a loop that somebody wrote by mistake."""


@dataclass(frozen=True)
class Compiled:
    """A model as arrays: instructions, values of empirical laws, stations, pools, operations.

    `own_s`: how long a mean request takes when nothing waits.
    """

    code: Ints
    numbers: Floats
    values: Floats
    servers: Ints
    shared: Ints
    on_host: Ints
    extras_s: Floats
    sizes: Ints
    starts: Ints
    shares: Floats
    cores: float
    own_s: float
    station_names: tuple[str, ...]
    pool_names: tuple[str, ...]
    operations: tuple[str, ...]


def compile_model(model: Model, think: Law | None = None) -> Compiled:
    """Flatten a model; `think` is what users do between requests. Raises `ConfigurationError`."""
    _check_model(model)
    assembler = _Assembler(model)
    assembler.emit(THINK, law=think or Law(mean_s=0.0))
    starts = []
    for program in model.programs:
        assembler.where = f"program {program.operation!r}"
        starts.append(len(assembler.code))
        held = assembler.steps(program.steps, ())
        assembler.ends_empty(held)
        assembler.emit(END)
    assembler.write_undos()
    weights = np.array([p.weight for p in model.programs], dtype=np.float64)
    return Compiled(
        code=np.array(assembler.code, dtype=np.int64),
        numbers=np.array(assembler.numbers, dtype=np.float64),
        values=np.array(assembler.values or [0.0], dtype=np.float64),
        servers=np.array([s.servers for s in model.stations], dtype=np.int64),
        shared=np.array([s.discipline == "ps" for s in model.stations], dtype=np.int64),
        on_host=np.array([s.on_host for s in model.stations], dtype=np.int64),
        extras_s=np.array(
            [[s.wakeup_s, s.shared_s, s.window_s / s.servers] for s in model.stations],
            dtype=np.float64,
        ).reshape(len(model.stations), 3),
        sizes=np.array([p.size for p in model.pools], dtype=np.int64),
        starts=np.array(starts, dtype=np.int64),
        shares=np.cumsum(weights) / weights.sum(),
        cores=float(model.cores),
        own_s=demands(model).own_s,
        station_names=tuple(s.name for s in model.stations),
        pool_names=tuple(p.name for p in model.pools),
        operations=tuple(p.operation for p in model.programs),
    )


def law_parameters(law: Law) -> tuple[int, float, float]:
    """The law as its number and two parameters, as `draws.draw` takes them.

    Gamma: shape 1 / cv² and scale; lognormal: the mean and standard deviation of the logarithm.
    """
    if law.kind == "empirical":
        return EMPIRICAL, 0.0, 0.0
    if law.mean_s == 0 or law.kind == "constant" or (law.cv == 0 and law.kind != "exponential"):
        return CONSTANT, law.mean_s, 0.0
    if law.kind == "exponential":
        return EXPONENTIAL, law.mean_s, 0.0
    if law.kind == "gamma":
        return GAMMA, 1 / law.cv**2, law.mean_s * law.cv**2
    variance = math.log1p(law.cv**2)
    return LOGNORMAL, math.log(law.mean_s) - variance / 2, math.sqrt(variance)


class _Assembler:
    """Rows so far, and what each row holds: pools in the order in which they were taken."""

    def __init__(self, model: Model) -> None:
        self.code: list[list[int]] = []
        self.numbers: list[list[float]] = []
        self.values: list[float] = []
        self.held: list[tuple[int, ...]] = []
        self.stations = {s.name: i for i, s in enumerate(model.stations)}
        self.pools = {p.name: i for i, p in enumerate(model.pools)}
        self.where = ""

    def emit(
        self,
        op: int,
        arg: int = 0,
        *,
        held: tuple[int, ...] = (),
        law: Law | None = None,
        limit: float = 0.0,
        tally: float = 0.0,
        extra: int = 0,
    ) -> int:
        """Append an instruction and return its address; jumps are filled in later."""
        kind, p0, p1, first, count = CONSTANT, 0.0, 0.0, 0, 0
        if law is not None:
            self._check_law(law)
            kind, p0, p1 = law_parameters(law)
            first, count = len(self.values), len(law.values_s)
            self.values.extend(law.values_s)
        self.code.append([op, arg, 0, 0, kind, first, count, extra])
        self.numbers.append([p0, p1, limit, tally])
        self.held.append(held)
        return len(self.code) - 1

    def steps(self, steps: tuple[Step, ...], held: tuple[int, ...]) -> tuple[int, ...]:
        """Append what the steps do; returns what is held after them."""
        for step in steps:
            held = self.step(step, held)
        return held

    def step(self, step: Step, held: tuple[int, ...]) -> tuple[int, ...]:
        match step:
            case Serve():
                self.emit(SERVE, self._find(self.stations, step.station), held=held, law=step.work)
            case Delay():
                self.emit(DELAY, held=held, law=step.time)
            case Acquire():
                pool = self._find(self.pools, step.pool)
                patience = math.inf if step.patience_s is None else step.patience_s
                self.emit(ACQUIRE, pool, held=held, limit=self._positive("patience_s", patience))
                return (*held, pool)
            case Release():
                pool = self._find(self.pools, step.pool)
                if pool not in held:
                    raise self._error(f"gives back {step.pool!r}, which it does not hold there")
                self.emit(RELEASE, pool, held=held)
                last = len(held) - 1 - held[::-1].index(pool)
                return held[:last] + held[last + 1 :]
            case Maybe():
                return self._maybe(step, held)
            case Spawn():
                at = self.emit(SPAWN, held=held, limit=1 / self._positive("every", step.every))
                self._child(at, step.steps)
            case Attempt():
                at = self.emit(
                    ATTEMPT,
                    step.retries,
                    held=held,
                    limit=self._positive("timeout_s", step.timeout_s),
                    tally=self._positive("backoff_s", step.backoff_s, zero=True),
                    extra=int(step.cancels),
                )
                self._child(at, step.steps)
        return held

    def _maybe(self, step: Maybe, held: tuple[int, ...]) -> tuple[int, ...]:
        if not 0 <= step.probability <= 1:
            raise self._error(f"probability is {step.probability}, expected 0 to 1")
        branch = self.emit(BRANCH, held=held, limit=step.probability)
        after = self.steps(step.steps, held)
        jump = self.emit(JUMP, held=after)
        self.code[branch][TO] = len(self.code)
        if self.steps(step.otherwise, held) != after:
            raise self._error(
                "holds other pools after a Maybe's steps than after its otherwise: "
                "give back within the steps what they take"
            )
        self.code[jump][TO] = len(self.code)
        return after

    def _child(self, at: int, steps: tuple[Step, ...]) -> None:
        """The steps of a spawn or a try stand behind it, and are jumped over."""
        jump = self.emit(JUMP)
        self.code[at][FIRST] = len(self.code)
        self.ends_empty(self.steps(steps, ()))
        self.emit(END)
        self.code[at][TO] = self.code[jump][TO] = len(self.code)

    def write_undos(self) -> None:
        """Append, once for each set of held pools, the code that gives them back and fails."""
        addresses: dict[tuple[int, ...], int] = {}
        for row in range(len(self.code)):
            held = self.held[row]
            if held not in addresses:
                addresses[held] = len(self.code)
                for pool in reversed(held):
                    self.emit(RELEASE, pool)
                self.emit(FAIL)
            self.code[row][UNDO] = addresses[held]

    def ends_empty(self, held: tuple[int, ...]) -> None:
        if held:
            names = list(self.pools)
            kept = ", ".join(names[pool] for pool in held)
            raise self._error(f"ends without giving back {kept}: add a Release")

    def _find(self, known: dict[str, int], name: str) -> int:
        if name not in known:
            raise self._error(f"names {name!r}, expected one of {', '.join(known) or 'none'}")
        return known[name]

    def _positive(self, name: str, value: float, *, zero: bool = False) -> float:
        if not (value > 0 or (zero and value == 0)):
            raise self._error(f"{name} is {value}, expected {'0 or ' if zero else ''}more than 0")
        return value

    def _check_law(self, law: Law) -> None:
        if law.kind == "empirical" and not law.values_s:
            raise self._error("an empirical law has no values_s")
        least = min((law.mean_s, law.cv, *law.values_s))
        if not least >= 0 or not math.isfinite(law.mean_s) or not math.isfinite(law.cv):
            raise self._error(f"a law has {least}, expected times and cv of 0 or more")

    def _error(self, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self.where} {message}", key="programs")


def _check_model(model: Model) -> None:
    for kind, things in (("stations", model.stations), ("pools", model.pools)):
        names = [thing.name for thing in things]
        if len(set(names)) < len(names):
            raise ConfigurationError(f"two {kind} have the same name: {names}", key=kind)
    for what, least in (
        ("cores", model.cores),
        *((f"servers of station {s.name!r}", s.servers) for s in model.stations),
        *((f"size of pool {p.name!r}", p.size) for p in model.pools),
    ):
        if not least > 0:
            raise ConfigurationError(f"{what}: {least}, expected more than 0")
    if len(model.programs) > OPERATIONS_MAX:
        raise ConfigurationError(
            f"the model has {len(model.programs)} operations, expected {OPERATIONS_MAX} at most",
            key="programs",
            advice="Leave those out of the workload that are asked for least.",
        )
    weights = [p.weight for p in model.programs]
    if not weights or min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise ConfigurationError(
            f"weights of the programs are {weights}, expected 0 or more and a sum above 0",
            key="programs",
        )
