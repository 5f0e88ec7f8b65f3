"""When a fault's segment ends, how long it lasts and at which load: decided without a service."""

from __future__ import annotations

import time

import pytest

from loadpath.drive import SegmentProgress
from loadpath.experiment.crash.cascade import chain_of
from loadpath.experiment.crash.run import Timing, _Watch, scale_of
from loadpath.faults import parse_fault
from loadpath.spec import ClosedArrivals, OpenArrivals

TIMING = Timing(after_s=3.0, after_max_s=8.0)


def progress(second: int, *, errors: int = 0, p99_s: float | None = 0.01) -> SegmentProgress:
    return SegmentProgress(
        index=1,
        at_s=100.0 + second,
        elapsed_s=float(second),
        target_rate_per_s=50.0,
        arrivals=50 * second,
        sent=50 * second,
        done=50 * second,
        errors=errors,
        in_flight=0,
        waiting=0,
        done_rate_per_s=50.0,
        response_time_p50_s=0.005,
        response_time_p99_s=p99_s,
        slip_p99_s=0.0,
        engine_cpu_s=0.0,
    )


def watch(healed_s_ago: float) -> _Watch:
    made = _Watch(limit_s=0.1)
    made.healed_s = time.monotonic() - healed_s_ago
    return made


def test_it_knows_from_the_first_progress_when_the_load_began() -> None:
    made = _Watch(limit_s=0.1)
    assert not made.heard(progress(2), TIMING)
    assert made.began.is_set()
    assert made.started_s == 100.0
    assert made.rate_per_s == 50.0


@pytest.mark.parametrize(
    ("healed_s_ago", "errors", "p99_s", "over"),
    [
        (1.0, 0, 0.01, False),  # too soon to tell
        (4.0, 0, 0.01, True),
        (4.0, 30, 0.01, False),  # it still fails
        (4.0, 0, 0.5, False),  # it is still slow
        (9.0, 30, 0.5, True),  # it was given time enough
    ],
)
def test_a_segment_ends_once_it_fares_well_or_had_its_time(
    healed_s_ago: float, errors: int, p99_s: float, over: bool
) -> None:
    made = watch(healed_s_ago)
    made.heard(progress(1), Timing(after_s=1e9, after_max_s=1e9))
    assert made.heard(progress(2, errors=errors, p99_s=p99_s), TIMING) is over


def test_a_fault_lasts_as_long_as_it_says_or_as_the_plan_does() -> None:
    assert TIMING.lasts_of(parse_fault("cache stopped, for 3s")) == 3.0
    assert TIMING.lasts_of(parse_fault("cache stopped")) == TIMING.lasts_s


def test_a_rate_is_reached_from_below_and_never_lowered() -> None:
    fault = parse_fault("cache stopped, at 200/s")
    assert scale_of(fault, OpenArrivals(50.0), 1.0) == 4.0
    assert scale_of(fault, OpenArrivals(400.0), 1.0) == 1.0
    assert scale_of(parse_fault("cache stopped"), OpenArrivals(50.0), 0.5) == 0.5
    assert scale_of(fault, ClosedArrivals(10, 1.0), 1.0) == 1.0
    after = parse_fault("cache reset, after cache stopped, at 200/s")
    assert scale_of(after, OpenArrivals(50.0), 1.0) == 4.0


def test_what_a_fault_comes_after_is_begun_first() -> None:
    fault = parse_fault("cache reset, after cache +1ms, after database killed")
    names = [each.name for each in chain_of(fault)]
    assert names[0] == "database killed"
    assert names[-1] == fault.name
    assert len(names) == 3
