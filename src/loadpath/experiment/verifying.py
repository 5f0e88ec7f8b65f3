"""Changes made for real: the service as it is and as a change leaves it, in arms run in turn.

Every arm holds the same absolute rates (times what its setup has more of users) and is then ramped
until it misses its objective. What came of it is derived from the recordings by `measured.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from loadpath.drive import OpenLoad
from loadpath.experiment.arm import Arm
from loadpath.experiment.holds import disturbance
from loadpath.experiment.interleaving import interleave
from loadpath.experiment.knee import RAMP_WINDOW_S, loosest_limit_s, missed_now, mix_of
from loadpath.experiment.measured import BASELINE, HOLD, RAMP, unsteady
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.spec import OpenArrivals, Setup
from loadpath.spec.workload import Arrivals

START_S = 1.5
"""About how long an arm takes to start, and to stop."""

HOLD_MIN_S, RAMP_MIN_S = 2.0, 5.0
ROUNDS_MIN = 3
RAMP_SPAN = (0.7, 1.8)
"""From and to which multiple of the known knee arms are ramped, and of where it is foretold to be.
Below both and beyond both: a ramp that began at what was foretold would find it there."""

UNKNOWN = (0.5, 2.0)
"""By how much a change that nobody could foretell may well move the knee."""

LIFT_MAX = 8.0
"""A ramp to more than so many times the knee takes longer than it is worth."""

GOLDEN = (5**0.5 - 1) / 2


class VerifyDepth(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often arms measure, in seconds. `precision` is the half-width of the ratio
    of the capacities that is enough, as a share of it; `least` rounds are driven whatever the
    budget."""

    rounds: int = 6
    repeats: int = 2
    warmup_s: float = 1.5
    hold_s: float = 6.0
    ramp_s: float = 12.0
    precision: float = 0.03
    least: int = 0


class Loads(msgspec.Struct, frozen=True, kw_only=True):
    """What is put on the arms: `rates_per_s` are held, then ramped from and to `ramp_per_s`."""

    rates_per_s: tuple[float, ...]
    ramp_per_s: tuple[float, float]


def loads_around(
    rates_per_s: tuple[float, ...], knee_per_s: float, foretold: Sequence[float] = UNKNOWN
) -> Loads:
    """Loads for a service whose knee is known; `foretold` are ratios that it may move by."""
    low, high = RAMP_SPAN
    least, most = min((1.0, *foretold)), max((1.0, *foretold))
    return Loads(
        rates_per_s=rates_per_s, ramp_per_s=(low * least * knee_per_s, high * most * knee_per_s)
    )


def shortened_to(depth: VerifyDepth, left_s: float, arms: int, loads: Loads) -> VerifyDepth:
    """The depth with holds and ramps so short that the fewest rounds worth having fit."""
    rounds = min(ROUNDS_MIN, depth.rounds)
    fixed_s = rounds * arms * (START_S + depth.warmup_s)
    wanted_s = rounds * round_s(depth, arms, loads) - fixed_s
    share = min(1.0, max(0.0, left_s - fixed_s) / wanted_s)
    return msgspec.structs.replace(
        depth,
        hold_s=max(min(HOLD_MIN_S, depth.hold_s), depth.hold_s * share),
        ramp_s=max(RAMP_MIN_S, depth.ramp_s * share),
    )


def exactly(depth: VerifyDepth, rounds: int | None) -> VerifyDepth:
    """The depth with so many rounds and no more, disturbed or not; as it is for None."""
    if rounds is None:
        return depth
    return msgspec.structs.replace(depth, rounds=rounds, repeats=0, precision=0.0, least=rounds)


def round_s(depth: VerifyDepth, arms: int, loads: Loads) -> float:
    """About how long a round takes, at most: a ramp ends where the objective is missed."""
    holds_s = len(loads.rates_per_s) * depth.hold_s
    ramp_s = ramp_duration_s(depth.ramp_s, loads.ramp_per_s)
    return arms * (START_S + depth.warmup_s + holds_s + ramp_s)


