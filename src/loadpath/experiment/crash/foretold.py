"""What was foretold of an outage, for as long as it lasts. Pure."""

from __future__ import annotations

import msgspec

from loadpath.answer import Interval
from loadpath.model.outage import LEVELS, Quantiles, outage_course
from loadpath.recording import OutageRecord

CONFIDENCE = LEVELS[-1] - LEVELS[0]


def foretold_for(
    record: OutageRecord, lasts_s: float, watched_s: float, starting_s: float = 0.0
) -> OutageRecord:
    """What was foretold, of an outage that lasts so long and is watched so long from its onset.

    `starting_s`: how long at its end the part took calls that it did not answer yet.
    """
    if record.known is None:
        return record
    course = outage_course(
        record.known, lasts_s=lasts_s, watched_s=watched_s, starting_s=starting_s
    )
    return msgspec.structs.replace(
        record,
        lasts_s=lasts_s,
        waiting=_interval(course.waiting),
        retries=_interval(course.retries),
        drain_s=None if course.drain_s is None else _interval(course.drain_s),
    )


def _interval(found: Quantiles) -> Interval:
    return Interval(
        value=found.value,
        low=found.low,
        high=found.high,
        confidence=CONFIDENCE,
        method="Poisson arrivals, each by its client's policy",
        samples=1,
    )
