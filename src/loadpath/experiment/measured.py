"""What arms that ran in turn measured: every figure before, after and as their ratio. Pure.

Rounds that something disturbed are left out unless fewer than two are clean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from loadpath.answer import Check, Interval
from loadpath.experiment.arms import ArmPair, arm_rounds, compare_arms, telling_rounds
from loadpath.experiment.assess import Responses, responses
from loadpath.experiment.demand import OURS, demand_in
from loadpath.experiment.holds import disturbance
from loadpath.experiment.knee import loosest_limit_s, measured_window
from loadpath.experiment.validity import SLIP_SHARE, slip_s
from loadpath.figures import per_second
from loadpath.recording import Recording, SegmentRecord
from loadpath.stats.compare import Verdict, compare
from loadpath.stats.intervals import ratio_of_pairs_interval, response_quantile_interval
from loadpath.stats.quantiles import quantile
from loadpath.stats.steady import is_drifting

BASELINE = "A"
HOLD = "verify-hold"
RAMP = "arm-ramp"

RESPONSES_MIN = 100
"""So many requests tell whether response times drift, and are worth a p99."""

RESPONSE_RATIO = 1.10
"""A response time that moves by less is nobody's concern."""

UNSTEADY_SHARE = 0.5
"""Of so many holds whose queue grew, no response time is stated: there is none in the long run."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both arms, `ratio` after ÷ before, paired by round."""

    before: Interval
    after: Interval
    ratio: Interval
    verdict: Verdict


class AtLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Response times in seconds at a rate, which differs where the change is one of the load.

    None where one of the two did not settle there.
    """

    before_per_s: float
    after_per_s: float
    requests: int
    mean_s: Pair | None
    p50_s: Pair | None
    p99_s: Pair | None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What a treatment came to beside the baseline.

    `capacity` is the rate (1/s) at which a ramp missed the objective; of arms, whose ramps read a
    few percent late, so that it is their ratio which counts (None: neither missed it).
    `bounded`: one of the two did not miss it within its ramp but beyond or before, so that its
    figure is a bound and no prediction is scored by it. `cpu_s` is CPU a request by
    part, at the first of `loads`.
    """

    capacity: Pair | None
    bounded: bool
    loads: tuple[AtLoad, ...]
    cpu_s: dict[str, Pair]
    rounds: int
    validity: tuple[Check, ...]


class Held(msgspec.Struct, frozen=True):
    """One hold of one arm."""

    recording: Recording
    segment: SegmentRecord

    def responses(self) -> Responses:
        """Those of its measured part."""
        from_s, to_s = measured_window(self.segment)
        return responses(self.recording.requests(self.segment.index)).between(from_s, to_s)


Round = tuple[Held, Held]
"""The same hold of the baseline and of the treatment."""


def unsteady(recording: Recording, segment: SegmentRecord) -> str | None:
    """What says that a hold had not settled; None when it had."""
    times = Held(recording, segment).responses().response_s
    if len(times) < RESPONSES_MIN or not is_drifting(times):
        return None
    return f"response times were still changing at {per_second(segment.load['rate_per_s'])}"


def measure(recordings: Sequence[Recording], treatment: str = "B") -> Measurement | None:
    """Compare a treatment with the baseline; None without one whole round of both."""
    pairs = _rounds_of(recordings, treatment)
    chosen = clean_pairs(pairs)
    holds = _holds(recordings, treatment, {number for number, _ in chosen})
    if not holds:
        return None
    compared = compare_arms(list(pairs.values()), shifted=True)
    telling = telling_rounds(list(pairs.values()))
    capacity = None
    if compared is not None:
        capacity = Pair(
            before=typical([pair.baseline for pair in telling]),
            after=typical([pair.treatment for pair in telling]),
            ratio=compared.ratio,
            verdict=compared.verdict,
        )
    labels = sorted(holds)
    return Measurement(
        capacity=capacity,
        bounded=any(pair.censored or pair.floored for pair in telling),
        loads=tuple(_at_load(holds[label]) for label in labels),
        cpu_s=_cpu(holds[labels[0]]),
        rounds=len(chosen),
        validity=_validity(pairs, holds[labels[0]], capacity),
    )


def _rounds_of(recordings: Sequence[Recording], treatment: str) -> dict[int, ArmPair]:
    """Every whole round; one whose holds were disturbed is so as well."""
    pairs = arm_rounds(recordings, RAMP, treatment)
    for recording in recordings:
        for segment in recording.segments:
            pair = pairs.get(segment.round)
            of_these = segment.purpose == HOLD and segment.arm in (BASELINE, treatment)
            if of_these and pair is not None and pair.disturbed is None:
                why = disturbance(recording, segment)
                pairs[segment.round] = msgspec.structs.replace(pair, disturbed=why)
    return pairs


def clean_pairs(pairs: dict[int, ArmPair]) -> list[tuple[int, ArmPair]]:
    """The rounds that count, by their number."""
    clean = [(number, pair) for number, pair in pairs.items() if pair.disturbed is None]
    return clean if len(clean) >= 2 else list(pairs.items())


def typical(values: Sequence[float]) -> Interval:
    """The geometric mean of positive values with its interval (Student's t of the logarithms)."""
    found = ratio_of_pairs_interval([1.0] * len(values), values)
    return msgspec.structs.replace(found, method="mean of logarithms, Student t")


