"""Whether what was measured may be believed: the checks every answer carries."""

from __future__ import annotations

import numpy as np

from loadpath.answer import Check
from loadpath.experiment.assess import responses
from loadpath.experiment.holds import disturbance
from loadpath.experiment.knee import measured_window, objectives
from loadpath.experiment.limits import usage_in
from loadpath.experiment.mixknee import MixKnee
from loadpath.recording import Blocked, Recording, SegmentRecord
from loadpath.stats.quantiles import quantile
from loadpath.stats.steady import is_drifting

SPEED_RATIO = 1.15
"""Fixed work varies by a few percent on a machine that has its hardware to itself."""

SLIP_SHARE = 0.1
"""The engine's own delay may be so much of the limit before it could explain a miss."""


def validity(main: Recording, knee: MixKnee) -> tuple[Check, ...]:
    """Every check, in the order people should read them."""
    judged = [s for s in main.segments if s.purpose == "baseline"]
    if knee.below is not None:
        judged.append(knee.below.segment)
    return (
        _quiet(main, knee),
        _speed(main),
        _schedule(main, judged),
        _steady(main, judged),
        _enough(main),
        _acknowledged(main),
    )


def _quiet(main: Recording, knee: MixKnee) -> Check:
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    disturbed = [why for s in baseline if (why := disturbance(main, s)) is not None]
    left_out = len(knee.disturbed)
    if knee.trusted and len(disturbed) < max(len(baseline), 1):
        detail = "nothing else took the machine"
        if left_out:
            holds = "1 disturbed hold" if left_out == 1 else f"{left_out} disturbed holds"
            detail = f"{holds} left out ({knee.disturbed[0]})"
        return Check("quiet machine", True, detail)
    why = next(iter((*knee.disturbed, *disturbed)), None)
    if why is None:
        return Check(
            "quiet machine",
            False,
            "too few holds were completed to tell.",
            "Let it run to its end.",
        )
    return Check(
        "quiet machine",
        False,
        f"{why} while it was measured.",
        "Stop what else runs here and try again.",
    )


def work_times_s(main: Recording) -> list[float]:
    """CPU seconds that the same fixed piece of work took, before every segment of a recording."""
    return [s.fixed_work_s for s in main.segments if s.fixed_work_s > 0]


def _speed(main: Recording) -> Check:
    times = work_times_s(main)
    if len(times) < 2:
        return Check("machine speed", True, "")
    low, high = quantile(times, 0.1), quantile(times, 0.9)
    if high <= SPEED_RATIO * low:
        return Check("machine speed", True, f"its speed held within {(high / low - 1) * 100:.0f} %")
    return Check(
        "machine speed",
        False,
        f"the machine itself changed speed while it was measured: the same work took "
        f"{low * 1000:.1f} to {high * 1000:.1f} ms of CPU.",
        "Others share its hardware; try again when they are quieter.",
    )


def _schedule(main: Recording, judged: list[SegmentRecord]) -> Check:
    limit_s = min(
        (q.limit_s for o in objectives(main.setup.workload) for q in o.quantiles), default=1.0
    )
    worst_s = 0.0
    busiest = 0.0
    for segment in judged:
        rows = main.requests(segment.index)
        slip = (rows["sent_s"] - rows["intended_s"])[
            (rows["blocked"] != Blocked.POOL) & (rows["step"] == 0) & ~np.isnan(rows["sent_s"])
        ]
        if len(slip):
            worst_s = max(worst_s, quantile(slip, 0.99))
        engine = [t.cpu_cores for t in usage_in(main, segment).threads if t.part == "engine"]
        busiest = max(busiest, *engine, 0.0)
    said = f"the engine sent on time (p99 {worst_s * 1000:.2g} ms late)"
    if worst_s <= SLIP_SHARE * limit_s:
        return Check("engine on schedule", True, said)
    return Check(
        "engine on schedule",
        False,
        f"requests left up to {worst_s * 1000:.0f} ms late (p99) with a limit of "
        f"{limit_s * 1000:.0f} ms; the engine used {busiest * 100:.0f} % of a core.",
        "Give the engine a core of its own, or measure a slower service.",
    )


def _steady(main: Recording, judged: list[SegmentRecord]) -> Check:
    for segment in judged:
        from_s, to_s = measured_window(segment)
        taken = responses(main.requests(segment.index)).between(from_s, to_s)
        if len(taken) >= 200 and is_drifting(taken.response_s):
            return Check(
                "steady state",
                False,
                f"response times were still changing at {len(taken) / (to_s - from_s):,.0f}/s.",
                "Hold each load longer (--duration), or warm the service up first.",
            )
    return Check("steady state", True, "steady")


def _enough(main: Recording) -> Check:
    needed = max(
        (10 / (1 - q.quantile) for o in objectives(main.setup.workload) for q in o.quantiles),
        default=100.0,
    )
    seen = 0
    for segment in main.segments:
        if segment.purpose == "baseline":
            seen += len(responses(main.requests(segment.index)))
    if seen >= needed:
        return Check("enough requests", True, f"{seen:,} requests at today's load")
    return Check(
        "enough requests",
        False,
        f"{seen:,} requests at today's load; the quantile asked for takes {needed:,.0f}.",
        f"Hold longer: --duration {max(1, round(needed / max(seen, 1) * 4))}.",
    )


def _acknowledged(main: Recording) -> Check:
    found = main.holds()
    if found is None or not found.kinds:
        return Check("acknowledged writes", True, "")
    checked = sum(count.checked for count in found.kinds.values())
    held = sum(count.held for count in found.kinds.values())
    if held == checked:
        return Check("acknowledged writes", True, f"{held} of {checked} acknowledged writes hold")
    first = next(iter((*found.first_broken.values(), *found.first_unknown.values())), "")
    return Check(
        "acknowledged writes",
        False,
        f"{checked - held} of {checked} acknowledged writes do not hold: {first}.",
        "Look into this before anything else: users were told these writes were done.",
    )
