"""What lifts a bottleneck: changes chosen by a model, beforehand, and the best of them to be tried.

Written down before an arm starts, beside the recordings: judging reads it from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from loadpath.answer import Interval
from loadpath.changes import Change, ChangeError, Known, NotAppliedError, NotPredictedError, parse
from loadpath.changes.calls import FewerCalls
from loadpath.changes.faster import Faster
from loadpath.changes.knobs import knob_value
from loadpath.changes.workers import Workers
from loadpath.errors import InconclusiveError
from loadpath.experiment.costs import operation_costs
from loadpath.experiment.observed import observations_of
from loadpath.model.fit import fit
from loadpath.model.observations import Path as CallPath
from loadpath.model.predict import capacities
from loadpath.questions.forecast import decode, encode
from loadpath.recording import Recording
from loadpath.recording.files import replace_with
from loadpath.spec import Setup

FILE = "lifts.json"
DRAWS = 6
TRIED = 2
"""So many changes are tried beside the service as it is."""

FASTER = 0.2
TTL = "30s"
REPEATED = 2.0
"""A statement that a request makes this often could be one."""


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """A change, and what it was foretold to do to the capacity (after ÷ before).

    `letter` is its arm's, None: it was not to be tried. `not_applied` says why it cannot be.
    """

    change: str
    predicted: Interval | None
    letter: str | None = None
    not_applied: str | None = None


class Lifts(msgspec.Struct, frozen=True, kw_only=True):
    """All that were looked at, those to be tried first. `no_model`: why one worker more is tried as
    nothing could be foretold, or None."""

    lifts: tuple[Lift, ...]
    no_model: str | None = None


def one_worker_more(setup: Setup, why: str) -> tuple[Lifts, dict[str, Setup]]:
    """What is tried when no model can choose, and the setups of its arm."""
    more = Workers(setup.worker_count + 1, setup.worker_count)
    lift = Lift(change=more.title, predicted=None, letter="B")
    return Lifts(lifts=(lift,), no_model=why), {"B": more.apply(setup)}


def choose(
    recordings: Sequence[Recording], setup: Setup, *, tried: int
) -> tuple[Lifts, dict[str, Setup]]:
    """Foretell what each change does to the capacity, and pick the best that can be applied.

    `setup` is what was recorded, with what a recording leaves out, as secrets. At most `tried`, and
    of each knob one value. Pure, deterministic by the workload's seed. Where no model can be
    fitted, or its knee is not the measured one: one worker more.
    """
    main = next(r for r in recordings if r.name == "mix")
    try:
        observations = observations_of(recordings)
        fitted = fit(observations, seed=setup.seed, draws=DRAWS)
    except InconclusiveError as error:
        return one_worker_more(setup, f"no model: {error.message}")
    measured = observations.knee_per_s
    if measured is None:
        return one_worker_more(setup, "no model: the mix has no knee to compare one with")
    known = Known(setup, observations.cores)
    predicted: list[Change] = []
    for change in candidates(known, main, observations.paths):
        try:
            change.predict(fitted.model)
        except NotPredictedError:
            continue
        predicted.append(change)
    found = capacities(fitted, predicted, observations.objectives, seed=setup.seed)
    if found and not _meet(found[0].before, measured):
        own = found[0].before.value
        said = f"no model: its own knee is at {own:,.0f}/s, {measured[0]:,.0f}/s was measured"
        return one_worker_more(setup, said)
    ranked = sorted(zip(predicted, found, strict=True), key=lambda each: -each[1].ratio.value)
    arms: dict[str, Setup] = {}
    lifts: list[Lift] = []
    taken: set[str] = set()
    for change, capacity in ranked:
        letter, why = None, None
        try:
            after = change.apply(setup)
        except NotAppliedError as error:
            why = error.message
        else:
            kind = change.title.partition("=")[0]
            if len(arms) < tried and kind not in taken:
                letter = "BC"[len(arms)]
                arms[letter] = after
                taken.add(kind)
        lifts.append(
            Lift(change=change.title, predicted=capacity.ratio, letter=letter, not_applied=why)
        )
    if not arms:
        fallen, arms = one_worker_more(setup, "no change that can be made was foretold")
        lifts = [*fallen.lifts, *lifts]
        return Lifts(lifts=tuple(lifts), no_model=fallen.no_model), arms
    lifts.sort(key=lambda lift: lift.letter is None)
    return Lifts(lifts=tuple(lifts)), arms


def candidates(known: Known, main: Recording, paths: Sequence[CallPath]) -> list[Change]:
    """One worker more, other sizes of pools, and of the dearest operation: kept replies, faster
    code; repeated statements made one."""
    setup = known.setup
    found: list[Change] = []
    if any("{workers}" in word for word in setup.service.start):
        found.append(Workers(setup.worker_count + 1, setup.worker_count))
    found += [
        knob_value(setup, knob.name, value)
        for knob in setup.service.knobs
        for value in knob.values
        if knob.pool is not None and value != setup.knob_value(knob.name)
    ]
    costs = operation_costs(main)
    if costs:
        # Not where it writes, or where nobody knows how often its keys come again.
        with contextlib.suppress(ChangeError):
            found.append(parse(f"cache {costs[0].name} {TTL}", known))
        found.append(Faster(FASTER, costs[0].name))
    return [*found, *_mended(paths)]


def _mended(paths: Sequence[CallPath]) -> list[Change]:
    """By operation and dependency: the calls left when each repeated statement is made once."""
    found: list[Change] = []
    for path in paths:
        made: dict[str, dict[str, float]] = {}
        for each in path.exchanges:
            if not each.after:
                of = made.setdefault(each.dependency, {})
                of[each.shape] = of.get(each.shape, 0.0) + each.calls
        for dependency, shapes in made.items():
            before = sum(shapes.values())
            after = sum(1.0 if n >= REPEATED else n for n in shapes.values())
            if after < before:
                found.append(
                    FewerCalls(path.operation, dependency, round(before, 1), round(after, 1))
                )
    return found


def _meet(own: Interval, measured: tuple[float, float, float]) -> bool:
    _, low, high = measured
    return own.low <= high and low <= own.high


def write_lifts(run: Path, lifts: Lifts) -> None:
    """Keep them in the run's folder. Raises `RecordingError`."""
    replace_with(run / FILE, encode(lifts))


def read_lifts(main: Recording) -> Lifts | None:
    """Those of the run a recording is of; None where none were written. Raises `RecordingError`."""
    file = main.directory.parent.parent / FILE
    return decode(file, Lifts) if file.is_file() else None