def _holds(
    recordings: Sequence[Recording], treatment: str, rounds: set[int]
) -> dict[int, list[Round]]:
    """The holds of each load, paired by round, in order."""
    seen: dict[tuple[int, int], dict[str, Held]] = {}
    for recording in recordings:
        for segment in recording.segments:
            if segment.purpose == HOLD and segment.round in rounds:
                place = (int(segment.label), segment.round)
                seen.setdefault(place, {})[segment.arm] = Held(recording, segment)
    found: dict[int, list[Round]] = {}
    for (label, _), arms in sorted(seen.items(), key=lambda item: item[0]):
        if {BASELINE, treatment} <= arms.keys():
            found.setdefault(label, []).append((arms[BASELINE], arms[treatment]))
    return found


def _at_load(rounds: Sequence[Round]) -> AtLoad:
    before = [held.responses() for held, _ in rounds]
    after = [held.responses() for _, held in rounds]
    settled = not (_overloaded([a for a, _ in rounds]) or _overloaded([b for _, b in rounds]))

    def pair(of_one: Callable[[Responses], float], q: float | None) -> Pair | None:
        firsts, seconds = [of_one(each) for each in before], [of_one(each) for each in after]
        if not settled or not all(np.isfinite([*firsts, *seconds])):
            return None
        found = compare(firsts, seconds, higher_is_better=False, smallest_ratio=RESPONSE_RATIO)
        return Pair(
            before=typical(firsts) if q is None else _pooled(before, q),
            after=typical(seconds) if q is None else _pooled(after, q),
            ratio=found.ratio,
            verdict=found.verdict,
        )

    return AtLoad(
        before_per_s=float(rounds[0][0].segment.load["rate_per_s"]),
        after_per_s=float(rounds[0][1].segment.load["rate_per_s"]),
        requests=sum(len(each) for each in (*before, *after)),
        mean_s=pair(lambda each: float(np.mean(each.response_s)), None),
        p50_s=pair(lambda each: quantile(each.response_s, 0.5), 0.5),
        p99_s=pair(lambda each: quantile(each.response_s, 0.99), 0.99),
    )


def _pooled(rounds: Sequence[Responses], q: float) -> Interval:
    """A quantile of all rounds together: of one hold it rests on few requests."""
    whole = rounds[0]
    for more in rounds[1:]:
        whole = whole.followed_by(more)
    return response_quantile_interval(whole.response_s, q)


def _overloaded(holds: Sequence[Held]) -> bool:
    grew = sum(unsteady(held.recording, held.segment) is not None for held in holds)
    return grew > UNSTEADY_SHARE * len(holds) or any(len(held.responses()) == 0 for held in holds)


def _cpu(rounds: Sequence[Round]) -> dict[str, Pair]:
    """CPU a request of each part that used any in every arm; relays are no part of the service."""
    taken = [[demand_in(held.recording, [held.segment]) for held in both] for both in rounds]
    demands = [(a, b) for a, b in taken if a is not None and b is not None]
    if not demands:
        return {}
    names = set.intersection(*(set(d.parts) for both in demands for d in both)) - OURS - {"taps"}
    found = {}
    for name in sorted(names):
        before = [a.parts[name] for a, _ in demands]
        after = [b.parts[name] for _, b in demands]
        if min(*before, *after) > 0:
            compared = compare(before, after, higher_is_better=False)
            found[name] = Pair(
                before=typical(before),
                after=typical(after),
                ratio=compared.ratio,
                verdict=compared.verdict,
            )
    return found


def _validity(
    pairs: dict[int, ArmPair], rounds: Sequence[Round], capacity: Pair | None
) -> tuple[Check, ...]:
    reasons = [pair.disturbed for pair in pairs.values() if pair.disturbed is not None]
    clean = len(pairs) - len(reasons)
    quiet = Check("quiet machine", True, f"{_rounds(clean)} clean")
    if reasons:
        said = f"{reasons[0]} in {len(reasons)} of {_rounds(len(pairs))}"
        quiet = Check("quiet machine", clean >= 2, said, "Stop what else runs here and try again.")
    enough = Check("enough rounds", len(rounds) >= 2, f"{_rounds(len(rounds))} compared")
    if len(rounds) < 2:
        enough = msgspec.structs.replace(
            enough, advice="One round has no interval: give it more time (--budget)."
        )
    return quiet, enough, _schedule(rounds), _steady(rounds)


def _schedule(rounds: Sequence[Round]) -> Check:
    limit_s = loosest_limit_s(rounds[0][0].recording.setup.workload)
    late_s = max(slip_s(held.recording, held.segment) for both in rounds for held in both)
    if late_s <= SLIP_SHARE * limit_s:
        said = f"the engine sent on time (p99 {late_s * 1000:.2g} ms late)"
        return Check("engine on schedule", True, said)
    return Check(
        "engine on schedule",
        False,
        f"requests left up to {late_s * 1000:.0f} ms late (p99).",
        "Give the engine a core of its own, or measure a slower service.",
    )


def _steady(rounds: Sequence[Round]) -> Check:
    if not any(_overloaded([both[place] for both in rounds]) for place in (0, 1)):
        return Check("steady state", True, "steady")
    which = "before" if _overloaded([a for a, _ in rounds]) else "after"
    return Check(
        "steady state",
        False,
        f"response times were still changing {which} the change.",
        "Hold each load longer (--duration), or measure at a lower rate (--at).",
    )


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"
