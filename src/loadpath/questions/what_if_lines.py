"""The lines of an answer to a what-if: before, after, foretold and measured. Pure."""

from __future__ import annotations

from loadpath.answer import Interval, Line
from loadpath.experiment.measured import Measurement, Pair
from loadpath.figures import ms, per_second
from loadpath.model.predict import Prediction
from loadpath.questions.forecast import AtRates, Forecast
from loadpath.questions.scores import Score, times_at
from loadpath.questions.words import change
from loadpath.stats.compare import Verdict

ELSEWHERE_RATIO = 1.03
"""Where the engine stands is worth a line when it moves the capacity by more."""


def lines_of(
    forecast: Forecast, measurement: Measurement | None, scores: tuple[Score, ...]
) -> list[Line]:
    """What a person reads, in the order of worth: capacity, response times, what gives out."""
    by_figure = {score.figure: score for score in scores}
    lines = [_capacity(forecast, measurement, by_figure.get("capacity"))]
    for index, rates in enumerate(forecast.rates):
        for quantile in ("p50", "p99"):
            lines.append(_times(forecast, measurement, by_figure, index, rates, quantile))
    if forecast.prediction is not None:
        lines += _of_prediction(forecast.prediction)
    if measurement is not None and measurement.cpu_s:
        lines.append(Line("CPU a request", cpu_words(measurement)))
    lines += [Line("assumed", assumed) for assumed in forecast.assumes]
    lines += [Line("not predicted", why) for why in forecast.not_predicted]
    lines += [Line("not made", why) for why in forecast.not_applied]
    return [line for line in lines if line.verdict]


def cpu_words(measurement: Measurement) -> str:
    """What each part spends on a request, before and after."""
    return ", ".join(
        f"{part} {ms(pair.before.value)} → {ms(pair.after.value)} ({difference(pair)})"
        for part, pair in measurement.cpu_s.items()
    )


def difference(pair: Pair) -> str:
    """The change of a figure, or that there is none."""
    if pair.verdict is Verdict.SAME:
        return "no difference"
    said = change(pair.ratio)
    return f"{said}, cannot tell" if pair.verdict is Verdict.CANNOT_TELL else said


def held_words(score: Score | None) -> str:
    """How far off a prediction was, and whether its interval held."""
    if score is None:
        return ""
    off = f"{'−' if score.error < 0 else '+'}{abs(score.error) * 100:.0f} %"
    word = {True: "held", False: "missed", None: "cannot tell"}[score.held]
    return f"prediction {off} off: {word}"


def _capacity(forecast: Forecast, measurement: Measurement | None, score: Score | None) -> Line:
    told = measured = ""
    if forecast.prediction is not None:
        found = forecast.prediction.capacity
        moved = f"{per_second(found.before.value)} → {per_second(found.after.value)}"
        told = f"predicted {moved}, {change(found.ratio)}"
    if measurement is not None:
        pair = measurement.capacity
        if pair is None:
            measured = "neither missed the objective within its ramp"
        else:
            moved = f"{per_second(pair.before.value)} → {per_second(pair.after.value)}"
            measured = f"measured {moved}, {difference(pair)}"
            if measurement.bounded:
                measured = f"measured {moved}, as far as its ramps went"
    return Line("capacity", told or measured, _joined(measured if told else "", held_words(score)))


def _times(
    forecast: Forecast,
    measurement: Measurement | None,
    scores: dict[str, Score],
    index: int,
    rates: AtRates,
    quantile: str,
) -> Line:
    told = measured = ""
    name = f"{quantile}_s"
    if forecast.prediction is not None:
        before = times_at(forecast.prediction, rates.before_per_s, after=False)
        after = times_at(forecast.prediction, rates.after_per_s, after=True)
        first = "beyond capacity" if before is None else ms(getattr(before, name).value)
        told = f"predicted {first} → " + (
            "beyond capacity" if after is None else _with_interval(getattr(after, name))
        )
    if measurement is not None and index < len(measurement.loads):
        pair = getattr(measurement.loads[index], name)
        measured = "measured: did not settle"
        if pair is not None:
            measured = f"measured {ms(pair.before.value)} → {_with_interval(pair.after)}"
    score = scores.get(f"{quantile} at {rates.after_per_s:g}/s")
    verdict = told or measured
    return Line(
        f"{quantile} at {rates_words(rates)}",
        verdict,
        _joined(measured if told else "", held_words(score)),
    )


def rates_words(rates: AtRates) -> str:
    """`60/s`, or `60/s → 120/s`."""
    if rates.before_per_s == rates.after_per_s:
        return per_second(rates.before_per_s)
    return f"{per_second(rates.before_per_s)} → {per_second(rates.after_per_s)}"


def _of_prediction(prediction: Prediction) -> list[Line]:
    before, after = prediction.bottleneck_before.words(), prediction.bottleneck_after.words()
    moved = before if before == after else f"{before} → {after}"
    lines = [Line("gives out first", moved)]
    here, there = prediction.capacity.after, prediction.elsewhere.capacity
    far = max(here.value, there.after.value) > ELSEWHERE_RATIO * min(here.value, there.after.value)
    if far and here.value > 0:
        told = f"{per_second(there.before.value)} → {per_second(there.after.value)}"
        lines.append(Line("engine elsewhere", f"predicted {told}, {change(there.ratio)}"))
    return lines


def _with_interval(found: Interval) -> str:
    return f"{ms(found.value)} ({ms(found.low)} to {ms(found.high)})"


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
