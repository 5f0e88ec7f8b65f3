"""Should this response be cached, for how long, and what would go wrong?

Collected, in a recording named `cache`: the workload's own load, uncached, with what every reply
said as a digest; the same nearer to the knee, where keys come again sooner; some of the requests
asked again as somebody else and in other ways; then what its dependencies say, as digests. What a
model is fitted from is recorded before that, unless the run has it. Last, in full depth, a cache
with the policy that came of it is put before the service, in arms that run in turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from loadpath.answer import Answer, Check, Line, State
from loadpath.caching.stream import Stream
from loadpath.errors import InconclusiveError
from loadpath.events import Warned
from loadpath.experiment import modeling
from loadpath.experiment.arm import open_arm
from loadpath.experiment.caching.exposure import exposures
from loadpath.experiment.caching.flushing import cold_of
from loadpath.experiment.caching.outcome import OperationCache, judged
from loadpath.experiment.caching.placed import placed
from loadpath.experiment.caching.streams import Observed, observed
from loadpath.experiment.depth import Depth
from loadpath.experiment.knee import mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import load_at
from loadpath.experiment.session import Session
from loadpath.questions import cache_statements
from loadpath.questions.cache_gain import GAIN_MIN, Gains, foretold, read_gains, write_gains
from loadpath.questions.cache_lines import (
    cold_lines,
    operation_lines,
    placed_lines,
    unplaced_lines,
    writer_lines,
)
from loadpath.questions.cache_placing import put_in_place, scored
from loadpath.questions.cache_statements import statement_lines
from loadpath.questions.forecast import known_knee_per_s, own_rate_per_s
from loadpath.questions.scores import Score
from loadpath.questions.words import change
from loadpath.recording import Recording
from loadpath.spec import Setup

NAME = "cache"
TODAY, BUSY = "cache-today", "cache-busy"
WARMUP_S = 1.5
BUSY_SHARE = 0.5
"""Of a known knee: near enough that keys come about as often, far enough that nothing waits."""

BUSY_MIN = 2.0
"""Nearer to today's load a second recording says the same."""

BUSY_S = 0.5
"""Of the time that today's load is recorded for."""

