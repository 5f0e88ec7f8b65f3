"""Predictions beside what was then measured: by how much each is off, and whether it held. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.answer import Interval
from loadpath.experiment.measured import AtLoad, Measurement
from loadpath.model.predict import Prediction, Times
from loadpath.model.simulated import OpenRate
from loadpath.questions.forecast import AtRates

WIDEST = 0.15
"""A measured figure known less well than this, half its interval as a share of it, judges none."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `error` is predicted ÷ measured − 1; `held`: whether the intervals meet, None
    where the measured one is too wide to say."""

    figure: str
    predicted: Interval
    measured: Interval
    error: float
    held: bool | None


def score(figure: str, predicted: Interval, measured: Interval) -> Score:
    """One prediction against one measurement."""
    held: bool | None = predicted.low <= measured.high and measured.low <= predicted.high
    if measured.samples < 2 or not measured.half_width_ratio <= WIDEST:
        held = None
    return Score(
        figure=figure,
        predicted=predicted,
        measured=measured,
        error=predicted.value / measured.value - 1 if measured.value else 0.0,
        held=held,
    )


def times_at(prediction: Prediction, rate_per_s: float, *, after: bool) -> Times | None:
    """The response times foretold at a rate, all operations together; None beyond saturation."""
    for point in prediction.points:
        if point.operation is not None or not isinstance(point.load, OpenRate):
            continue
        if abs(point.load.rate_per_s - rate_per_s) <= 1e-6 * rate_per_s:
            return point.after if after else point.before
    return None


def scores_of(
    prediction: Prediction, rates: Sequence[AtRates], measurement: Measurement
) -> tuple[Score, ...]:
    """Every figure that was both foretold and measured, the one that decides first.

    That is what the capacity becomes or, where the change is one of the load, the response times at
    the new one.
    """
    found = []
    if measurement.capacity is not None and not measurement.bounded:
        found.append(score("capacity", prediction.capacity.ratio, measurement.capacity.ratio))
    of_load: list[Score] = []
    for rate, seen in zip(rates, measurement.loads, strict=False):
        told = times_at(prediction, rate.after_per_s, after=True)
        if told is not None:
            of_load += _times_scored(told, seen)
    more_load = any(rate.before_per_s != rate.after_per_s for rate in rates)
    return tuple(of_load + found if more_load else found + of_load)


def _times_scored(told: Times, seen: AtLoad) -> list[Score]:
    at = f"at {seen.after_per_s:g}/s"
    figures = (
        (f"mean {at}", told.mean_s, seen.mean_s),
        (f"p50 {at}", told.p50_s, seen.p50_s),
        (f"p99 {at}", told.p99_s, seen.p99_s),
    )
    return [score(name, predicted, pair.after) for name, predicted, pair in figures if pair]