def ramp_duration_s(ramp_s: float, ramp_per_s: tuple[float, float]) -> float:
    """How long a ramp takes to its end: the wider, the longer, so that all rise as fast. `ramp_s`
    is how long one over `RAMP_SPAN` takes."""
    low, high = ramp_per_s
    return ramp_s * math.log(high / low) / math.log(RAMP_SPAN[1] / RAMP_SPAN[0])


def shifted(ramp_per_s: tuple[float, float], duration_s: float, number: int) -> tuple[float, float]:
    """From and to where a ramp of that round goes.

    It is judged in windows. Were they the same in every round, so would be the error of their
    width; begun a part of a window later each time, the rounds average it out.
    """
    low, high = ramp_per_s
    shift = math.exp(math.log(high / low) * RAMP_WINDOW_S / duration_s * (number * GOLDEN % 1))
    return low * shift, high * shift


def more_load(before: Setup, after: Setup) -> float:
    """How many times the load of one setup that of the other is."""
    return _size(after.workload.arrivals) / _size(before.workload.arrivals)


def _size(arrivals: Arrivals) -> float:
    return arrivals.rate_per_s if isinstance(arrivals, OpenArrivals) else float(arrivals.users)


def alike(before: Setup, treatments: Mapping[str, Setup]) -> dict[str, Setup]:
    """All arms by letter, with the same relays: they shall differ in the change alone."""
    arms = {BASELINE: before, **treatments}
    relayed = {name: 0.0 for setup in arms.values() for name in setup.delays}
    return {
        letter: msgspec.structs.replace(setup, delays={**relayed, **setup.delays})
        for letter, setup in arms.items()
    }


async def verify(
    session: Session,
    before: Setup,
    treatments: Mapping[str, Setup],
    loads: Loads,
    depth: VerifyDepth,
    *,
    title: str,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Record rounds of the baseline and of each treatment, by letter (B, C, …)."""
    arms = alike(before, treatments)
    estimate_s = round_s(depth, len(arms), loads)

    async def drive(arm: Arm, letter: str, number: int) -> str | None:
        return await _measure(arm, loads, depth, more_load(before, arms[letter]), number)

    with phase(session.emit, title, estimate_s * depth.rounds) as now:
        clean = await interleave(
            session,
            arms,
            drive,
            rounds=depth.rounds,
            repeats=depth.repeats,
            round_s=estimate_s,
            now=now,
            name=lambda letter: f"verify-{letter}",
            enough=enough,
            least=depth.least,
        )
        if now.result == "done":
            now.result = "1 clean round" if clean == 1 else f"{clean} clean rounds"


async def _measure(
    arm: Arm, loads: Loads, depth: VerifyDepth, times: float, number: int
) -> str | None:
    """Hold, then ramp; what disturbed it."""
    workload = arm.setup.workload
    mix = mix_of(workload)
    process = (
        workload.arrivals.process if isinstance(workload.arrivals, OpenArrivals) else "poisson"
    )
    reasons = []
    first = loads.rates_per_s[0] * times
    await arm.drive(
        "warmup",
        OpenLoad(rate_per_s=first, process=process),
        duration_s=depth.warmup_s,
        weights=mix,
    )
    for index, rate_per_s in enumerate(loads.rates_per_s):
        segment = await arm.drive(
            HOLD,
            OpenLoad(rate_per_s=rate_per_s * times, process=process),
            duration_s=depth.hold_s,
            weights=mix,
            label=str(index),
        )
        reasons += [disturbance(arm.recording(), segment), unsteady(arm.recording(), segment)]
    duration_s = ramp_duration_s(depth.ramp_s, loads.ramp_per_s)
    low, high = shifted(loads.ramp_per_s, duration_s, number)
    ramp = await arm.drive(
        RAMP,
        OpenLoad(rate_per_s=low, end_rate_per_s=high, process=process),
        duration_s=duration_s,
        weights=mix,
        stop_when=missed_now(loosest_limit_s(workload)),
    )
    reasons.append(disturbance(arm.recording(), ramp))
    return next((reason for reason in reasons if reason is not None), None)
