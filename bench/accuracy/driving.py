"""Cases driven: a service recorded once for its model, each case foretold, written, measured.

Recording, predicting and measuring are what `loadpath what-if --verify` does; here is only when.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from accuracy.catalog import Case, Service
from accuracy.store import Attempt, Foretold, Measured, Store
from loadpath import __version__
from loadpath.changes import Change, Known, parse_all
from loadpath.errors import LoadpathError
from loadpath.experiment.depth import Depth
from loadpath.experiment.holds import BOUNDED_CORES, OTHERS_MAX_CORES, taken_cores
from loadpath.experiment.limits import Resource, limiting, resources, usage_in
from loadpath.experiment.measured import HOLD, RAMP, Measurement, measure
from loadpath.experiment.modeling import FOR_MODEL, record_for_model
from loadpath.experiment.observed import observations_of
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import VerifyDepth, more_load
from loadpath.meter import describe_machine
from loadpath.model.bottleneck import CORES
from loadpath.model.fit import fit
from loadpath.model.network import Fitted, Model
from loadpath.questions.ask import collecting
from loadpath.questions.forecast import Forecast, foretell, write_forecast
from loadpath.questions.scores import scores_of
from loadpath.questions.what_if import opened, precise, verify_forecast
from loadpath.recording import Recording, Run, RunInfo, SegmentRecord
from loadpath.recording.runs import create_run
from loadpath.report.progress import PlainLines
from loadpath.spec import Setup, load

CHECKOUT = Path(__file__).resolve().parents[2]

SHARES = (0.3, 0.5, 0.7, 0.8)
"""Of the lower of the two capacities, as predicted: where response times are foretold."""

DISTURBED_CORES = BOUNDED_CORES
"""Where others took more, nothing is counted: it is measured again at the next call."""


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How long the model's recording and the rounds of a case take."""

    model: Depth = FOR_MODEL
    verify: VerifyDepth = VerifyDepth(rounds=6, hold_s=4.5, ramp_s=10.0)
    shares: tuple[float, ...] = SHARES
    mean_precision: float = 0.03
    disturbed_cores: float = DISTURBED_CORES


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A service that was recorded, and the model of it. `taken_cores`: what others took then."""

    run: Run
    setup: Setup
    fitted: Fitted
    taken_cores: float


def setup_of(service: Service, upstream: str | None) -> Setup:
    """What its service file says."""
    overrides = list(service.overrides)
    if upstream is not None:
        overrides.append(f"dependencies.payments.url=http://{upstream}")
    return load(CHECKOUT / service.folder, overrides=overrides)


@contextmanager
def upstream_of(service: Service) -> Iterator[str | None]:
    """The address of the service that it asks, if it asks one, which runs meanwhile."""
    if not service.upstream:
        yield None
        return
    command = [sys.executable, str(CHECKOUT / "tests/known/service.py"), "upstream", "0", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline().split()[-1])}"
    finally:
        process.terminate()
        process.wait()


def changes_of(case: Case, setup: Setup) -> tuple[Change, ...]:
    """The case's changes, read. Raises `ChangeError`."""
    return parse_all(case.changes, Known(setup, describe_machine().cores))


async def record(store: Store, service: Service, setup: Setup, effort: Effort) -> Run:
    """Record what a model of the service is fitted from; it is kept for the next call."""
    run = _run(store, setup)

    async def collect(session: Session) -> None:
        await record_for_model(session, setup, effort.model)

    await _collecting(setup, run, collect)
    models = store.folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / _slug(service)).write_text(run.name + "\n")
    return run


def _slug(service: Service) -> str:
    return service.name.replace(",", "").replace(" ", "-")


def recorded(store: Store, service: Service, setup: Setup, effort: Effort) -> Source | None:
    """What was recorded of the service before and nothing disturbed; None without."""
    kept = store.folder / "models" / _slug(service)
    if not kept.exists():
        return None
    source = source_of(Run(store.folder / "runs" / kept.read_text().strip()), setup)
    return None if source.taken_cores > effort.disturbed_cores else source


