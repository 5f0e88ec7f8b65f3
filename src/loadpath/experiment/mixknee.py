"""The knee of the mix, from the holds of a recording."""

from __future__ import annotations

import msgspec

from loadpath.answer import Interval
from loadpath.experiment.holds import holds_of
from loadpath.experiment.knee import Hold, observe
from loadpath.recording import Recording
from loadpath.spec import Arrivals, ClosedArrivals, OpenArrivals
from loadpath.stats.knee import KneeResult, KneeSearch

CLEAN_MIN = 2
"""A knee takes one load that is met and one that is missed."""


class MixKnee(msgspec.Struct, frozen=True, kw_only=True):
    """Where the mix first misses its objective.

    `scale` and `rate` (1/s) are None when the holds do not bracket it: `below` is then the highest
    load that was met, or `above` the lowest that was missed. `clean` holds were undisturbed and
    carried the verdict, unless there were too few of them; `disturbed` gives the others' reasons.
    """

    scale: Interval | None
    rate: Interval | None
    below: Hold | None
    above: Hold | None
    clean: int
    disturbed: tuple[str, ...]


def mix_search(arrivals: Arrivals, start: float, *, tolerance: float, holds: int) -> KneeSearch:
    """A search from `start` times the workload's own load.

    Of open arrivals a ramp has placed the knee already: small steps. Closed ones were not ramped,
    and come in whole users.
    """
    closed = isinstance(arrivals, ClosedArrivals)
    return KneeSearch(
        start,
        growth=1.6 if closed else 1.25,
        tolerance=tolerance,
        repeats=2,
        confirmations=1,
        observations_max=2 * holds if closed else holds,
        step=1 / arrivals.users if isinstance(arrivals, ClosedArrivals) else 0.0,
    )


def mix_knee(recording: Recording, tolerance: float = 0.04) -> MixKnee:
    """Derive it. Disturbed holds count only when there are too few clean ones."""
    every = holds_of(recording, "hold")
    clean = [hold for hold in every if hold.disturbed is None]
    chosen = clean if len(clean) >= CLEAN_MIN else every
    found = _search(recording, chosen, tolerance)
    reasons = tuple(hold.disturbed for hold in every if hold.disturbed is not None)
    if found is None:
        return MixKnee(
            scale=None, rate=None, below=None, above=None, clean=len(clean), disturbed=reasons
        )
    below = _at(chosen, found.low)
    above = _at(chosen, found.high)
    return MixKnee(
        scale=found.knee,
        rate=None if found.knee is None else _rate(recording, found.knee, below),
        below=below,
        above=above,
        clean=len(clean),
        disturbed=reasons,
    )


def _search(recording: Recording, holds: list[Hold], tolerance: float) -> KneeResult | None:
    if not holds:
        return None
    arrivals = recording.setup.workload.arrivals
    search = mix_search(arrivals, holds[0].scale, tolerance=tolerance, holds=len(holds))
    for seen in holds:
        observe(search, seen)
    return search.result()


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
