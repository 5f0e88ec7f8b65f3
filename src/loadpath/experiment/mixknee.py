"""The knee of the mix, from the holds of a recording."""

from __future__ import annotations

import msgspec

from loadpath.answer import Interval
from loadpath.experiment.holds import BOUNDED_CORES, holds_of, lost_at_most
from loadpath.experiment.knee import Hold, loosest_limit_s, measured_window, observe
from loadpath.recording import Recording
from loadpath.spec import Arrivals, ClosedArrivals, OpenArrivals
from loadpath.stats.crossing import crossing, lateness
from loadpath.stats.factors import widened
from loadpath.stats.knee import KneeResult, KneeSearch


class MixKnee(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mix first misses its objective.

    `scale` and `rate` (1/s) are None when the holds do not bracket it: `below` is then the highest
    load that was met, or `above` the lowest that was missed. `disturbed` gives the reasons why
    holds were left out; `trusted` is False when there was nothing to go by without them and what
    they lost has no bound. `taken_cores` is what others took at most in holds that count all the
    same: the interval reaches up to the knee that it may have been without.
    """

    scale: Interval | None
    rate: Interval | None
    below: Hold | None
    above: Hold | None
    trusted: bool
    disturbed: tuple[str, ...]
    taken_cores: float = 0.0


class LoadPoint(msgspec.Struct, frozen=True, kw_only=True):
    """How the mix did at one load: `stretch` is the quantile asked for as a share of its limit, the
    worst of several; `disturbed` whether something else took the machine meanwhile."""

    rate_per_s: float
    stretch: float
    met: bool | None
    disturbed: bool


def load_points(recording: Recording) -> tuple[LoadPoint, ...]:
    """Every load that was held, in the order of the rate. Empty where no quantile is asked for."""
    points = [
        LoadPoint(
            rate_per_s=hold.assessment.offered_per_s,
            stretch=max(limit.stretch for limit in hold.assessment.limits),
            met=hold.assessment.met,
            disturbed=hold.disturbed is not None,
        )
        for hold in holds_of(recording, "hold")
        if hold.assessment.limits
    ]
    return tuple(sorted(points, key=lambda point: point.rate_per_s))


def mix_search(arrivals: Arrivals, start: float, *, tolerance: float, holds: int) -> KneeSearch:
    """A search from `start` times the workload's own load.

    Of open arrivals a ramp has placed the knee already: small steps. Closed ones were not ramped,
    and come in whole users.
    """
    closed = isinstance(arrivals, ClosedArrivals)
    return KneeSearch(
        start,
        growth=1.6 if closed else 1.15,
        tolerance=tolerance,
        repeats=2,
        confirmations=1,
        observations_max=2 * holds if closed else holds,
        step=1 / arrivals.users if isinstance(arrivals, ClosedArrivals) else 0.0,
    )


def mix_knee(recording: Recording, tolerance: float = 0.04) -> MixKnee:
    """Derive it. Doubtful holds count only when the others do not bracket a knee that they would;
    the interval then allows for what others took, if that was little.

    A hold is doubtful when it was disturbed and did not meet the objective: what meets it although
    something else took the machine meets it all the more without.
    """
    every = holds_of(recording, "hold")
    reasons = tuple(hold.disturbed for hold in every if is_doubtful(hold) and hold.disturbed)
    clean = [hold for hold in every if not is_doubtful(hold)]
    found, chosen, trusted, taken = _search(recording, clean, tolerance), clean, True, 0.0
    if found is None or (found.knee is None and reasons):
        found, chosen = _search(recording, every, tolerance), every
        taken = max((hold.taken_cores for hold in every if is_doubtful(hold)), default=0.0)
        trusted = not reasons or taken <= BOUNDED_CORES
    if found is None:
        return MixKnee(
            scale=None, rate=None, below=None, above=None, trusted=False, disturbed=reasons
        )
    below = _at(chosen, found.low)
    above = _at(chosen, found.high)
    scale = None if found.knee is None else _placed(recording, chosen, found.knee)
    if scale is not None and trusted:
        scale = widened(scale, 1.0, lost_at_most(taken))
    return MixKnee(
        scale=scale,
        rate=None if scale is None else _rate(recording, scale, below),
        below=below,
        above=above,
        trusted=trusted,
        disturbed=reasons,
        taken_cores=taken,
    )


def is_doubtful(hold: Hold) -> bool:
    """Whether a hold missed (or could not tell) while something else took the machine."""
    return hold.disturbed is not None and hold.assessment.met is not True


def _search(recording: Recording, holds: list[Hold], tolerance: float) -> KneeResult | None:
    if not holds:
        return None
    arrivals = recording.setup.workload.arrivals
    search = mix_search(arrivals, holds[0].scale, tolerance=tolerance, holds=len(holds))
    for seen in holds:
        observe(search, seen)
    return search.result()


def _placed(recording: Recording, holds: list[Hold], bracket: Interval) -> Interval:
    """The knee within (or beside) the bracket, as holds of unending length would have it.

    Short holds read late: see `stats/crossing.py`. Where errors are what is missed there is no line
    to follow, and the bracket stands.
    """
    workload = recording.setup.workload
    if isinstance(workload.arrivals, ClosedArrivals):
        return bracket
    timed = [hold for hold in holds if hold.assessment.errors_met is not False]
    if not any(hold.assessment.met is False for hold in timed):
        return bracket
    limit_s = loosest_limit_s(workload)
    length_s = sum(_length_s(hold) for hold in timed) / len(timed)
    stretches = [max(limit.stretch for limit in hold.assessment.limits) for hold in timed]
    scales = [hold.scale for hold in timed]
    found = crossing(scales, stretches, limit_s=limit_s, stretch_s=length_s)
    if found is not None:
        return found
    late = lateness(limit_s, length_s)
    return msgspec.structs.replace(
        bracket,
        value=bracket.value / (1 + late),
        low=bracket.low * (1 - late) / (1 + late),
    )


def _length_s(hold: Hold) -> float:
    from_s, to_s = measured_window(hold.segment)
    return to_s - from_s


def _at(holds: list[Hold], scale: float | None) -> Hold | None:
    """The last hold at that load: the earlier ones at it may have been the undecided ones."""
    near = [hold for hold in holds if scale and abs(hold.scale - scale) < 0.01 * scale]
    return near[-1] if near else None


def _rate(recording: Recording, scale: Interval, below: Hold | None) -> Interval:
    """The knee as a rate. Of closed arrivals: what so many users came to just below it."""
    arrivals = recording.setup.workload.arrivals
    if isinstance(arrivals, OpenArrivals):
        each = arrivals.rate_per_s
    else:
        each = below.assessment.done_per_s / below.scale if below else 0.0
    return msgspec.structs.replace(
        scale, value=scale.value * each, low=scale.low * each, high=scale.high * each
    )
