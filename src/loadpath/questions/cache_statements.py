"""What the service itself should keep of what its dependencies say: wires read, verdicts told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from loadpath import figures
from loadpath.answer import Line
from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.experiment.arm import open_arm
from loadpath.experiment.attribution.short import short_shape
from loadpath.experiment.caching.asked import Asked
from loadpath.experiment.caching.statements import (
    WIRES,
    StatementCache,
    asked_statements,
    judged_statements,
)
from loadpath.experiment.callpaths import paths_of
from loadpath.experiment.depth import Depth
from loadpath.experiment.knee import mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe, load_at
from loadpath.experiment.session import Session
from loadpath.experiment.traced import KNEE_SHARE, RATE_MAX_PER_S
from loadpath.experiment.traced import NAME as TRACED
from loadpath.questions.cache_gain import GAIN_MIN, Gains, StatementGain
from loadpath.questions.cache_words import point_words, size
from loadpath.questions.words import change
from loadpath.recording import Recording
from loadpath.spec import Setup

WIRES_SHARE, WIRES_MIN_S = 0.5, 4.0
"""Of the time that replies are recorded for: what repeats inside, repeats sooner."""

WARMUP_S = 1.5
SHOWN = 3
HITS_SHOWN = 0.3
"""A statement that nothing speaks for is told of when it is asked again as often as this."""

SHAPE_WIDTH = 100


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long the wires are read for this, starting included; 0 without any to read."""
    if not _is_read(setup):
        return 0.0
    start_s = 2.0 + 3.0 * len(setup.service.dependencies)
    return start_s + WARMUP_S + max(WIRES_MIN_S, WIRES_SHARE * depth.cached_s)


def _is_read(setup: Setup) -> bool:
    return any(each.kind in ("postgres", "valkey") for each in setup.service.dependencies)


async def read_replies(
    session: Session, setup: Setup, depth: Depth, *, own_per_s: float, knee_per_s: float | None
) -> None:
    """Record what dependencies say under today's load, as digests; a service that does not run
    behind taps is said to be so, and ends nothing. `knee_per_s` None: not known."""
    known = any(recording.name == TRACED for recording in _opened(session))
    if not _is_read(setup) or (known and not depth.cached_rounds):
        return
    took_s = estimate_s(setup, depth)
    if session.left_s() < took_s:
        return
    scale = min(1.0, RATE_MAX_PER_S / own_per_s)
    if knee_per_s is not None:
        scale = min(scale, KNEE_SHARE * knee_per_s / own_per_s)
    load = load_at(setup.workload.arrivals, scale)
    mix = mix_of(setup.workload)
    with phase(session.emit, "what dependencies say", took_s) as now:
        try:
            async with open_arm(session, setup, WIRES, tapped=True, digest_replies=True) as arm:
                await arm.drive("warmup", load, duration_s=WARMUP_S, weights=mix)
                duration_s = max(WIRES_MIN_S, WIRES_SHARE * depth.cached_s)
                await arm.drive(WIRES, load, duration_s=duration_s, weights=mix)
            now.result = f"wires read at {describe(setup.workload.arrivals, scale)}"
        except LoadpathError as error:
            now.result = "not known"
            session.emit(Warned(at_s=time.time(), message=f"the wires were not read: {error}"))


def _opened(session: Session) -> list[Recording]:
    return [Recording.open(path) for path in session.run.recordings()]


def judged(recordings: Sequence[Recording]) -> tuple[StatementCache, ...]:
    """Every statement that was asked often, but for what keeping it gains."""
    callers: dict[tuple[str, str], list[str]] = {}
    traced = next((r for r in recordings if r.name == TRACED), None)
    for path in paths_of(traced) if traced is not None else ():
        for each in path.exchanges:
            names = callers.setdefault((each.dependency, each.shape), [])
            if path.operation not in names:
                names.append(path.operation)
    return judged_statements(recordings, callers)


