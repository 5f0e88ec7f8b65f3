"""Which decisions of a service matter? Every knob, one value at a time from the defaults, measured.

Collected, unless a run is named that has it: what a model is fitted from. Then, in rounds, the
service at its defaults (recordings `verify-A-…`) and with each other value of each knob
(`verify-B-…`, `verify-C-…`), all from the same restored data.
"""

from __future__ import annotations

import string
import time
from collections.abc import Sequence

import msgspec

from loadpath.answer import Answer, Check, Line, State
from loadpath.changes.knobs import KnobValue, knob_value
from loadpath.errors import ConfigurationError, InconclusiveError, RecordingError
from loadpath.events import Warned
from loadpath.experiment.measured import BASELINE, Measurement, measure
from loadpath.experiment.observed import observations_of
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import (
    LIFT_MAX,
    UNKNOWN,
    VerifyDepth,
    loads_around,
    shortened_to,
    verify,
)
from loadpath.figures import ms, per_second
from loadpath.model.fit import fit
from loadpath.model.network import Fitted
from loadpath.questions.forecast import (
    Forecast,
    decode,
    encode,
    foretell,
    known_knee_per_s,
    mix_of_run,
    own_rate_per_s,
)
from loadpath.questions.what_if_lines import cpu_words, difference
from loadpath.questions.words import change, limits
from loadpath.recording import Recording, Run
from loadpath.recording.files import replace_with
from loadpath.spec import Setup
from loadpath.spec.problem import hint
from loadpath.stats.compare import Verdict

QUESTION = "decide"
FILE = "decisions.json"
LETTERS = string.ascii_uppercase.replace(BASELINE, "")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one knob, beside its default. `letter` is that of its arm; `forecast` is what a
    model says of it, None where there is no model."""

    letter: str
    knob: str
    value: str
    default: str
    forecast: Forecast | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: kept in the run's folder before it is."""

    decisions: tuple[Decision, ...]
    source: str


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with what was measured of it; None without a whole round."""

    decision: Decision
    measurement: Measurement | None


def alternatives(setup: Setup, names: Sequence[str] = ()) -> list[KnobValue]:
    """Every value but the one it stands at, of those knobs, or of all.

    Raises `ConfigurationError` where there is nothing to decide, or too much for one run.
    """
    known = [knob.name for knob in setup.service.knobs]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"--knobs: `{name}` is no knob{hint(name, known)}")
    found = [
        knob_value(setup, knob.name, value)
        for knob in setup.service.knobs
        for value in knob.values
        if (not names or knob.name in names) and value != setup.knob_value(knob.name)
    ]
    if not found:
        raise ConfigurationError(
            "there is nothing to decide: the service file has no knob with another value",
            advice="[knobs.NAME] names a variable, its default and the values worth trying.",
        )
    if len(found) > len(LETTERS):
        raise ConfigurationError(
            f"{len(found)} values are more than one run compares ({len(LETTERS)})",
            advice="Name some of the knobs: --knobs a,b.",
        )
    return found


async def decide(
    session: Session,
    setup: Setup,
    values: Sequence[KnobValue],
    recordings: Sequence[Recording],
    depth: VerifyDepth,
    *,
    source: str,
) -> None:
    """Write down what a model says of each value, then measure them all in turn."""
    mix = mix_of_run(recordings)
    fitted = _fitted(recordings, session)
    decisions = tuple(
        Decision(
            letter=letter,
            knob=value.knob,
            value=value.value,
            default=value.before,
            forecast=None
            if fitted is None
            else foretell(recordings, [value], source=source, verify=True, fitted=fitted),
        )
        for letter, value in zip(LETTERS, values, strict=False)
    )
    content = encode(Plan(decisions=decisions, source=source))
    replace_with(session.run.directory / FILE, content)
    ratios = [
        d.forecast.prediction.capacity.ratio.value
        for d in decisions
        if d.forecast is not None and d.forecast.prediction is not None
    ]
    # Where a model can say how far the knee moves, ramps need not look for it everywhere.
    foretold = ratios if len(ratios) == len(decisions) else [*UNKNOWN, *ratios]
    foretold = [min(max(ratio, 1 / LIFT_MAX), LIFT_MAX) for ratio in foretold]
    loads = loads_around((own_rate_per_s(mix),), known_knee_per_s(mix), foretold)
    arms = {d.letter: v.apply(setup) for d, v in zip(decisions, values, strict=True)}
    await verify(
        session,
        setup,
        arms,
        loads,
        shortened_to(depth, session.left_s(), 1 + len(arms), loads),
        title=f"{len(arms)} other values beside the defaults",
    )


def _fitted(recordings: Sequence[Recording], session: Session) -> Fitted | None:
    try:
        return fit(observations_of(recordings))
    except InconclusiveError as error:
        why = f"no model, so nothing is foretold: {error.message}"
        session.emit(Warned(at_s=time.time(), message=why, advice=error.advice))
        return None


def derive_decide(run: Run) -> Answer:
    """The answer, from what the run's folder holds alone. Raises `RecordingError`."""
    file = run.directory / FILE
    if not file.is_file():
        raise RecordingError(
            f"{run.directory}: the run ended before anything was compared", advice="Run it again."
        )
    plan = decode(file, Plan)
    return judge(plan, [Recording.open(path) for path in run.recordings()])


