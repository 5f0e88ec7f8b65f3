"""What would a change do? Foretold by a model and, when asked, made for real and measured.

Collected, unless a run is named that has it: what a model is fitted from. Then the prediction is
written down and, to verify it, the service as it is and as the change leaves it are measured in
turn, in recordings `verify-A-…` and `verify-B-…`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from loadpath.answer import Answer, Check, State
from loadpath.changes import Change, applied
from loadpath.errors import RecordingError
from loadpath.experiment.depth import Depth
from loadpath.experiment.measured import Measurement, measure
from loadpath.experiment.modeling import FOR_MODEL, record_for_model
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import (
    LIFT_MAX,
    UNKNOWN,
    VerifyDepth,
    loads_around,
    shortened_to,
    verify,
)
from loadpath.questions.forecast import (
    Forecast,
    foretell,
    read_forecast,
    write_forecast,
)
from loadpath.questions.scores import Score, scores_of
from loadpath.questions.what_if_lines import difference, lines_of
from loadpath.questions.words import change
from loadpath.recording import Recording, Run
from loadpath.recording.runs import find_run
from loadpath.spec import Setup
from loadpath.stats.compare import Verdict

QUESTION = "what-if"
ROUNDS_MIN = 3
"""Fewer than these have an interval that says little, whatever it looks like."""


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an answer: what was foretold, what was measured, and how the two compare."""

    forecast: Forecast
    measurement: Measurement | None
    scores: tuple[Score, ...]


def opened(run: Run) -> list[Recording]:
    """The recordings of a run."""
    return [Recording.open(path) for path in run.recordings()]


def source_run(base: Path, run: Run) -> Run:
    """The run that has what a model is fitted from: this one, or that which it was foretold by.

    Raises `RecordingError` when that is gone.
    """
    if any(path.name.endswith("-mix") for path in run.recordings()):
        return run
    forecast = read_forecast(run)
    if forecast is None:
        return run
    beside = run.directory.parent / forecast.source
    return Run(beside) if beside.is_dir() else find_run(base, forecast.source)


async def foresee(
    session: Session,
    setup: Setup,
    changes: Sequence[Change],
    depth: Depth = FOR_MODEL,
    *,
    at_per_s: Sequence[float] = (),
    verify: bool = False,
) -> Forecast:
    """Record what a model needs, predict, and write the prediction down."""
    await record_for_model(session, setup, depth)
    run = session.run
    forecast = foretell(opened(run), changes, source=run.name, at_per_s=at_per_s, verify=verify)
    write_forecast(run, forecast)
    return forecast


async def verify_forecast(
    session: Session,
    setup: Setup,
    changes: Sequence[Change],
    forecast: Forecast,
    depth: VerifyDepth,
    *,
    enough: Callable[[Measurement | None], bool] | None = None,
) -> None:
    """Make the changes for real, as far as all of them can be, and measure.

    `enough` says after a round whether what was measured will do; by default that is the ratio of
    the capacities, known as well as `depth` asks.
    """
    after, reasons = applied(changes, setup)
    if reasons:
        return
    foretold: Sequence[float] = UNKNOWN
    if forecast.prediction is not None:
        ratio = forecast.prediction.capacity.ratio
        foretold = (min(max(ratio.value, 1 / LIFT_MAX), LIFT_MAX),)
    rates = tuple(rate.before_per_s for rate in forecast.rates)
    loads = loads_around(rates, forecast.knee_per_s, foretold)
    depth = shortened_to(depth, session.left_s(), 2, loads)
    seen: dict[Path, Recording] = {}

    def will_do() -> bool:
        for path in session.run.recordings():
            if path not in seen and path.name.partition("-")[2].startswith("verify-"):
                seen[path] = Recording.open(path)
        found = measure(list(seen.values()))
        return precise(found, depth.precision) if enough is None else enough(found)

    title = " and ".join(forecast.changes)
    await verify(
        session, setup, {"B": after}, loads, depth, title=f"{title}, A B B A", enough=will_do
    )


def precise(measurement: Measurement | None, precision: float) -> bool:
    """Whether more rounds would be wasted: the capacities' ratio is known well enough."""
    if measurement is None or measurement.rounds < ROUNDS_MIN or measurement.capacity is None:
        return False
    clean = all(check.passed for check in measurement.validity)
    return clean and measurement.capacity.ratio.half_width_ratio <= precision


def derive_what_if(run: Run) -> Answer:
    """The answer, from what the run's folder holds alone. Raises `RecordingError`."""
    forecast = read_forecast(run)
    if forecast is None:
        raise RecordingError(
            f"{run.directory}: the run ended before anything was predicted",
            advice="Run it again.",
        )
    return judge(forecast, opened(run))


def judge(forecast: Forecast, recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure."""
    measurement = measure(recordings)
    scores: tuple[Score, ...] = ()
    if measurement is not None and forecast.prediction is not None:
        scores = scores_of(forecast.prediction, forecast.rates, measurement)
    state, claim = conclude(forecast, measurement, scores)
    checks = measurement.validity if measurement is not None else ()
    predicted = forecast.prediction.capacity.ratio if forecast.prediction else None
    measured = measurement.capacity.ratio if measurement and measurement.capacity else None
    return Answer(
        question=QUESTION,
        state=state,
        claim=claim,
        lines=tuple(lines_of(forecast, measurement, scores)),
        figures={"what_if": WhatIf(forecast=forecast, measurement=measurement, scores=scores)},
        validity=checks,
        objectives_met=None,
        prediction=predicted,
        measurement=measured,
        recordings=tuple(r.directory.name for r in recordings),
    )


def conclude(
    forecast: Forecast, measurement: Measurement | None, scores: Sequence[Score]
) -> tuple[State, str]:
    """The state and the claim: confirmed when the figure that decides held."""
    title = " and ".join(forecast.changes)
    if measurement is None:
        if forecast.prediction is None:
            return State.INCONCLUSIVE, f"{title}: neither predicted nor measured"
        if forecast.verify and not forecast.not_applied:
            return State.INCONCLUSIVE, f"{title}: predicted; it ended before a round was measured"
        return State.PREDICTED, f"{title}: capacity {change(forecast.prediction.capacity.ratio)}"
    broken = _broken(measurement.validity)
    if broken is not None:
        return State.INCONCLUSIVE, f"{title}: {broken.name}: {broken.detail}"
    if forecast.prediction is None:
        return _of_measured(title, measurement)
    if not scores:
        return State.INCONCLUSIVE, f"{title}: nothing that was predicted could be measured"
    first = scores[0]
    off = f"{'−' if first.error < 0 else '+'}{abs(first.error) * 100:.0f} %"
    said = f"{title}: the prediction of {first.figure} is {off} off"
    if first.held is None:
        return State.INCONCLUSIVE, f"{said}, and what was measured is too uncertain to judge it by"
    if first.held:
        return State.CONFIRMED, f"{said}, within its interval"
    return State.REFUTED, f"{said}, beyond its interval"


def _broken(checks: Sequence[Check]) -> Check | None:
    # Beyond its capacity nothing is steady, and that is what is then measured.
    return next((c for c in checks if not c.passed and c.name != "steady state"), None)


def _of_measured(title: str, measurement: Measurement) -> tuple[State, str]:
    pair = measurement.capacity
    if pair is None:
        return State.INCONCLUSIVE, f"{title}: neither missed the objective within its ramp"
    said = f"{title}: capacity {difference(pair)}, measured; no prediction to score"
    if pair.verdict is Verdict.CANNOT_TELL:
        return State.INCONCLUSIVE, said
    return State.CONFIRMED, said
