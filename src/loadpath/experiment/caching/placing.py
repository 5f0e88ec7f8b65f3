"""A cache put before the service for real: what it costs, then arms with and without its rules.

Both arms have it before the service, one with rules and one that passes everything on, so that they
differ in what is kept alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from loadpath.drive import OpenLoad
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.caching.flushing import flush_under_load
from loadpath.experiment.holds import disturbance
from loadpath.experiment.interleaving import interleave
from loadpath.experiment.knee import loosest_limit_s, missed_now, mix_of
from loadpath.experiment.measured import HOLD, RAMP
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import ramp_duration_s, shifted
from loadpath.recording import SegmentRecord
from loadpath.spec import Setup
from loadpath.spec.keeping import KeepRule

COST = "cache-cost"
COST_S = 4.0
WARMUP_S = 2.0
SAMPLED_HITS = 4
"""Of the hits at the workload's own rate every so-manieth is compared with the service."""

START_S = 5.0
HIT_MIN = 0.3
"""Of what a request passed on takes, where a core is all its own."""


class Cost(msgspec.Struct, frozen=True):
    """CPU seconds that the cache itself takes: for a request that it passes on, and for a hit."""

    passed_s: float
    hit_s: float


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """How it is measured: at `own_per_s` once it has been warm for `warm_s`, then ramped from and
    to `ramp_per_s`, as steeply as other changes are (`ramp_s`: see `ramp_duration_s`)."""

    own_per_s: float
    warm_s: float
    hold_s: float
    ramp_s: float
    ramp_per_s: tuple[float, float]
    rounds: int
    repeats: int

    @property
    def round_s(self) -> float:
        """About how long a round of both arms takes, at most: a ramp ends where it is missed."""
        ramp_s = ramp_duration_s(self.ramp_s, self.ramp_per_s)
        each_s = START_S + WARMUP_S + self.hold_s + ramp_s
        return 2 * each_s + self.warm_s


async def cost_of(
    session: Session, setup: Setup, rules: Sequence[KeepRule], per_s: float
) -> Cost | None:
    """What the cache costs on this machine, from a short run that passes all on and one that keeps.

    None where it was asked for nothing.
    """
    with phase(session.emit, "what the cache itself costs", 2 * (START_S + COST_S)) as now:
        passing = await _driven(session, setup, (), f"{COST}-A", per_s)
        keeping = await _driven(session, setup, rules, f"{COST}-B", per_s)
        if passing.kept is None or keeping.kept is None or not passing.kept.passed:
            return None
        passed_s = passing.kept.cpu_s / passing.kept.passed
        hits = sum(rule.hits for rule in keeping.kept.rules)
        fetched = keeping.kept.passed + sum(rule.fetched for rule in keeping.kept.rules)
        if not hits:
            return None
        hit_s = (keeping.kept.cpu_s - fetched * passed_s) / hits
        # Both runs are short: a hit costs no more than a request passed on, nor nothing.
        hit_s = min(max(hit_s, HIT_MIN * passed_s), passed_s)
        now.result = f"{passed_s * 1e6:.0f} µs a request passed on, {hit_s * 1e6:.0f} µs a hit"
    return Cost(passed_s, hit_s)


async def _driven(
    session: Session, setup: Setup, rules: Sequence[KeepRule], name: str, per_s: float
) -> SegmentRecord:
    kept = msgspec.structs.replace(setup, kept=tuple(rules))
    mix = mix_of(setup.workload)
    async with open_arm(session, kept, name) as arm:
        await arm.drive("warmup", OpenLoad(rate_per_s=per_s), duration_s=1.0, weights=mix)
        return await arm.drive(COST, OpenLoad(rate_per_s=per_s), duration_s=COST_S, weights=mix)


async def place(
    session: Session,
    setup: Setup,
    rules: Sequence[KeepRule],
    placing: Placing,
    *,
    title: str,
    enough: Callable[[], bool],
) -> None:
    """Record rounds of both arms, A without rules and B with them."""
    arms = {
        "A": msgspec.structs.replace(setup, kept=()),
        "B": msgspec.structs.replace(setup, kept=tuple(rules)),
    }

    async def drive(arm: Arm, letter: str, number: int) -> str | None:
        return await _measure(arm, placing, letter, number)

    with phase(session.emit, title, placing.round_s * placing.rounds) as now:
        clean = await interleave(
            session,
            arms,
            drive,
            rounds=placing.rounds,
            repeats=placing.repeats,
            round_s=placing.round_s,
            now=now,
            name=lambda letter: f"cache-{letter}",
            enough=enough,
            # The same keys in every round would have hits measured on one short stream.
            of_round=lambda setup, number: msgspec.structs.replace(setup, seed=setup.seed + number),
        )
        if now.result == "done":
            now.result = "1 clean round" if clean == 1 else f"{clean} clean rounds"


async def _measure(arm: Arm, placing: Placing, letter: str, number: int) -> str | None:
    """Warm, hold, once empty the cache, ramp; what disturbed it."""
    warm_s = placing.warm_s if letter == "B" else 0.0
    assert arm.front is not None
    mix = mix_of(arm.setup.workload)
    own = OpenLoad(rate_per_s=placing.own_per_s)
    await arm.drive("warmup", own, duration_s=WARMUP_S + warm_s, weights=mix)
    await arm.front.sample(SAMPLED_HITS)
    held = await arm.drive(HOLD, own, duration_s=placing.hold_s, weights=mix, label="0")
    await arm.front.sample(0)
    if letter == "B" and number == 0:
        await flush_under_load(arm, placing.own_per_s)
        await arm.drive("warmup", own, duration_s=warm_s, weights=mix)
    duration_s = ramp_duration_s(placing.ramp_s, placing.ramp_per_s)
    low, high = shifted(placing.ramp_per_s, duration_s, number)
    ramp = await arm.drive(
        RAMP,
        OpenLoad(rate_per_s=low, end_rate_per_s=high),
        duration_s=duration_s,
        weights=mix,
        stop_when=missed_now(loosest_limit_s(arm.setup.workload)),
    )
    recording = arm.recording()
    return disturbance(recording, held) or disturbance(recording, ramp)
