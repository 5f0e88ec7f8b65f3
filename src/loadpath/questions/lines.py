"""The lines of the answer on a bottleneck: the mix, one worker more, each operation. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Interval, Line
from loadpath.experiment.assess import Assessment
from loadpath.experiment.attribution import LoadPath
from loadpath.experiment.costs import OperationCost
from loadpath.experiment.mixknee import MixKnee
from loadpath.experiment.scale import describe
from loadpath.figures import ms, per_second, times
from loadpath.questions.waiting import shown, suspicion_lines, wait_words
from loadpath.questions.words import limits as limits_words
from loadpath.spec import Arrivals, Setup


def knee_words(setup: Setup, today: Assessment, knee: MixKnee) -> str:
    """Where the mix misses its objective, beside today's load."""
    objective = limits_words(setup.workload.objective)
    own = describe(setup.workload.arrivals, 1.0)
    if today.met is False:
        slow = max((limit.response.value for limit in today.limits), default=0.0)
        return (
            f"misses {objective} already at today's {own}: p99 {ms(slow)}, "
            f"{today.errors.value * 100:.2f} % errors"
        )
    if knee.scale is not None:
        at = _between(setup.workload.arrivals, knee.scale)
        return f"misses {objective} at {at}, {times(knee.scale.value)} today's {own}"
    if knee.below is not None:
        at = describe(setup.workload.arrivals, knee.below.scale)
        return f"meets {objective} at {at}, {times(knee.below.scale)} today's {own}; no knee found"
    return f"the knee was not found; today's is {own}"


def _between(arrivals: Arrivals, scale: Interval) -> str:
    """`3,120/s (2,600–3,700)`, or users likewise."""
    low, high = (describe(arrivals, end).removesuffix("/s") for end in (scale.low, scale.high))
    low, high = (end.removesuffix(" users").removesuffix(" user") for end in (low, high))
    return f"{describe(arrivals, scale.value)} ({low}–{high})"


def operation_lines(
    setup: Setup, costs: Sequence[OperationCost], paths: Sequence[LoadPath]
) -> list[Line]:
    """What each operation costs and where it gives out; of some what they wait for; what else."""
    told = {path.operation: path for path in shown(paths, costs[0].name if costs else None)}
    lines = []
    for place, cost in enumerate(costs):
        lines.append(_cost_line(setup, cost, first=place == 0))
        if path := told.pop(cost.name, None):
            lines.append(Line("", wait_words(path)))
    lines += [Line(name, wait_words(path)) for name, path in told.items()]
    return lines + suspicion_lines(paths)


def _cost_line(setup: Setup, cost: OperationCost, *, first: bool) -> Line:
    operation = next(o for o in setup.workload.operations if o.name == cost.name)
    objective = limits_words(setup.workload.objective_of(operation))
    said = []
    if cost.demands:
        low, high = cost.demands[0], cost.demands[-1]
        dearest = "dearest: " if first else ""
        said.append(
            f"{dearest}{ms(low.cpu_s)} of CPU a request at {per_second(low.rate_per_s)}"
            + (f", {ms(high.cpu_s)} at {per_second(high.rate_per_s)}" if high is not low else "")
        )
        part, most = max(high.parts.items(), key=lambda item: item[1])
        if high.cpu_s > 0 and len(high.parts) > 1:
            said.append(f"{most / high.cpu_s * 100:.0f} % of it in {part}")
    verdict = "judged within the mix only" if not cost.alone else ""
    if cost.knee_per_s is not None:
        verdict = (
            f"still meets {objective} at {per_second(cost.knee_per_s)}"
            if cost.censored
            else f"misses {objective} at {per_second(cost.knee_per_s)}, the others as today"
        )
    return Line(cost.name, ", ".join(said) or "not measured", verdict)
