"""Intervals of predictions: ordered, around their figure, finite; however draws go astray."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.model.error import interval
from loadpath.model.network import Fitted
from loadpath.model.predict import OpenRate, predict

from .observed import OBJECTIVE, service

positive = st.floats(1e-6, 1e6)


@given(
    value=positive,
    drawn=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20),
    error=st.floats(0.0, 20.0),
)
def test_they_are_ordered_finite_and_contain_the_figure(
    value: float, drawn: list[float], error: float
) -> None:
    found = interval(value, drawn, error)
    assert 0 < found.low <= found.value <= found.high < math.inf
    assert found.high / found.low <= 100 * (1 + 1e-9)


@given(value=positive, drawn=st.lists(positive, min_size=2, max_size=20))
def test_more_error_never_narrows_them(value: float, drawn: list[float]) -> None:
    narrow, wide = (interval(value, drawn, error) for error in (0.05, 0.2))
    assert wide.low <= narrow.low <= narrow.high <= wide.high


@settings(max_examples=5, deadline=None)
@given(share=st.floats(0.2, 0.8), slower=st.floats(1.3, 2.5))
def test_draws_that_the_load_overruns_do_not_blow_up_response_times(
    share: float, slower: float
) -> None:
    """One thread of 2 ms carries about 480/s within the objective; some draws carry far less."""
    fitted = Fitted(
        model=service(0.002),
        draws=(service(0.002), service(0.002), service(0.002 * slower), service(0.002 * slower)),
        mean_misfit=0.0,
        p99_misfit=0.0,
    )
    found = predict(fitted, [], [OpenRate(share * 480)], {"GET /": OBJECTIVE})
    for point in found.points:
        assert point.before is not None
        for each in msgspec.structs.astuple(point.before):
            assert 0 < each.low <= each.value <= each.high
            assert each.high <= 10 * each.value * (1 + 1e-9)
            assert each.high < 0.25
