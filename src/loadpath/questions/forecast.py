"""A prediction as it is kept: written into the run's folder before the change is made."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from loadpath.changes import Change, NotPredictedError, applied
from loadpath.errors import RecordingError
from loadpath.experiment.knee import assess_segments
from loadpath.experiment.mixknee import mix_knee
from loadpath.experiment.observed import observations_of
from loadpath.experiment.verifying import more_load
from loadpath.model.fit import fit
from loadpath.model.network import Fitted
from loadpath.model.predict import Prediction, predict
from loadpath.model.simulated import OpenRate
from loadpath.recording import Recording, Run
from loadpath.recording.files import damaged, replace_with
from loadpath.spec import OpenArrivals

T = TypeVar("T")

FILE = "prediction.json"
VERSION = 1

NEAR_KNEE = 0.6
"""Beside its own rate a service is looked at with so much of its knee, where queues show."""


class AtRates(msgspec.Struct, frozen=True):
    """A rate of the mix (1/s) before and after: they differ where the change is one of the load."""

    before_per_s: float
    after_per_s: float


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What was foretold of some changes, and from what.

    `made_s` is Unix time, `source` the run whose recordings the model was fitted from, `knee_per_s`
    where the mix missed its objective there. `prediction` None: a model cannot say, and
    `not_predicted` why. `not_applied`: why they cannot be made for real, if they cannot. `verify`:
    whether they were to be.
    """

    forecast_version: int = VERSION
    changes: tuple[str, ...]
    assumes: tuple[str, ...]
    made_s: float
    source: str
    knee_per_s: float
    rates: tuple[AtRates, ...]
    prediction: Prediction | None
    not_predicted: tuple[str, ...] = ()
    not_applied: tuple[str, ...] = ()
    verify: bool = False


def foretell(
    recordings: Sequence[Recording],
    changes: Sequence[Change],
    *,
    source: str,
    at_per_s: Sequence[float] = (),
    verify: bool = False,
    fitted: Fitted | None = None,
) -> Forecast:
    """Fit a model of what was recorded and predict the changes on it.

    `at_per_s` are rates to say response times at, the workload's own beside them unless any are
    given. `fitted`: the model of these recordings, where there is one already. Pure but for the
    clock. Raises `InconclusiveError` when the recordings carry no model.
    """
    mix = mix_of_run(recordings)
    setup = mix.setup
    after, not_applied = applied(changes, setup)
    times = more_load(setup, after)
    knee_per_s = known_knee_per_s(mix)
    rates = rates_for(own_rate_per_s(mix), knee_per_s, at_per_s)
    pairs = tuple(AtRates(rate, rate * times) for rate in rates)
    loads = sorted({rate for pair in pairs for rate in (pair.before_per_s, pair.after_per_s)})
    reasons: tuple[str, ...] = ()
    prediction = None
    try:
        workload = setup.workload
        prediction = predict(
            fitted or fit(observations_of(recordings), seed=setup.seed),
            changes,
            [OpenRate(rate) for rate in loads],
            {o.name: workload.objective_of(o) for o in workload.operations},
            seed=setup.seed,
        )
    except NotPredictedError as error:
        reasons = (error.message, *([error.advice] if error.advice else []))
    return Forecast(
        changes=tuple(change.title for change in changes),
        assumes=tuple(f"{c.title}: {c.assumes}" for c in changes if c.assumes),
        made_s=time.time(),
        source=source,
        knee_per_s=knee_per_s,
        rates=pairs,
        prediction=prediction,
        not_predicted=reasons,
        not_applied=not_applied,
        verify=verify,
    )


def mix_of_run(recordings: Sequence[Recording]) -> Recording:
    """The recording of the mix. Raises `RecordingError` when there is none."""
    for recording in recordings:
        if recording.name == "mix":
            return recording
    raise RecordingError(
        "expected a run with a recording named `mix`; it has "
        + (", ".join(recording.name for recording in recordings) or "none"),
        advice="Name one of `loadpath run` or `ask bottleneck`, or leave --from out.",
    )


def own_rate_per_s(mix: Recording) -> float:
    """The workload's own rate; of a closed one, the rate its users came to."""
    arrivals = mix.setup.workload.arrivals
    if isinstance(arrivals, OpenArrivals):
        return arrivals.rate_per_s
    baseline = [s for s in mix.segments if s.purpose == "baseline"]
    return max(assess_segments(mix, baseline).done_per_s, 1.0) if baseline else 1.0


def known_knee_per_s(mix: Recording) -> float:
    """Where the mix missed its objective (1/s), or the nearest to it that was seen."""
    knee = mix_knee(mix)
    if knee.rate is not None:
        return knee.rate.value
    seen = knee.below or knee.above
    scale = seen.scale if seen is not None else 1.0
    return scale * own_rate_per_s(mix)


def rates_for(own_per_s: float, knee_per_s: float, at_per_s: Sequence[float]) -> tuple[float, ...]:
    """The rates to say response times at (1/s), rising."""
    if at_per_s:
        return tuple(sorted(set(at_per_s)))
    busy = NEAR_KNEE * knee_per_s
    # Two that are next to each other say the same twice.
    return (own_per_s, busy) if own_per_s < 0.75 * busy else (own_per_s,)


def write_forecast(run: Run, forecast: Forecast) -> None:
    """Keep it in the run's folder. Raises `RecordingError`."""
    replace_with(run.directory / FILE, encode(forecast))


def read_forecast(run: Run) -> Forecast | None:
    """The one kept there; None when the run ended before it. Raises `RecordingError`."""
    file = run.directory / FILE
    return decode(file, Forecast) if file.is_file() else None


def encode(value: msgspec.Struct) -> bytes:
    """A struct as indented JSON; what is not finite stands there as text."""
    plain = _finite(msgspec.to_builtins(value))
    return json.dumps(plain, indent=2, ensure_ascii=False).encode() + b"\n"


def decode(file: Path, kind: type[T]) -> T:
    """What `encode` wrote. Raises `RecordingError`."""
    try:
        return msgspec.convert(json.loads(file.read_bytes()), kind, strict=False)
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise damaged(f"{file} is damaged: {error}") from error


def _finite(value: Any) -> Any:
    """JSON has no word for infinite: such a figure is written as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
