"""The calls of each operation in their order, from a recording of the wires. Pure.

The order and the gaps come from visits that were alone on the wires; how often a call is made and
how long it takes come from the mix, where there are many of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, median

from loadpath.experiment.assess import responses
from loadpath.experiment.attribution import Crossing, Visit
from loadpath.experiment.attribution.crossings import Background, CallKey
from loadpath.experiment.attribution.paths import without_background
from loadpath.experiment.knee import mix_of
from loadpath.experiment.stretches import times_of
from loadpath.experiment.wires import recorded_crossings, recorded_visits, segment_of
from loadpath.model.observations import Exchange, Path, Times
from loadpath.recording import Recording

SAME = (0.8, 1.25)
"""A call that the mix makes this often, compared with the visits, is made as often."""

ENOUGH = 20
"""So many calls in the mix tell their times better than the few of the visits."""

AT_ONCE_S = 0.0005
"""A call that follows another on its connection this soon is taken to be of the same lease."""


def paths_of(traced: Recording) -> tuple[Path, ...]:
    """The path of each operation that was visited; none where no wires were read."""
    visited, quiet = recorded_visits(traced)
    own = {name: without_background(visits, quiet) for name, visits in visited.items()}
    seen = _in_the_mix(traced)
    often = _how_often(traced, own, seen, quiet)
    return tuple(_path(name, visits, often, seen) for name, visits in own.items() if visits)


def _in_the_mix(traced: Recording) -> dict[CallKey, list[Crossing]]:
    segment = segment_of(traced, "traced")
    found: dict[CallKey, list[Crossing]] = {}
    if segment is not None:
        for each in recorded_crossings(traced, segment):
            if segment.started_s <= each.began_s < segment.ended_s:
                found.setdefault(each.key, []).append(each)
    return found


def _how_often(
    traced: Recording,
    own: Mapping[str, Sequence[Visit]],
    seen: Mapping[CallKey, Sequence[Crossing]],
    quiet: Background,
) -> dict[CallKey, float]:
    """By call: how often the mix makes it, as a multiple of what the visits let expect.

    A cache that visits of rare keys miss, and the mix hits, shows here, and work done in batches.
    """
    segment = segment_of(traced, "traced")
    if segment is None:
        return {}
    duration_s = max(segment.ended_s - segment.started_s, 1e-9)
    requests = len(responses(traced.requests(segment.index)))
    weights = mix_of(traced.setup.workload)
    total = sum(weights.values())
    expected: dict[CallKey, float] = {}
    for name, visits in own.items():
        for key, count in _counts(visits).items():
            share = weights.get(name, 0.0) / total * requests
            expected[key] = expected.get(key, 0.0) + share * count / len(visits)
    found = {}
    for key, calls in expected.items():
        made = max(0.0, len(seen.get(key, ())) - quiet.expected(key, duration_s))
        ratio = made / calls if calls > 0 else 1.0
        # Of few requests it cannot be told that the mix differs from the visits.
        alike = SAME[0] <= ratio <= SAME[1] or calls < 3
        found[key] = 1.0 if alike else ratio
    return found


def _counts(visits: Sequence[Visit]) -> Counter[CallKey]:
    return Counter(each.key for visit in visits for each in (*visit.crossings, *visit.after))


def _path(
    name: str,
    visits: Sequence[Visit],
    often: Mapping[CallKey, float],
    seen: Mapping[CallKey, Sequence[Crossing]],
) -> Path:
    """One operation's, by those of its visits that made the calls that most of them made."""
    manners = Counter(tuple(c.key for c in visit.crossings) for visit in visits)
    usual, _ = manners.most_common(1)[0]
    alike = [visit for visit in visits if tuple(c.key for c in visit.crossings) == usual]
    exchanges: list[Exchange] = []
    for place, key in enumerate(usual):
        calls = [visit.crossings[place] for visit in alike]
        reached = [_reached(visit, place) for visit in alike]
        waited = [
            max(0.0, c.ended_s - max(c.began_s, r)) for c, r in zip(calls, reached, strict=True)
        ]
        of_mix = seen.get(key, ())
        alone = mean(c.duration_s for c in calls)
        times = times_of([c.duration_s for c in of_mix] if len(of_mix) >= ENOUGH else waited)
        # Of calls that are under way together only what the later one adds is waited for.
        overlap = min(1.0, mean(waited) / alone) if alone > 0 else 1.0
        exchanges.append(
            _exchange(
                calls[0],
                _scaled(times, overlap) if len(of_mix) >= ENOUGH else times,
                calls=often.get(key, 1.0),
                holds=_keeps(alike, place),
                gap_s=median(max(0.0, c.began_s - r) for c, r in zip(calls, reached, strict=True)),
            )
        )
    for key, count in Counter(c.key for visit in visits for c in visit.after).items():
        calls = [c for visit in visits for c in visit.after if c.key == key]
        times = times_of([c.duration_s for c in (seen.get(key) or calls)])
        made = count / len(visits) * often.get(key, 1.0)
        exchanges.append(_exchange(calls[0], times, calls=made, after=True))
    return Path(
        operation=name,
        exchanges=tuple(exchanges),
        alone_s=median(visit.ended_s - visit.began_s for visit in alike),
        last_gap_s=median(max(0.0, visit.ended_s - _reached(visit, len(usual))) for visit in alike),
    )


def _reached(visit: Visit, place: int) -> float:
    """When the last of the calls before that place was over."""
    ended = (min(c.ended_s, visit.ended_s) for c in visit.crossings[:place])
    return max(ended, default=visit.began_s)


def _keeps(visits: Sequence[Visit], place: int) -> bool:
    """Whether the connection of a call stays taken until the next call to the same dependency: a
    transaction is open, or the next one follows on it at once, as within one lease of a pool."""
    for visit in visits:
        call = visit.crossings[place]
        later = (c for c in visit.crossings[place + 1 :] if c.dependency == call.dependency)
        following = next(later, None)
        if following is None or following.connection != call.connection:
            return False
        if call.transaction == "none" and following.began_s - call.ended_s > AT_ONCE_S:
            return False
    return True


def _exchange(
    call: Crossing,
    time: Times,
    *,
    calls: float,
    gap_s: float = 0.0,
    holds: bool = False,
    after: bool = False,
) -> Exchange:
    return Exchange(
        dependency=call.dependency,
        kind=call.kind,
        shape=call.shape if call.kind == "postgres" else f"{call.verb} {call.shape}".strip(),
        calls=calls,
        time=time,
        gap_s=gap_s,
        holds=holds,
        after=after or call.pushed,
    )


def _scaled(times: Times, by: float) -> Times:
    return Times(
        count=times.count,
        mean_s=times.mean_s * by,
        p99_s=times.p99_s * by,
        quantiles_s=tuple(value * by for value in times.quantiles_s),
    )