def source_of(run: Run, setup: Setup) -> Source:
    """The model of what that run recorded. Raises `InconclusiveError`."""
    recordings = opened(run)
    taken = _mean_taken([r for r in recordings if r.name == "mix"])
    fitted = fit(observations_of(recordings), seed=setup.seed)
    return Source(run=run, setup=setup, fitted=fitted, taken_cores=taken)


def foretell_case(case: Case, source: Source, commit: str, effort: Effort) -> Foretold:
    """Predict, at shares of the lower capacity that is predicted. Nothing is driven."""
    changes = changes_of(case, source.setup)
    recordings = opened(source.run)

    def told(at_per_s: Sequence[float]) -> Forecast:
        return foretell(
            recordings,
            changes,
            source=source.run.name,
            at_per_s=at_per_s,
            verify=True,
            fitted=source.fitted,
        )

    forecast = told(())
    if forecast.not_applied:
        raise LoadpathError(f"{case.name}: expected changes to make: {forecast.not_applied}")
    if forecast.prediction is None:
        return _foretold(case, source, commit, forecast)
    capacity = forecast.prediction.capacity
    after = source.setup
    for change in changes:
        after = change.apply(after)
    lower = min(capacity.before.value, capacity.after.value / more_load(source.setup, after))
    forecast = told([float(f"{share * lower:.4g}") for share in effort.shares])
    return _foretold(case, source, commit, forecast)


def _foretold(case: Case, source: Source, commit: str, forecast: Forecast) -> Foretold:
    names = forecast.prediction.bottleneck_after.names if forecast.prediction else ()
    return Foretold(
        case=case.name,
        changes=case.changes,
        commit=commit,
        made_s=forecast.made_s,
        model_run=source.run.name,
        taken_cores=source.taken_cores,
        gives_out=tuple(resource_of(source.fitted.model, name) for name in names),
        forecast=forecast,
    )


def resource_of(model: Model, name: str) -> str:
    """A resource of the model in the words of the catalog: `thread of service`."""
    if name == CORES:
        return CORES
    parts = {station.name: f"thread of {station.part}" for station in model.stations}
    parts |= {pool.name: f"pool of {pool.part}" for pool in model.pools}
    return parts[name]


async def measure_case(
    case: Case, source: Source, attempt: Attempt, store: Store, commit: str, effort: Effort
) -> Measured:
    """Foretell, write that down, and only then make the changes and measure."""
    foretold = foretell_case(case, source, commit, effort)
    digest = attempt.write_foretold(foretold)
    began_s = time.time()
    prediction = foretold.forecast.prediction
    if prediction is None:
        said = f"not predicted: {' '.join(foretold.forecast.not_predicted)}"
        nothing = _unmeasured(case, digest, began_s, said)
        attempt.write_measured(nothing)
        return nothing
    run = _run(store, source.setup)
    write_forecast(run, foretold.forecast)
    changes = changes_of(case, source.setup)

    def enough(found: Measurement | None) -> bool:
        return precise(found, effort.verify.precision) and means_known(found, effort.mean_precision)

    async def collect(session: Session) -> None:
        await verify_forecast(
            session, source.setup, changes, foretold.forecast, effort.verify, enough=enough
        )

    await _collecting(source.setup, run, collect)
    recordings = opened(run)
    measurement = measure(recordings)
    scores = (
        scores_of(prediction, foretold.forecast.rates, measurement)
        if measurement is not None
        else ()
    )
    taken = max((_most_taken(r) for r in _counted(recordings)), default=0.0)
    measured = Measured(
        case=case.name,
        digest=digest,
        began_s=began_s,
        ended_s=time.time(),
        machine=machine(),
        taken_cores=taken,
        measurement=measurement,
        scores=scores,
        gave_out=case.gives_out or seen_to_give_out(recordings),
        why_not=disturbed(measurement, taken, effort.disturbed_cores),
    )
    attempt.write_measured(measured)
    return measured


