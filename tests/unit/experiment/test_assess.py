"""Whether an objective was met, from rows written by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.assess import Assessment, Responses, assess, responses
from loadpath.spec import Objective, QuantileLimit

P99_50MS = Objective((QuantileLimit(0.99, 0.050),), 0.001)
P99_250MS = Objective((QuantileLimit(0.99, 0.250),), 0.001)


def rows(*steps: tuple[int, int, int, float, float, int]) -> dict[str, Any]:
    """Rows of (flow, step, operation, intended, done, error)."""
    names = ("flow", "step", "operation", "intended_s", "done_s", "error")
    columns = zip(*steps, strict=True) if steps else [()] * len(names)
    kinds = ("u4", "u1", "u2", "f8", "f8", "u1")
    return {
        name: np.array(values, kind)
        for name, values, kind in zip(names, columns, kinds, strict=True)
    }


def took(*groups: tuple[int, int, float], failed: Sequence[int] = ()) -> Responses:
    """Groups of (operation, how many, response time), well mixed; `failed` are positions."""
    operation = np.concatenate([np.full(count, which) for which, count, _ in groups])
    response = np.concatenate([np.full(count, time_s) for _, count, time_s in groups])
    order = np.random.default_rng(3).permutation(len(operation))
    bad = np.zeros(len(operation), np.bool_)
    bad[list(failed)] = True
    at_s = np.arange(len(operation)) * 0.01
    return Responses(operation[order], at_s, response[order].astype(float), bad)


def judged(observed: Responses, *objectives: Objective) -> Assessment:
    return assess(observed, objectives, duration_s=10.0)


class TestFolding:
    def test_a_flow_lasts_from_its_first_intended_start_to_its_last_reply(self) -> None:
        found = responses(
            rows(
                (7, 1, 0, 10.2, 10.5, 0),
                (8, 0, 1, 9.0, 9.1, 0),
                (7, 0, 0, 10.0, 10.2, 0),
                (7, 2, 0, 10.5, 10.9, 0),
            )
        )
        assert found.intended_s.tolist() == [9.0, 10.0]
        assert found.operation.tolist() == [1, 0]
        assert found.response_s == pytest.approx([0.1, 0.9])
        assert not found.failed.any()

    def test_it_failed_when_any_of_its_steps_did(self) -> None:
        found = responses(rows((1, 0, 0, 0.0, 0.1, 1), (1, 1, 0, 0.1, 0.2, 0)))
        assert found.failed.tolist() == [True]

    def test_one_that_never_ended_took_for_ever(self) -> None:
        found = responses(rows((1, 0, 0, 0.0, 0.1, 0), (1, 1, 0, 0.1, math.nan, 6)))
        assert found.response_s.tolist() == [math.inf]
        assert found.failed.tolist() == [True]

    def test_no_rows_are_no_responses(self) -> None:
        assert len(responses(rows())) == 0

    def test_the_part_of_a_stretch_is_cut_by_intended_starts(self) -> None:
        found = responses(rows((1, 0, 0, 1.0, 9.0, 0), (2, 0, 0, 2.0, 2.1, 0)))
        assert found.between(1.0, 2.0).response_s.tolist() == [8.0]
        assert len(found.between(1.0, 1.0)) == 0
        assert found.between(0, 1).followed_by(found.between(2, 3)).intended_s.tolist() == [2.0]

    @given(st.permutations(range(6)))
    def test_the_order_in_which_rows_were_written_does_not_matter(self, order: list[int]) -> None:
        table = rows(
            (1, 0, 0, 0.0, 0.1, 0),
            (1, 1, 0, 0.1, 0.3, 0),
            (2, 0, 1, 0.05, 0.2, 1),
            (3, 0, 0, 0.07, 0.2, 0),
            (3, 1, 0, 0.2, math.nan, 6),
            (4, 0, 1, 0.09, 0.2, 0),
        )
        straight = responses(table)
        mixed = responses({name: values[order] for name, values in table.items()})
        for field in ("operation", "intended_s", "response_s", "failed"):
            assert getattr(mixed, field).tolist() == getattr(straight, field).tolist()


class TestLimits:
    def test_every_operation_is_held_against_its_own_limit(self) -> None:
        slow = took((0, 900, 0.040), (1, 900, 0.200))
        assert judged(slow, P99_50MS, P99_250MS).met is True
        assert judged(slow, P99_50MS, P99_50MS).met is False

    def test_a_dear_operation_counts_by_its_share(self) -> None:
        rare = took((0, 4990, 0.010), (1, 10, 0.900))
        common = took((0, 4800, 0.010), (1, 200, 0.900))
        assert judged(rare, P99_50MS, P99_250MS).met is True
        assert judged(common, P99_50MS, P99_250MS).met is False
        assert judged(common, P99_50MS, P99_250MS).limits[0].slower.value == pytest.approx(0.04)

    def test_a_response_exactly_at_the_limit_meets_it(self) -> None:
        assert judged(took((0, 1000, 0.050)), P99_50MS).met is True

    def test_what_never_finished_is_over_every_limit(self) -> None:
        found = judged(took((0, 900, 0.010), (0, 100, math.inf)), P99_50MS)
        assert found.met is False
        assert found.limits[0].response.value == math.inf
        assert found.response_mean_s == pytest.approx(0.010)
        assert found.offered_per_s == pytest.approx(100)
        assert found.done_per_s == pytest.approx(90)

    def test_about_as_many_slow_ones_as_allowed_cannot_be_told(self) -> None:
        found = judged(took((0, 396, 0.010), (0, 4, 0.090)), P99_50MS)
        assert found.met is None
        assert found.limits[0].slower.low < 0.01 < found.limits[0].slower.high

    def test_operations_are_judged_by_the_quantiles_they_have(self) -> None:
        median = Objective((QuantileLimit(0.5, 0.020),), 0.001)
        found = judged(took((0, 500, 0.040), (1, 500, 0.010)), P99_50MS, median)
        assert [(v.quantile, v.limit_s, v.met) for v in found.limits] == [
            (0.5, 0.020, True),
            (0.99, 0.050, True),
        ]
        assert found.limits[0].response.value == pytest.approx(0.010)

    def test_one_missed_limit_of_several_is_a_miss(self) -> None:
        both = Objective((QuantileLimit(0.5, 0.005), QuantileLimit(0.99, 0.05)), 0.001)
        assert [v.met for v in judged(took((0, 500, 0.01)), both).limits] == [False, True]
        assert judged(took((0, 500, 0.01)), both).met is False

    @given(st.floats(0.01, 100), st.integers(0, 60))
    def test_a_change_of_unit_changes_no_verdict(self, unit: float, slow: int) -> None:
        observed = took((0, 1000, 0.020), (0, slow + 1, 0.090))
        scaled = Responses(
            observed.operation, observed.intended_s, observed.response_s * unit, observed.failed
        )
        limit = Objective((QuantileLimit(0.99, 0.05 * unit),), 0.001)
        assert judged(scaled, limit).met == judged(observed, P99_50MS).met


class TestErrors:
    def test_more_errors_than_allowed_are_a_miss_however_fast(self) -> None:
        found = judged(took((0, 1000, 0.01), failed=range(0, 1000, 20)), P99_50MS)
        assert found.errors.value == pytest.approx(0.05)
        assert (found.errors_met, found.limits[0].met, found.met) == (False, True, False)

    def test_the_strictest_of_the_operations_driven_decides(self) -> None:
        lax = Objective((QuantileLimit(0.99, 0.05),), 0.2)
        failing = range(0, 1000, 20)
        assert judged(took((1, 1000, 0.01), failed=failing), P99_50MS, lax).met is True
        both = took((0, 500, 0.01), (1, 500, 0.01), failed=failing)
        assert judged(both, P99_50MS, lax).met is False

    def test_none_at_all_meet_a_ratio_too_small_for_the_sample(self) -> None:
        assert judged(took((0, 200, 0.01)), P99_50MS).errors_met is True

    def test_one_in_a_small_sample_cannot_be_told(self) -> None:
        found = judged(took((0, 200, 0.01), failed=[5]), P99_50MS)
        assert (found.errors_met, found.met) == (None, None)


def test_of_no_requests_nothing_can_be_told() -> None:
    nothing = Responses(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.bool_))
    found = judged(nothing, P99_50MS)
    assert found.met is None
    assert found.requests == 0
    assert math.isnan(found.response_mean_s)


def test_an_objective_on_errors_alone_can_be_met() -> None:
    assert judged(took((0, 500, 9.0)), Objective((), 0.001)).met is True
