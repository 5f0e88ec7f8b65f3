"""The verdict on a bottleneck: does relief move the knee the way the named resource foretells?"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.answer import Check, Interval, State
from loadpath.experiment.limits import Resource, usage_in
from loadpath.experiment.mixknee import MixKnee
from loadpath.meter import HostUse
from loadpath.questions.words import AT_LEAST, change
from loadpath.recording import Recording
from loadpath.stats.compare import Comparison, Verdict

SPARE_CORES = 0.3
"""With less than this of the host's cores idle at the knee, a worker more has nothing to run on."""

NOT_CPU = (
    "no thread and no core was full: requests waited for something else "
    "(a connection pool, a lock, a disk, an outside call)"
)


class Relief(msgspec.Struct, frozen=True):
    """What the change `title` did. `disturbed`: why that may not be believed, or None.

    `predicted`: what a model foretold of it, after ÷ before, where one did. `is_at_least`: it may
    have done more than that, for its ramps ended too early.
    """

    comparison: Comparison | None
    disturbed: str | None = None
    title: str = "one worker more"
    is_worker: bool = True
    predicted: Interval | None = None
    is_at_least: bool = False


def cause(knee: MixKnee, resource: Resource | None) -> str:
    """What ran out at the knee, with what else took the machine just then."""
    if knee.above is None:
        return ""
    said = resource.describe() if resource else NOT_CPU
    return f"{said} ({knee.above.disturbed})" if knee.above.disturbed else said


def conclude(
    main: Recording,
    knee: MixKnee,
    resource: Resource | None,
    relief: Relief,
    checks: Sequence[Check],
) -> tuple[State, str]:
    """The state and the claim: confirmed when relief moves the knee as the resource foretells.

    Where relief was not tried, or does not tell, what was measured still stands: where the
    objective is missed, and what was full there. What that foretells is then predicted, and no
    more.
    """
    broken = [check for check in checks if not check.passed]
    if not knee.trusted and broken:
        return State.INCONCLUSIVE, f"{broken[0].name}: {broken[0].detail}"
    if knee.above is None:
        return State.INCONCLUSIVE, "no load was found at which the objective is missed"
    if resource is not None and resource.kind == "engine":
        return State.INCONCLUSIVE, "the load engine ran out first: the service can carry more"
    if broken:
        return State.INCONCLUSIVE, f"{broken[0].name}: {broken[0].detail}"
    if resource is None:
        return State.INCONCLUSIVE, "the knee is measured, what ran out is not known: not CPU"
    workers = relief.comparison
    if workers is None:
        ran_out = "" if resource.kind == "limit" else " ran out"
        return State.PREDICTED, f"{resource.name}{ran_out}; relief was not tried"
    gain = f"{relief.title}: {AT_LEAST if relief.is_at_least else ''}{change(workers.ratio)}"
    if relief.disturbed is not None:
        return State.PREDICTED, f"{resource.name}; relief cannot be judged: {relief.disturbed}"
    if workers.verdict is Verdict.CANNOT_TELL:
        return State.PREDICTED, f"{resource.name} was full, but {gain} can be either"
    if not relief.is_worker:
        return _of_another(resource, workers, gain, relief.predicted)
    if resource.kind == "limit":
        return _of_a_limit(resource, workers, gain)
    return _of_cpu_or_pool(resource, workers, gain, usage_in(main, knee.above.segment).host)


def _of_another(
    resource: Resource, found: Comparison, gain: str, predicted: Interval | None
) -> tuple[State, str]:
    """A model chose the change for what it found to limit: if it lifts nothing, that was wrong."""
    if found.verdict is Verdict.BETTER:
        return State.CONFIRMED, f"{resource.name}: what the model chose moved the knee, {gain}"
    if predicted is not None and predicted.low <= 1:
        said = f"{resource.name}; as foretold, nothing that could be tried lifts it: {gain}"
        return State.CONFIRMED, said
    return State.REFUTED, f"{resource.name} was full, yet {gain}: something else binds too"


def _of_a_limit(resource: Resource, workers: Comparison, gain: str) -> tuple[State, str]:
    """A limit within the worker comes a second time with a worker more; one outside does not."""
    if workers.verdict is Verdict.BETTER:
        said = f"{resource.name}, each worker its own: relieving it moved the knee, {gain}"
        return State.CONFIRMED, said
    if workers.verdict is Verdict.SAME:
        return State.CONFIRMED, f"{resource.name}; the workers share it; {gain}"
    return State.INCONCLUSIVE, f"{resource.name}, yet {gain}: something else binds too"


def _of_cpu_or_pool(
    resource: Resource, workers: Comparison, gain: str, busy: HostUse
) -> tuple[State, str]:
    spare = max(0.0, busy.cores - busy.busy_cores - busy.steal_cores)
    relieved = resource.kind == "pool" or (resource.part == "service" and resource.kind != "cores")
    if relieved and spare > SPARE_CORES:
        if workers.verdict is Verdict.BETTER:
            return State.CONFIRMED, f"{resource.name}: relieving it moved the knee, {gain}"
        return State.REFUTED, f"{resource.name} was full, yet {gain}: something else binds too"
    if spare > SPARE_CORES and resource.kind != "cores":
        why = "a worker more does not relieve it"
    else:
        why = f"{spare:.1f} of {busy.cores} cores were left, the cores are shared"
    if workers.verdict is Verdict.BETTER:
        return State.REFUTED, f"{resource.name} was full; {why}, yet {gain}"
    return State.CONFIRMED, f"{resource.name}; {why}, and {gain}"