def _unmeasured(case: Case, digest: str, began_s: float, why_not: str) -> Measured:
    return Measured(
        case=case.name,
        digest=digest,
        began_s=began_s,
        ended_s=began_s,
        machine=machine(),
        taken_cores=0.0,
        measurement=None,
        scores=(),
        gave_out=None,
        why_not=why_not,
    )


def disturbed(measurement: Measurement | None, taken: float, most: float) -> str | None:
    """Why a case is to be measured again; None when it counts."""
    if measurement is None:
        return "no whole round was measured"
    if taken > most:
        return f"others took {taken:.2f} cores while it was measured"
    return None


def means_known(measurement: Measurement | None, precision: float) -> bool:
    """Whether every mean that was measured after the change is known that well."""
    pairs = [at.mean_s for at in measurement.loads] if measurement is not None else []
    return all(pair is None or pair.after.half_width_ratio <= precision for pair in pairs)


def seen_to_give_out(recordings: Sequence[Recording]) -> str | None:
    """What the ramps of the treatment filled, by the rule that `bottleneck` goes by."""
    treated = [r for r in recordings if r.name.startswith("verify-B-")]
    found: dict[str, int] = {}
    for recording in treated:
        below = [s for s in recording.segments if s.purpose == HOLD]
        above = [s for s in recording.segments if s.purpose == RAMP]
        if not below or not above:
            continue
        limit = limiting(_used(recording, below[-1]), _used(recording, above[-1]))
        if limit is not None:
            kind = "thread" if limit.kind == "process" else limit.kind
            name = CORES if kind == "cores" else f"{kind} of {limit.part}"
            found[name] = found.get(name, 0) + 1
    return max(found, key=lambda name: found[name]) if found else None


def _used(recording: Recording, segment: SegmentRecord) -> list[Resource]:
    return resources(usage_in(recording, segment), recording.setup)


def machine() -> str:
    """This machine in a few words."""
    found = describe_machine()
    cores = f"{found.cores} core" + ("s" if found.cores > 1 else "")
    return f"{cores} ({found.cpu_model}), Linux {found.kernel}, {found.python}"


def _counted(recordings: Sequence[Recording]) -> list[Recording]:
    """Those of rounds that nothing disturbed, unless fewer than two are so."""
    rounds: dict[int, list[Recording]] = {}
    for recording in recordings:
        for number in {s.round for s in recording.segments}:
            rounds.setdefault(number, []).append(recording)
    quiet = [each for each in rounds.values() if max(map(_most_taken, each)) <= OTHERS_MAX_CORES]
    chosen = quiet if len(quiet) >= 2 else list(rounds.values())
    return [recording for each in chosen for recording in each]


def _most_taken(recording: Recording) -> float:
    driven = [s for s in recording.segments if s.purpose in (HOLD, RAMP)]
    return max((taken_cores(recording, segment) for segment in driven), default=0.0)


def _mean_taken(recordings: Sequence[Recording]) -> float:
    taken = [taken_cores(r, s) for r in recordings for s in r.segments if s.purpose != "warmup"]
    return float(np.mean(taken)) if taken else 0.0


def _run(store: Store, setup: Setup) -> Run:
    info = RunInfo(
        service=setup.service.name,
        command=("make", "ledger"),
        started_s=time.time(),
        loadpath_version=__version__,
        notes={"what-if": []},
    )
    return create_run(setup.service.directory, info, runs=store.folder / "runs")


async def _collecting(
    setup: Setup, run: Run, collect: Callable[[Session], Awaitable[None]]
) -> None:
    await collecting(
        setup,
        collect,
        run=run,
        emit=PlainLines(sys.stderr),
        estimate_s=None,
        budget_s=float("inf"),
    )
