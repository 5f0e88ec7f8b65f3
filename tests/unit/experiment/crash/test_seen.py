"""What users saw around a fault, told from requests whose course is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.crash.seen import (
    SETTLED_S,
    Requests,
    course,
    failing,
    goodput_ratio,
    requests_seen,
    timeline,
)
from loadpath.recording.schema import REQUESTS, RequestError
from loadpath.recording.tables import numpy_type
from loadpath.spec import Objective, OpenArrivals, Operation, Workload
from loadpath.spec.objective import QuantileLimit

ONSET, HEALED, END = 10.0, 12.0, 20.0
RATE = 200


def requests(bad: list[tuple[float, float]], *, noise: float = 0.0, seed: int = 1) -> Requests:
    """200 requests a second from 0 to 20 s, all bad in the given stretches, and by chance."""
    rng = np.random.default_rng(seed)
    due = np.arange(0, END, 1 / RATE)
    is_bad = rng.random(len(due)) < noise
    for since, until in bad:
        is_bad |= (due >= since) & (due < until)
    return Requests(
        operation=np.zeros(len(due), np.int64),
        due_s=due,
        response_s=np.where(is_bad, 1.0, 0.01),
        good=~is_bad,
        failed=is_bad,
        hung=np.zeros(len(due), np.bool_),
    )


def test_a_fault_shows_and_is_recovered_from_to_a_request() -> None:
    seen = course(requests([(10.3, 12.6)]), 0.0, ONSET, HEALED, END)
    assert seen.shown_s == pytest.approx(0.3, abs=1.5 / RATE)
    assert seen.recovered_s == pytest.approx(0.6, abs=1.5 / RATE)
    assert seen.failed == pytest.approx(2.3 * RATE, abs=1)


def test_what_was_well_before_the_heal_had_recovered_by_then() -> None:
    assert course(requests([(10.0, 11.0)]), 0.0, ONSET, HEALED, END).recovered_s == 0.0


def test_a_second_illness_after_the_heal_counts() -> None:
    seen = course(requests([(10.0, 12.1), (14.0, 14.2)]), 0.0, ONSET, HEALED, END)
    assert seen.recovered_s == pytest.approx(2.2, abs=1.5 / RATE)


def test_what_is_ill_at_the_end_has_not_recovered() -> None:
    assert course(requests([(10.0, END)]), 0.0, ONSET, HEALED, END).recovered_s is None


def test_what_was_well_for_a_moment_only_is_not_known_to_have_recovered() -> None:
    late = END - SETTLED_S / 2
    assert course(requests([(10.0, late)]), 0.0, ONSET, HEALED, END).recovered_s is None


def test_bad_requests_that_the_control_has_too_are_no_illness() -> None:
    for seed in range(50):
        seen = course(requests([], noise=0.02, seed=seed), 0.02, ONSET, HEALED, END)
        assert (seen.shown_s, seen.recovered_s) == (None, 0.0)


def test_one_bad_request_alone_is_no_illness() -> None:
    seen = course(requests([(13.0, 13.004)]), 0.0, ONSET, HEALED, END)
    assert (seen.failed, seen.shown_s, seen.recovered_s) == (1, None, 0.0)


def test_the_blast_radius_is_the_operations_that_fared_worse_than_without() -> None:
    hit, spared = requests([(10.0, 12.0)]), requests([], noise=0.01)
    other = np.ones(len(spared), np.int64)
    both = Requests(
        *(
            np.concatenate(
                (getattr(hit, name), other if name == "operation" else getattr(spared, name))
            )
            for name in Requests.__struct_fields__
        )
    )
    control = Requests(
        *(
            np.concatenate(
                (getattr(spared, name), other if name == "operation" else getattr(spared, name))
            )
            for name in Requests.__struct_fields__
        )
    )
    assert failing(both, control, ONSET, HEALED, (0, 1)) == [0]


def test_goodput_is_a_share_of_what_the_control_gave() -> None:
    seen = requests([(10.0, 11.0)])
    assert goodput_ratio(seen, 0.0, 10.0, 12.0) == pytest.approx(0.5)
    assert goodput_ratio(seen, 0.5, 10.0, 12.0) == pytest.approx(1.0)
    assert math.isnan(goodput_ratio(seen, 0.0, 30.0, 31.0))


@given(st.floats(0.005, 0.5), st.floats(1.0, 9.0))
def test_a_timeline_counts_every_request_once(bin_s: float, lasts_s: float) -> None:
    seen = requests([(10.0, 11.0)])
    line = timeline(seen, 9.0, 9.0 + lasts_s, bin_s)
    covered = seen.between(9.0, line.at_s[-1] + bin_s)
    assert abs(line.due.sum() - len(covered)) <= 1  # one may lie on the edge
    assert (line.good + line.failed == line.due).all()


WORKLOAD = Workload(
    arrivals=OpenArrivals(10.0),
    operations=(
        Operation(name="fast", objective=Objective((QuantileLimit(0.99, 0.05),))),
        Operation(
            name="slow", objective=Objective((QuantileLimit(0.5, 0.1), QuantileLimit(0.99, 1)))
        ),
    ),
)


def test_requests_are_judged_by_the_limit_of_their_own_operation() -> None:
    count = 4
    rows = {c.name: np.zeros(count, numpy_type(c.type)) for c in REQUESTS.columns}
    rows["flow"][:] = range(count)
    rows["operation"][:] = 0, 1, 0, 1
    rows["intended_s"][:] = 0.0, 0.1, 0.2, 0.3
    rows["done_s"][:] = 0.5, 0.6, 0.21, math.nan
    rows["error"][3] = RequestError.UNFINISHED
    seen = requests_seen(rows, WORKLOAD, until_s=30.3)
    assert seen.good.tolist() == [False, True, True, False]
    assert seen.failed.tolist() == [False, False, False, True]
    assert seen.response_s.tolist() == pytest.approx([0.5, 0.5, 0.01, 30.0])
    assert seen.hung.tolist() == [False, False, False, True]
