"""Put the cache that was recommended before the service, and score what was foretold of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from loadpath.events import Warned
from loadpath.experiment.caching.placed import Placed, placed
from loadpath.experiment.caching.placing import Placing, cost_of, place
from loadpath.experiment.caching.streams import Observed
from loadpath.experiment.depth import Depth
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.questions.cache_gain import (
    GAIN_MIN,
    Gain,
    Gains,
    foretold_placed,
    write_gains,
)
from loadpath.questions.forecast import known_knee_per_s, mix_of_run, own_rate_per_s
from loadpath.questions.scores import Score, score
from loadpath.questions.what_if import precise
from loadpath.recording import Recording
from loadpath.spec import OpenArrivals, Setup
from loadpath.spec.keeping import KeepRule, keep_rule

PRECISION = 0.04
BUSY_SHARE = 0.5
MODEL_S = 20.0
LIFT_MAX = 6.0
RAMP_FROM, RAMP_TO = 0.6, 1.7


async def put_in_place(
    session: Session, setup: Setup, depth: Depth, gains: Gains, seen: Observed, *, scale: float
) -> None:
    """Foretell what the cache does on this machine, write that down, and measure it."""
    worth = [each for each in gains.gains if each.ratio.value >= GAIN_MIN]
    rules, worth = _rules(session, setup, worth)
    if not worth or not isinstance(setup.workload.arrivals, OpenArrivals):
        return
    recordings = [Recording.open(path) for path in session.run.recordings()]
    mix = mix_of_run(recordings)
    knee_per_s, own_per_s = known_knee_per_s(mix), own_rate_per_s(mix)
    cost = await cost_of(session, setup, rules, max(BUSY_SHARE * knee_per_s, own_per_s))
    if cost is None:
        return
    with phase(session.emit, "what it gains here, by a model", MODEL_S) as now:
        told = msgspec.structs.replace(gains, gains=tuple(worth))
        told = foretold_placed(recordings, told, seen, cost, scale=scale)
        assert told.placed is not None
        write_gains(session.run.directory, msgspec.structs.replace(gains, placed=told.placed))
        lift = min(max(told.placed.ratio.value, 1.0), LIFT_MAX)
        now.result = f"capacity × {told.placed.ratio.value:.2f}"
    placing = Placing(
        own_per_s=own_per_s,
        warm_s=max(each.ttl_s for each in worth),
        hold_s=depth.hold_s,
        ramp_s=depth.arm_ramp_s,
        ramp_per_s=(RAMP_FROM * knee_per_s, RAMP_TO * lift * knee_per_s),
        rounds=depth.cached_rounds,
        repeats=depth.repeats,
    )

    def enough() -> bool:
        found = placed([Recording.open(path) for path in session.run.recordings()])
        return found is not None and precise(found.measurement, PRECISION)

    names = " and ".join(each.operation for each in worth)
    await place(session, setup, rules, placing, title=f"{names} kept, A B B A", enough=enough)


def _rules(
    session: Session, setup: Setup, worth: Sequence[Gain]
) -> tuple[tuple[KeepRule, ...], list[Gain]]:
    """The rules of those that can be put in place, and which those are."""
    rules: list[KeepRule] = []
    kept: list[Gain] = []
    for each in worth:
        operation = next(o for o in setup.workload.operations if o.name == each.operation)
        if operation.request is None:
            why = "it is a flow, and which of its requests would be kept is not known"
            message = f"{each.operation} is not put behind a cache: {why}"
            session.emit(Warned(at_s=time.time(), message=message))
            continue
        rules.append(keep_rule(operation.name, operation.request, each.ttl_s))
        kept.append(each)
    return tuple(rules), kept


def scored(gains: Gains, found: Placed | None) -> Score | None:
    """The capacity foretold against the one measured; None: one of them is missing."""
    if gains.placed is None or found is None or found.measurement.capacity is None:
        return None
    return score("capacity", gains.placed.ratio, found.measurement.capacity.ratio)
