"""How long and how often a question measures: quick for `run`, full for `ask`."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

COUNTS = ("holds", "repeats", "arms", "faults", "cached_rounds", "grown", "indexes")


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds, counts, and the precision a knee is looked for with.

    `arms` is the number of A B pairs of an experiment, `traced_s` how long
    the mix is driven with taps on the wires. `repeats` is how often a disturbed or
    undecided hold may be driven again. `faults` is how many faults are done at most, each of them
    watched for `fault_after_s` from when it heals and compared with a control of `control_s`. What
    replies say is recorded for `cached_s`: a third of that is the longest TTL that is asked about;
    a cache is put in its place for `cached_rounds`, not at all for fewer than 2, and what it gains
    is foretold from what the run has anyway where they are 0. `grown` is how many times today's
    data is grown to at most, `indexes` how many are tried on it. `budget_s` is what all of it may
    take: what no longer fits is left out, repetitions first.
    """

    warmup_s: float
    baseline_s: float
    ramp_growth_per_s: float
    ramp_s: float
    hold_s: float
    arm_ramp_s: float
    demand_s: float
    holds: int
    repeats: int
    tolerance: float
    arms: int
    traced_s: float
    faults: int
    fault_after_s: float
    cached_s: float
    cached_rounds: int
    grown: int
    indexes: int
    control_s: float
    budget_s: float = math.inf


QUICK = Depth(
    warmup_s=3,
    baseline_s=8,
    ramp_growth_per_s=1.15,
    ramp_s=40,
    hold_s=4,
    arm_ramp_s=10,
    demand_s=1.5,
    holds=7,
    repeats=2,
    tolerance=0.04,
    arms=6,
    traced_s=3,
    faults=3,
    fault_after_s=3,
    cached_s=15,
    cached_rounds=0,
    grown=4,
    indexes=0,
    control_s=4,
    budget_s=410,
)

FULL = Depth(
    warmup_s=5,
    baseline_s=20,
    ramp_growth_per_s=1.08,
    ramp_s=80,
    hold_s=10,
    arm_ramp_s=20,
    demand_s=5,
    holds=10,
    repeats=3,
    tolerance=0.03,
    arms=8,
    traced_s=6,
    faults=24,
    fault_after_s=4,
    cached_s=60,
    cached_rounds=5,
    grown=16,
    indexes=12,
    control_s=4,
)

BRIEF = Depth(
    warmup_s=1,
    baseline_s=2.5,
    ramp_growth_per_s=1.3,
    ramp_s=14,
    hold_s=2,
    arm_ramp_s=5,
    demand_s=0.8,
    holds=6,
    repeats=2,
    tolerance=0.05,
    arms=3,
    traced_s=2,
    faults=1,
    fault_after_s=2,
    cached_s=4,
    cached_rounds=0,
    grown=4,
    indexes=0,
    control_s=3,
)
"""The least that an answer can rest on: about a minute for a service that starts at once."""

LEVELS = (0.3, 0.6, 0.85)
"""Shares of a knee at which demand is taken: it falls as load rises, so one figure would lie."""


def shortened(depth: Depth, *, hold_s: float | None) -> Depth:
    """`depth` with every hold as long as the user asked (`--duration`)."""
    if hold_s is None:
        return depth
    ratio = hold_s / depth.hold_s
    return msgspec.structs.replace(
        depth,
        hold_s=hold_s,
        arm_ramp_s=max(5.0, depth.arm_ramp_s * ratio),
        baseline_s=max(1.0, depth.baseline_s * ratio),
        demand_s=max(1.0, depth.demand_s * ratio),
        cached_s=max(4.0, depth.cached_s * ratio),
        fault_after_s=max(1.0, depth.fault_after_s * ratio),
        control_s=max(1.0, depth.control_s * ratio),
    )


def fitted(
    depth: Depth,
    budget_s: float | None,
    estimate: Callable[[Depth], float],
    *,
    hold_s: float | None = None,
) -> Depth:
    """The deepest between `BRIEF` and `depth` that `estimate` (in seconds) puts within the budget.

    `BRIEF` when even that takes longer: what does not fit then is left out as the run goes. With
    `hold_s`, as long as the user asked, holds stay that long and the rest is fitted.
    """
    depth, brief = shortened(depth, hold_s=hold_s), shortened(BRIEF, hold_s=hold_s)
    if budget_s is None or estimate(depth) <= budget_s:
        return depth
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        fits = estimate(_between(brief, depth, share)) <= budget_s
        low, high = (share, high) if fits else (low, share)
    return _between(brief, depth, low)


def _between(brief: Depth, full: Depth, share: float) -> Depth:
    """Each figure that far on the way from one to the other, on a logarithmic scale."""
    made = {}
    for name in brief.__struct_fields__:
        least, most = getattr(brief, name), getattr(full, name)
        if name != "budget_s":
            made[name] = least * (most / least) ** share if least > 0 else most * share
            if name in COUNTS:
                made[name] = math.floor(made[name])
    return msgspec.structs.replace(full, **made)