def judge(plan: Plan, recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure."""
    decided = tuple(
        Decided(decision=each, measurement=measure(recordings, each.letter))
        for each in plan.decisions
    )
    state, claim = _conclude(decided)
    return Answer(
        question=QUESTION,
        state=state,
        claim=claim,
        lines=tuple(_lines(decided, recordings)),
        figures={"decisions": decided},
        validity=_checks(decided),
        objectives_met=None,
        recordings=tuple(r.directory.name for r in recordings),
    )


def _conclude(decided: Sequence[Decided]) -> tuple[State, str]:
    seen = [(d.decision, d.measurement) for d in decided if d.measurement is not None]
    if not seen:
        return State.INCONCLUSIVE, "it ended before a whole round was measured"
    broken = next((check for check in _checks(decided) if not check.passed), None)
    if broken is not None:
        return State.INCONCLUSIVE, f"{broken.name}: {broken.detail}"
    moved = [
        f"{decision.knob}={decision.value} ({change(found.capacity.ratio)})"
        for decision, found in seen
        if found.capacity is not None and found.capacity.verdict in (Verdict.BETTER, Verdict.WORSE)
    ]
    if not moved:
        return State.CONFIRMED, f"none of {len(seen)} values is known to move the capacity"
    return State.CONFIRMED, f"{len(moved)} of {len(seen)} move the capacity: {', '.join(moved)}"


def _checks(decided: Sequence[Decided]) -> tuple[Check, ...]:
    """Each check once: the worst of it."""
    worst: dict[str, Check] = {}
    for each in decided:
        for check in each.measurement.validity if each.measurement is not None else ():
            # A value beyond whose capacity the workload's own rate lies does not settle; that is
            # what its line says.
            if check.name == "steady state":
                continue
            if check.name not in worst or (worst[check.name].passed and not check.passed):
                worst[check.name] = check
    return tuple(worst.values())


def _lines(decided: Sequence[Decided], recordings: Sequence[Recording]) -> list[Line]:
    lines = []
    base = next((d.measurement for d in decided if d.measurement is not None), None)
    if base is not None:
        setup = recordings[0].setup
        knobs = setup.service.knobs
        stand = " ".join(f"{knob.name}={setup.knob_value(knob.name)}" for knob in knobs)
        said = [f"{stand}:"]
        if base.capacity is not None:
            at = per_second(base.capacity.before.value)
            said.append(f"misses {limits(setup.workload.objective)} at {at}")
        lines.append(Line("the defaults", " ".join(said), _times_words(base, after=False)))
    for each in decided:
        decision = each.decision
        name = f"{decision.knob}={decision.value}"
        if each.measurement is None:
            lines.append(Line(name, "not measured", _foretold(decision)))
            continue
        pair = each.measurement.capacity
        verdict = "capacity not reached" if pair is None else f"capacity {difference(pair)}"
        if each.measurement.bounded and pair is not None:
            verdict += ", as far as its ramps went"
        cause = [_times_words(each.measurement, after=True)]
        if each.measurement.cpu_s:
            cause.append(f"CPU a request: {cpu_words(each.measurement)}")
        cause.append(_foretold(decision))
        lines.append(Line(name, verdict, " · ".join(part for part in cause if part)))
    return lines


def _times_words(found: Measurement, *, after: bool) -> str:
    """The p99 at the workload's own rate."""
    at = found.loads[0]
    where = f"p99 at {per_second(at.before_per_s)}"
    if at.p99_s is None:
        return f"{where}: did not settle"
    if not after:
        return f"{where}: {ms(at.p99_s.before.value)}"
    return f"{where}: {ms(at.p99_s.after.value)}, {difference(at.p99_s)}"


def _foretold(decision: Decision) -> str:
    if decision.forecast is None or decision.forecast.prediction is None:
        return ""
    return f"predicted capacity {change(decision.forecast.prediction.capacity.ratio)}"