VARIANTS_S = 4.0
MODEL_S = 20.0


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long collecting takes, in seconds."""
    start_s = 2 + 3 * len(setup.service.dependencies)
    own_s = start_s + WARMUP_S + (1 + BUSY_S) * depth.cached_s + VARIANTS_S
    if not depth.cached_rounds:
        return own_s + MODEL_S
    own_s += modeling.estimate_s(setup) + 2 * MODEL_S + cache_statements.estimate_s(setup, depth)
    if not is_full(depth):
        return own_s
    arm_s = start_s + 2 + depth.hold_s + depth.arm_ramp_s
    return own_s + depth.cached_rounds * (2 * arm_s + depth.cached_s / 6)


def is_full(depth: Depth) -> bool:
    """Whether there is time to put a cache in its place."""
    return depth.cached_rounds >= 2


def is_own(recording: Recording) -> bool:
    """Whether that recording was made for this question."""
    return recording.name.startswith(NAME)


async def collect(session: Session, setup: Setup, depth: Depth) -> None:
    """Record what the answer needs."""
    modeled = any(r.name == "mix" for r in _opened(session))
    if not modeled and depth.cached_rounds and session.left_s() > modeling.estimate_s(setup):
        try:
            await modeling.record_for_model(session, setup)
        except InconclusiveError as error:
            session.emit(Warned(at_s=time.time(), message=error.message, advice=error.advice))
    if session.left_s() < WARMUP_S + depth.cached_s + VARIANTS_S:
        session.emit(
            Warned(
                at_s=time.time(),
                message="the budget leaves no time to record replies: what to cache is not known",
                advice="`loadpath ask cache` looks at that alone.",
            )
        )
        return
    mix = next((r for r in _opened(session) if r.name == "mix"), None)
    scale = 1.0
    if mix is not None:
        scale = max(1.0, BUSY_SHARE * known_knee_per_s(mix) / own_rate_per_s(mix))
    await _record(session, setup, depth, scale)
    own = _own(session)
    await cache_statements.read_replies(
        session,
        setup,
        depth,
        own_per_s=_rate_per_s(own, _today(own)),
        knee_per_s=None if mix is None else known_knee_per_s(mix),
    )
    with phase(session.emit, "what a cache gains, by a model", MODEL_S) as now:
        recordings = _opened(session)
        wanted = {
            each.operation: each.point.ttl_s
            for each in _judged(own)
            if each.verdict == "yes" and each.point is not None
        }
        gains = _gains(recordings, own, wanted, scale)
        write_gains(session.run.directory, gains)
        now.result = gains.no_model or f"{len(gains.gains) + len(gains.statements)} foretold"
    if is_full(depth):
        seen, at = _replies(own, scale)
        await put_in_place(session, setup, depth, gains, seen, scale=at)


async def _record(session: Session, setup: Setup, depth: Depth, scale: float) -> None:
    workload = setup.workload
    mix = mix_of(workload)
    async with open_arm(session, setup, NAME) as arm:
        with phase(session.emit, "what replies say", WARMUP_S + depth.cached_s) as now:
            load = load_at(workload.arrivals, 1.0)
            await arm.drive("warmup", load, duration_s=WARMUP_S, weights=mix)
            segment = await arm.drive(
                TODAY, load, duration_s=depth.cached_s, weights=mix, digested=True
            )
            now.result = f"{segment.done:,} replies"
        with phase(session.emit, "what they depend on", VARIANTS_S) as now:
            asked = await arm.ask_variants(segment.index, budget_s=VARIANTS_S)
            now.result = f"{asked} asked in other ways"
        busy_s = BUSY_S * depth.cached_s
        if scale >= BUSY_MIN and session.left_s() > busy_s:
            with phase(session.emit, "the same, nearer to the knee", busy_s):
                await arm.drive(
                    BUSY,
                    load_at(workload.arrivals, scale),
                    duration_s=busy_s,
                    weights=mix,
                    digested=True,
                )


def _gains(
    recordings: Sequence[Recording], own: Recording, ttls_s: dict[str, float], scale: float
) -> Gains:
    statements = cache_statements.wanted(recordings)
    if not ttls_s and not statements:
        return Gains(no_model="nothing is worth asking about")
    seen, at = _replies(own, scale)
    return foretold(recordings, ttls_s, seen, statements, scale=at)


def _replies(own: Recording, scale: float) -> tuple[Observed, float]:
    """The replies nearest to the knee, and at how many times today's rate they were recorded."""
    busy = _segment(own, BUSY)
    return observed(own, _today(own) if busy is None else busy), 1.0 if busy is None else scale


