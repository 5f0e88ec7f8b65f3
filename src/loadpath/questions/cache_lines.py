"""The lines of the answer on caching: each operation, what is wrong with it, what writes. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from loadpath import figures
from loadpath.answer import Line
from loadpath.experiment.caching.flushing import Cold
from loadpath.experiment.caching.outcome import OperationCache
from loadpath.experiment.caching.placed import Placed
from loadpath.experiment.caching.streams import Observed
from loadpath.questions.cache_gain import Gain, Gains
from loadpath.questions.cache_words import point_words, size
from loadpath.questions.scores import Score
from loadpath.questions.words import change


def operation_lines(seen: OperationCache, gain: Gain | None) -> list[Line]:
    """The verdict; then what the headers let go wrong, and what stands in the way."""
    lines = [Line(seen.operation, verdict_words(seen), gain_words(gain))]
    lines += [Line("", f"{each.says}: {each.fix}") for each in seen.accusations]
    if seen.verdict == "yes":
        lines += [Line("", words) for words in _beside(seen)]
    return lines


def verdict_words(seen: OperationCache) -> str:
    """`yes, 10 s: 80 % hits, 0.3 % of them stale`; `no: it writes`."""
    if seen.point is None:
        return f"{seen.verdict}: {seen.why}"
    said = point_words(seen.point)
    if seen.verdict == "yes":
        return f"yes, {said}"
    return f"{seen.verdict}: {seen.why} ({said})"


def gain_words(gain: Gain | None) -> str:
    """What the model foretells."""
    if gain is None:
        return ""
    return f"capacity {change(gain.ratio)} foretold, {figures.share(gain.hit_ratio)} hits there"


def unplaced_lines(found: Sequence[OperationCache], flows: Collection[str]) -> list[Line]:
    """Which of those to be kept are never put behind a cache here, and why."""
    said = "it is a flow, and which of its requests a rule would keep is not known beforehand"
    return [
        Line("not in its place", f"{each.operation}: {said}")
        for each in found
        if each.verdict == "yes" and each.operation in flows
    ]


def placed_lines(
    found: Sequence[OperationCache], gains: Gains, there: Placed | None, measured: Score | None
) -> list[Line]:
    """What a cache in its place did, beside what was foretold."""
    if there is None:
        return []
    lines = []
    told = {each.operation: each.point for each in found}
    for rule in there.rules:
        point = told.get(rule.operation)
        hits = f"{figures.share(rule.hit_ratio.value)} hits"
        said = [hits if point is None else f"{hits} (foretold {figures.share(point.hit_ratio)})"]
        if rule.staleness is not None:
            stale = f"{figures.share(rule.staleness.value)} of {rule.sampled:,} stale"
            if point is not None and not math.isnan(point.staleness.share.value):
                stale += f" (foretold {figures.share(point.staleness.share.value)})"
            said.append(stale)
        lines.append(Line("in its place", f"{rule.operation}: {', '.join(said)}"))
    if measured is not None:
        lines.append(
            Line(
                "",
                f"capacity {change(measured.measured)} measured, "
                f"{change(measured.predicted)} foretold",
                _p99_words(there),
            )
        )
    passed, hit = (gains.placed.cost.passed_s, gains.placed.cost.hit_s) if gains.placed else (0, 0)
    lines.append(
        Line(
            "",
            f"the cache itself: {there.front_cpu_s * 1e6:.0f} µs of CPU a request "
            f"({hit * 1e6:.0f} a hit, {passed * 1e6:.0f} one passed on), {size(there.bytes)}",
            f"{figures.share(there.origin_ratio)} of all requests still reach the service",
        )
    )
    return lines


def _p99_words(there: Placed) -> str:
    loads = there.measurement.loads
    pair = loads[0].p99_s if loads else None
    if pair is None:
        return ""
    return f"p99 {figures.ms(pair.before.value)} → {figures.ms(pair.after.value)} at today's rate"


def writer_lines(seen: Observed) -> list[Line]:
    """Which operations change what others are answered."""
    named = [each.operation for each in seen.writers if each.changes_answers]
    return [Line("answers change after", ", ".join(named))] if named else []


def cold_lines(cold: Cold | None) -> list[Line]:
    """What emptying the cache did to the service, beside what was foretold."""
    if cold is None:
        return []
    per_second = figures.per_second
    foretold = (
        "" if cold.foretold_per_s is None else f" (foretold {per_second(cold.foretold_per_s)})"
    )
    return [
        Line(
            "emptied",
            f"{per_second(cold.cold_per_s)} reach the service for a second{foretold}, "
            f"{per_second(cold.warm_per_s)} when it is warm",
            f"p99 {figures.ms(cold.warm_p99_s)} → {figures.ms(cold.cold_p99_s)}",
        )
    ]


def _beside(seen: OperationCache) -> list[str]:
    said = []
    if seen.headers is not None and not seen.headers.shared:
        own = seen.headers.says or "no Cache-Control"
        said.append(f"its headers do not let a shared cache: {own}")
    if seen.purged is not None and seen.point is not None:
        purged = seen.purged.staleness
        if purged.stale < seen.point.staleness.stale:
            said.append(
                f"dropped on the writes that change it, {figures.share(purged.share.value)} stale"
            )
    said.append(f"{size(seen.bytes)} kept at today's rate")
    return said