def wanted(recordings: Sequence[Recording]) -> list[tuple[Asked, float]]:
    """Those of which it is worth to ask what they gain, with their TTLs: few, since each takes a
    while to foretell."""
    streams = {(each.dependency, each.shape): each for each in asked_statements(recordings)}
    return [
        (streams[each.dependency, each.shape], each.point.ttl_s)
        for each in judged(recordings)
        if each.verdict == "yes" and each.point is not None
    ][:SHOWN]


def concluded(statements: Sequence[StatementCache], gains: Gains) -> tuple[StatementCache, ...]:
    """The last part of the rule: capacity rises by a fifth, or it is not worth it."""
    return tuple(
        _with_gain(each, gains.of_statement(each.dependency, each.shape), gains.no_model)
        for each in statements
    )


def _with_gain(
    seen: StatementCache, gain: StatementGain | None, no_model: str | None
) -> StatementCache:
    if seen.verdict != "yes":
        return seen
    if gain is None:
        why = no_model or "what it gains was not foretold"
        return msgspec.structs.replace(seen, verdict="cannot tell", why=why)
    if gain.least.value >= GAIN_MIN:
        return seen
    if gain.most.value < GAIN_MIN:
        why = f"the mix would carry {_more(gain.most.value)} more at most, which is not worth it"
        return msgspec.structs.replace(seen, verdict="no", why=why)
    why = "it is worth it only where a hit spares the service its own work, too"
    return msgspec.structs.replace(seen, verdict="cannot tell", why=why)


def statement_lines(statements: Sequence[StatementCache], gains: Gains) -> list[Line]:
    """What the service asks again and again; those that should be kept first."""
    order = {"yes": 0, "cannot tell": 1, "no": 2}
    told = [s for s in statements if s.verdict == "yes" or s.most_hits >= HITS_SHOWN]
    told.sort(key=lambda each: order[each.verdict])
    lines = []
    for place, each in enumerate(told[:SHOWN]):
        gain = gains.of_statement(each.dependency, each.shape)
        shape = short_shape(each.shape, SHAPE_WIDTH)
        lines.append(
            Line(
                "" if place else "inside it",
                f"{each.dependency}, {shape}, {figures.per_second(each.per_s)}: {_verdict(each)}",
                "" if gain is None else _gain_words(gain),
            )
        )
        lines += [Line("", words) for words in _beside(each)]
    return lines


def _verdict(seen: StatementCache) -> str:
    """`yes, 10 s: 80 % hits, none stale`; where no TTL is allowed, how often it comes again."""
    if seen.point is not None:
        said = point_words(seen.point)
        return f"yes, {said}" if seen.verdict == "yes" else f"{seen.verdict}: {seen.why} ({said})"
    if not seen.points:
        return f"{seen.verdict}: {seen.why}"
    again = f"{figures.share(seen.most_hits)} asked before within {seen.longest_ttl_s:g} s"
    return f"{seen.verdict}: {seen.why} ({again})"


def _gain_words(gain: StatementGain) -> str:
    least, most = change(gain.least), change(gain.most)
    if round(gain.least.value, 2) == round(gain.most.value, 2):
        return f"capacity {least} foretold"
    return f"capacity {least} foretold, {most} where a hit spares the service its own work, too"


def _beside(seen: StatementCache) -> list[str]:
    said = []
    if seen.inside_writes > 0:
        left = figures.share(seen.inside_writes)
        said.append(f"{left} of its calls are made in transactions that write: not to be kept")
    if seen.verdict != "yes" or seen.point is None:
        return said
    if seen.purged is not None and seen.purged.staleness.stale < seen.point.staleness.stale:
        purged = figures.share(seen.purged.staleness.share.value)
        said.append(f"dropped on the writes that change it, {purged} stale")
    said.append(f"{size(seen.bytes)} kept at today's rate")
    return said


def _more(ratio: float) -> str:
    return f"{max(0.0, ratio - 1) * 100:.0f} %"