def judge(recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure: reads recordings, drives nothing."""
    own = next((r for r in recordings if r.name == NAME), None)
    if own is None or _segment(own, TODAY) is None:
        return _nothing(recordings)
    gains = read_gains(own)
    found = tuple(_with_gain(each, gains) for each in _judged(own))
    seen = observed(own, _today(own))
    checks = _checks(found, seen, gains)
    there = placed(recordings)
    cold = cold_of(recordings, *_kept_streams(seen, gains if there is not None else Gains()))
    measured = scored(gains, there)
    state, claim = _conclude(found, measured)
    statements = cache_statements.concluded(cache_statements.judged(recordings), gains)
    rest = (*cold_lines(cold), *writer_lines(seen), *statement_lines(statements, gains))
    accused = any(each.accusations for each in found)
    flows = {each.name for each in own.setup.workload.operations if each.request is None}
    there_lines = (*placed_lines(found, gains, there, measured), *unplaced_lines(found, flows))
    lines = [line for each in found for line in operation_lines(each, gains.of(each.operation))]
    return Answer(
        question=NAME,
        state=state,
        claim=claim,
        lines=(*lines, *there_lines, *rest),
        figures={
            "caches": found,
            "gains": gains,
            "placed": there,
            "score": measured,
            "cold": cold,
            "writers": seen.writers,
            "statements": statements,
            "span_s": seen.span_s,
        },
        validity=checks,
        objectives_met=None if state is State.INCONCLUSIVE else not accused,
        prediction=None if measured is None else measured.predicted,
        measurement=None if measured is None else measured.measured,
        recordings=tuple(r.directory.name for r in recordings if is_own(r)),
    )


def _kept_streams(seen: Observed, gains: Gains) -> tuple[list[tuple[Stream, float]], float]:
    """The streams of what was put in place, with their TTLs, and the rate of all other requests."""
    ttls_s = {each.operation: each.ttl_s for each in gains.gains}
    names = gains.placed.operations if gains.placed is not None else ()
    kept = [
        (each.stream, ttls_s[each.operation]) for each in seen.operations if each.operation in names
    ]
    others = sum(sum(e.methods.values()) for e in seen.operations if e.operation not in names)
    return kept, others / max(seen.span_s, 1e-9)


def _judged(own: Recording) -> list[OperationCache]:
    """Everything but the gain, of each operation that was asked for."""
    index = _today(own)
    workload = own.setup.workload
    told = exposures(own, index)
    allowed = {o.name: workload.objective_of(o).staleness_ratio for o in workload.operations}
    return [
        judged(each, told.get(each.operation), allowed[each.operation])
        for each in observed(own, index).operations
    ]


def _with_gain(seen: OperationCache, gains: Gains) -> OperationCache:
    """The last part of the rule: capacity rises by a fifth, or it is not worth it."""
    if seen.verdict != "yes":
        return seen
    gain = gains.of(seen.operation)
    if gain is None:
        why = gains.no_model or "what it gains was not foretold"
        return msgspec.structs.replace(seen, verdict="cannot tell", why=why)
    if gain.ratio.value >= GAIN_MIN:
        return seen
    more = (gain.ratio.value - 1) * 100
    why = f"the mix would carry {more:.0f} % more, which is not worth it"
    return msgspec.structs.replace(seen, verdict="no", why=why)


def _checks(found: Sequence[OperationCache], seen: Observed, gains: Gains) -> tuple[Check, ...]:
    wanted = any(each.point is not None for each in found)
    longest = max((each.longest_ttl_s for each in found), default=0.0)
    return (
        Check(
            "replies recorded",
            bool(longest),
            f"replies recorded for {seen.span_s:.0f} s: TTLs up to {longest:g} s are asked about",
            None if longest else "Record for longer: --duration, or `loadpath ask cache`.",
        ),
        Check(
            "a model",
            gains.no_model is None or not wanted,
            f"{gains.no_model}." if wanted and gains.no_model is not None else "",
        ),
    )


def _conclude(found: Sequence[OperationCache], measured: Score | None) -> tuple[State, str]:
    accused = [(each, accusation) for each in found for accusation in each.accusations]
    yes = [each for each in found if each.verdict == "yes"]
    if accused:
        each, first = min(accused, key=lambda pair: pair[1].kind != "leak")
        return State.CONFIRMED, f"{each.operation}: {first.says}; {first.fix}"
    if yes:
        best = max(yes, key=_hits)
        assert best.point is not None
        return _scored(f"keep replies of {best.operation} for {best.point.ttl_s:g} s", measured)
    if any(each.verdict == "cannot tell" for each in found) or not found:
        return State.INCONCLUSIVE, "whether a cache would help cannot be told"
    return State.CONFIRMED, "no operation is worth caching before the service"


def _scored(said: str, measured: Score | None) -> tuple[State, str]:
    """Whether what the cache was foretold to gain held when it was put in its place."""
    if measured is None:
        return State.PREDICTED, said
    said = f"{said}: capacity {change(measured.measured)} measured"
    if measured.held is None:
        return State.INCONCLUSIVE, f"{said}, too uncertain to judge what was foretold by"
    off = f"{abs(measured.error) * 100:.0f} % {'less' if measured.error > 0 else 'more'}"
    if measured.held:
        return State.CONFIRMED, f"{said}, as foretold"
    return State.REFUTED, f"{said}, {off} than foretold"


def _hits(found: OperationCache) -> float:
    return 0.0 if found.point is None else found.requests * found.point.hit_ratio


def _nothing(recordings: Sequence[Recording]) -> Answer:
    return Answer(
        question=NAME,
        state=State.INCONCLUSIVE,
        claim="the run ended before replies were recorded",
        lines=(Line("the mix", "nothing to say"),),
        figures={},
        validity=(),
        objectives_met=None,
        recordings=tuple(r.directory.name for r in recordings if is_own(r)),
    )


def _segment(own: Recording, purpose: str) -> int | None:
    return next((s.index for s in own.segments if s.purpose == purpose), None)


def _today(own: Recording) -> int:
    index = _segment(own, TODAY)
    assert index is not None
    return index


def _rate_per_s(own: Recording, index: int) -> float:
    """The rate at which requests came in a segment."""
    segment = own.segment(index)
    return max(segment.arrivals, 1) / (segment.ended_s - segment.started_s)


def _own(session: Session) -> Recording:
    return next(r for r in _opened(session) if r.name == NAME)


def _opened(session: Session) -> list[Recording]:
    return [Recording.open(path) for path in session.run.recordings()]
