"""What demands do not explain: the residual time of each operation, and the factor on all work."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from loadpath.model.network import Law, Model
from loadpath.model.observations import PROBABILITIES, Observations, Stretch, Times
from loadpath.model.outcome import TOLERANCE, Outcome, knee_per_s, outcome
from loadpath.model.simulated import Load, OpenRate, Users
from loadpath.model.structure import empirical

Residuals = dict[str, Law]
Wires = dict[str, float]

LOW = 0.5
"""Up to this share of the highest rate that was kept up, hardly anybody waits for another."""

ENOUGH = 100
"""Of fewer requests than this no stretch says how long they take."""

FLAT = -0.3
"""A knee that moves by less than this power of the work is not moved by work."""

ROUNDS = 3

WATCHED_MIN = 0.3
"""A tap does not make a call more than about three times as long."""

FACTORS = (0.6, 1.6)
"""A factor beyond these says that the structure is wrong, not the figures: it is not applied."""


def quiet_stretch(observations: Observations) -> Stretch | None:
    """The stretch of the mix whose response times tell what a request takes by itself."""
    driven = {name for name, weight in observations.weights.items() if weight > 0}
    steady = [
        s
        for s in observations.stretches
        if s.steady and set(s.responses) >= driven and s.purpose in {"baseline", "hold", "demand"}
    ]
    if not steady:
        steady = [s for s in observations.stretches if set(s.responses) >= driven]
    if not steady:
        return None
    most = max(s.rate_per_s for s in steady)
    low = [s for s in steady if s.rate_per_s <= LOW * most] or steady
    enough = [s for s in low if _count(s) >= ENOUGH] or low
    # Whatever disturbs only makes requests slower.
    return min(
        enough, key=lambda s: sum(t.count * t.mean_s for t in s.responses.values()) / _count(s)
    )


def _count(stretch: Stretch) -> int:
    return sum(times.count for times in stretch.responses.values())


def load_of(stretch: Stretch) -> Load:
    """The load that was put on it."""
    if stretch.users is not None:
        return Users(users=stretch.users, think_s=stretch.think_s or 0.0)
    return OpenRate(sum(stretch.offered_per_s.values()))


def residuals(
    build: Callable[[Residuals, Wires], Model],
    seen: Stretch,
    waits: Mapping[str, float],
    *,
    requests: int,
    seed: int,
    start: tuple[Residuals, Wires] | None = None,
) -> tuple[Residuals, Wires]:
    """What makes the simulated response times of that stretch those that were measured.

    By operation a delay: first quantile by quantile, then by its mean until that of the whole
    agrees. Where calls alone take longer than the whole did, they took longer for being watched:
    the share of their time that they take unwatched. `waits` is the time of an operation's calls,
    in seconds; `start` a good guess, of which only the means are mended, once.
    """
    found, wires = (dict(start[0]), dict(start[1])) if start is not None else ({}, {})
    for round_ in range(ROUNDS) if start is None else (ROUNDS,):
        model = build(found, wires)
        simulated = outcome(model, load_of(seen), requests=requests, seed=seed)
        for number, program in enumerate(model.programs):
            name = program.operation
            times = seen.responses.get(name)
            own = _of(simulated, number)
            if times is None or not len(own):
                continue
            off = times.mean_s - float(own.mean())
            law = found.get(name, Law(mean_s=0.0))
            waited_s = waits.get(name, 0.0)
            if law.mean_s + off < 0 and waited_s > 0:
                share = wires.get(name, 1.0) + (law.mean_s + off) / waited_s
                wires[name] = max(WATCHED_MIN, share)
                found.pop(name, None)
            elif round_ == 0:
                missing = np.array(times.quantiles_s) - np.quantile(own, PROBABILITIES)
                found[name] = empirical(np.maximum(missing, 0.0).tolist())
            else:
                found[name] = _moved(law, max(0.0, law.mean_s + off))
    return {name: law for name, law in found.items() if law.mean_s > 0}, wires


def _of(simulated: Outcome, number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    chosen = (simulated.operations == number) & np.isfinite(simulated.responses_s)
    return np.asarray(simulated.responses_s[chosen], dtype=np.float64)


def _moved(law: Law, mean_s: float) -> Law:
    """The law with that mean: scaled, so that nothing becomes shorter than no time."""
    if law.mean_s <= 0:
        return Law(mean_s=mean_s)
    factor = mean_s / law.mean_s
    return msgspec.structs.replace(
        law, mean_s=mean_s, values_s=tuple(value * factor for value in law.values_s)
    )


def spreads(seen: Stretch) -> dict[str, float]:
    """Coefficient of variation of the service's own work, by operation: at most that of a response
    time at low load, read off its quartiles, which no rare pause widens."""
    found = {}
    for name, times in seen.responses.items():
        low, middle, high = (_quantile(times, q) for q in (0.25, 0.5, 0.75))
        found[name] = min(1.0, (high - low) / 1.35 / middle) if middle > 0 else 0.0
    return found


def _quantile(times: Times, probability: float) -> float:
    return float(np.interp(probability, PROBABILITIES, times.quantiles_s))


def factor_for(
    build: Callable[[float], Model],
    observations: Observations,
    target_per_s: float,
    *,
    requests: int,
    seed: int,
    start: float = 1.0,
    steps: int = 4,
    tolerance: float = TOLERANCE,
) -> float | None:
    """The factor that puts the model's knee at the target, looked for from `start`; `build` makes
    the model at a factor, of which more means slower.

    None where it does not move the knee, or where it would take one beyond `FACTORS`.
    """

    def knee_at(factor: float) -> float:
        return knee_per_s(
            build(factor),
            observations.objectives,
            requests=requests,
            seed=seed,
            near=target_per_s,
            tolerance=tolerance,
        )

    factor, knee = start, knee_at(start)
    slope = -1.0
    for _ in range(steps):
        if knee <= 0 or abs(knee / target_per_s - 1) < 2 * tolerance:
            break
        wanted = factor * math.exp(math.log(target_per_s / knee) / slope)
        wanted = min(2 * FACTORS[1], max(FACTORS[0] / 2, wanted))
        again = knee_at(wanted)
        if again <= 0 or wanted == factor:
            break
        slope = math.log(again / knee) / math.log(wanted / factor)
        if slope > FLAT:
            return None
        factor, knee = wanted, again
    return factor if FACTORS[0] <= factor <= FACTORS[1] else None
