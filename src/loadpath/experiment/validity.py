"""Whether what was measured may be believed: the checks every answer carries."""

from __future__ import annotations

import numpy as np

from loadpath.answer import Check
from loadpath.experiment.assess import responses
from loadpath.experiment.holds import disturbance, holds_of
from loadpath.experiment.knee import assess_segments, measured_window, objectives
from loadpath.experiment.mixknee import MixKnee, is_doubtful
from loadpath.experiment.speed import Speed
from loadpath.figures import per_second
from loadpath.recording import Blocked, Recording, SegmentRecord
from loadpath.stats.quantiles import quantile
from loadpath.stats.steady import is_drifting

PRECISION = 0.35
"""A knee known less well than this, half its interval as a share of it, is no figure to plan by."""

SPEED_TOLD = 0.05
"""Fixed work varies by a few percent on a machine that has its hardware to itself."""

SLIP_SHARE = 0.1
"""The engine's own delay may be so much of the limit before it could explain a miss."""


def validity(main: Recording, knee: MixKnee, speed: Speed | None) -> tuple[Check, ...]:
    """Every check, in the order people should read them. `knee` allows for `speed` already."""
    judged = [s for s in main.segments if s.purpose == "baseline"]
    if knee.below is not None:
        judged.append(knee.below.segment)
    return (
        _quiet(main, knee),
        _schedule(main, knee),
        _steady(main, judged),
        _enough(main, knee),
        _precise(main, knee, speed),
        _acknowledged(main),
    )


def _quiet(main: Recording, knee: MixKnee) -> Check:
    """Others make a service slower and never faster: so what met its objective beside them counts,
    today's load as any hold."""
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    met = bool(baseline) and assess_segments(main, baseline).met is True
    disturbed = [why for s in baseline if (why := disturbance(main, s)) is not None]
    left_out = len(knee.disturbed)
    if knee.trusted and (met or len(disturbed) < max(len(baseline), 1)):
        detail = "nothing else took the machine"
        if knee.taken_cores:
            detail = f"others took up to {knee.taken_cores:.2f} cores: the knee allows for it"
        elif left_out:
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


def _schedule(main: Recording, knee: MixKnee) -> Check:
    """Late is an engine whose delay is a tenth of the limit at today's load, or could by itself
    explain the miss above the knee. Near the knee it waits for a core as the service does."""
    limit_s = min(
        (q.limit_s for o in objectives(main.setup.workload) for q in o.quantiles), default=1.0
    )
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    today_s = max((_own_delay_s(main, s) for s in baseline), default=0.0)
    late_s = today_s if today_s > SLIP_SHARE * limit_s else 0.0
    if knee.above is not None:
        above_s = _own_delay_s(main, knee.above.segment)
        for limit in knee.above.assessment.limits:
            if limit.met is False and limit.response.value - above_s <= limit.limit_s:
                late_s = max(late_s, above_s)
    if not late_s:
        sent_s = max((slip_s(main, s) for s in baseline), default=0.0)
        said = f"the engine sent on time (p99 {sent_s * 1000:.2g} ms late{_evidence(baseline)})"
        return Check("engine on schedule", True, said)
    return Check(
        "engine on schedule",
        False,
        f"requests left up to {late_s * 1000:.0f} ms late (p99{_evidence(baseline)}) with a limit "
        f"of {limit_s * 1000:.0f} ms.",
        "Give the engine a core of its own, or measure a slower service.",
    )


def _evidence(judged: list[SegmentRecord]) -> str:
    """What else tells of the engine's lateness, to stand behind a p99."""
    said = ""
    if late := sum(s.late for s in judged):
        of = sum(s.arrivals for s in judged)
        said = f"; {late:,} of {of:,} requests beyond its tolerance"
    delays_s = [s.read_delay_p99_s for s in judged if s.read_delay_p99_s is not None]
    if delays_s:
        said += f"; replies read {max(delays_s) * 1000:.2g} ms after they came"
    return said


def _own_delay_s(main: Recording, segment: SegmentRecord) -> float:
    """The engine's own part of response times, at most: how late it sent and, when it was audited,
    how late it read. The rows are those of all its processes."""
    return slip_s(main, segment) + (segment.read_delay_p99_s or 0.0)


def slip_s(main: Recording, segment: SegmentRecord) -> float:
    """The p99 of how late the engine sent what no full connection pool held up."""
    rows = main.requests(segment.index)
    slip = (rows["sent_s"] - rows["intended_s"])[
        (rows["blocked"] != Blocked.POOL) & (rows["step"] == 0) & ~np.isnan(rows["sent_s"])
    ]
    return quantile(slip, 0.99) if len(slip) else 0.0


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


def _enough(main: Recording, knee: MixKnee) -> Check:
    """At today's load; else there and in the holds, all of which place the knee: what is met near
    it is met at today's load all the more."""
    needed = max(
        (10 / (1 - q.quantile) for o in objectives(main.setup.workload) for q in o.quantiles),
        default=100.0,
    )
    seen = sum(
        len(responses(main.requests(segment.index)))
        for segment in main.segments
        if segment.purpose == "baseline"
    )
    if seen >= needed:
        return Check("enough requests", True, f"{seen:,} requests at today's load")
    held = [hold for hold in holds_of(main, "hold") if not is_doubtful(hold)] if knee.rate else []
    most = seen + sum(hold.assessment.requests for hold in held)
    where = "today's load and around the knee" if held else "today's load"
    if most >= needed:
        return Check("enough requests", True, f"{most:,} requests at {where}")
    return Check(
        "enough requests",
        False,
        f"{most:,} requests at {where}; the quantile asked for takes {needed:,.0f}.",
        f"Hold longer: --duration {max(1, round(needed / max(most, 1) * 4))}.",
    )


def _precise(main: Recording, knee: MixKnee, speed: Speed | None) -> Check:
    """Whether the interval still decides what is claimed: a figure for the knee, and that today's
    load lies below it."""
    if knee.rate is None or knee.scale is None:
        return Check("knee placed", True, "")
    found = knee.rate
    varied = ""
    if speed is not None and speed.varied > SPEED_TOLD:
        varied = f", with a machine whose own speed varied by {speed.varied:.0%}"
    where = f"anywhere from {per_second(found.low)} to {per_second(found.high)}{varied}"
    longer = "Hold longer (--duration), or give it more time (--budget)."
    if varied:
        longer += " Others share the hardware: try again when they are quieter."
    baseline = [s for s in main.segments if s.purpose == "baseline"]
    if knee.scale.low <= 1 and baseline and assess_segments(main, baseline).met is True:
        return Check("knee placed", False, f"the knee lies {where}: today's may be it.", longer)
    if found.half_width_ratio > PRECISION:
        return Check("knee placed", False, f"the knee lies {where}.", longer)
    return Check("knee placed", True, f"the knee is known to ±{found.half_width_ratio:.0%}{varied}")


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
