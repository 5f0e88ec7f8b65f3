"""The load path of one operation, folded from its visits."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median

import msgspec

from loadpath.experiment.attribution.crossings import (
    Background,
    CallKey,
    Crossing,
    Visit,
    covered_s,
)
from loadpath.experiment.attribution.suspects.failing import failing
from loadpath.experiment.attribution.suspects.nplusone import n_plus_one
from loadpath.experiment.attribution.suspects.repeated import repeated
from loadpath.experiment.attribution.suspects.transactions import transaction_across_call
from loadpath.experiment.attribution.suspicion import Suspicion

SUSPECTS = (repeated, transaction_across_call, failing)
"""Every kind of suspicion that follows from visits that ask the same; N+1 gains by others."""

_OWN_CALLS_MIN = 0.5
"""Calls a request, less the background's, below which a call is the background's own."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation asks of a dependency in one way, as means per request.

    `calls` per request are exact counts where they are whole. `time_s` is all of them together,
    `rows` None where the protocol has none. `after_reply` calls began when the reply was over;
    `pushed` ones are messages that the dependency sent unasked.
    """

    dependency: str
    kind: str
    verb: str
    shape: str
    calls: float
    time_s: float
    rows: float | None
    after_reply: bool
    pushed: bool = False


class DependencyUse(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation uses one dependency, as medians over its visits.

    `calls` per request within the reply; `time_s` during which at least one was under way;
    `first_use_s` from the request's first byte to the first call's; `held_s` during which one of
    its connections was not free for others: a call was under way or a transaction open.
    """

    dependency: str
    calls: float
    time_s: float
    first_use_s: float
    held_s: float


class LoadPath(msgspec.Struct, frozen=True, kw_only=True):
    """How one request of an operation takes through the service to what it rests on.

    `inside_s` is the part of the response time in which no call was under way. `calls` come in the
    order in which the first request made them, those after the reply last.
    """

    operation: str
    visits: int
    response_time_s: float
    inside_s: float
    calls: tuple[Call, ...]
    uses: tuple[DependencyUse, ...]
    suspicions: tuple[Suspicion, ...]


def load_path(
    operation: str, visits: Sequence[Visit], idle: Background, smaller: Sequence[Visit] = ()
) -> LoadPath:
    """Fold the visits of an operation, with what belongs to each, into its load path.

    `smaller` are visits that asked for fewer rows: they say what grows with the rows, and nothing
    else. Raises `ValueError` without visits.
    """
    if not visits:
        raise ValueError(f"{operation}: no visits")
    own = without_background(visits, idle)
    fewer = without_background(smaller, idle)
    return LoadPath(
        operation=operation,
        visits=len(own),
        response_time_s=median(v.ended_s - v.began_s for v in own),
        inside_s=median(
            v.ended_s - v.began_s - covered_s(v.crossings, v.began_s, v.ended_s) for v in own
        ),
        calls=(*_calls(own, after_reply=False), *_calls(own, after_reply=True)),
        uses=_uses(own),
        suspicions=(
            *n_plus_one([*own, *fewer]),
            *(found for suspect in SUSPECTS for found in suspect(own)),
        ),
    )


def without_background(visits: Sequence[Visit], idle: Background) -> list[Visit]:
    """The visits without calls that the idle service makes as often."""

    def own(crossings: tuple[Crossing, ...], foreign: set[CallKey]) -> tuple[Crossing, ...]:
        return tuple(each for each in crossings if each.key not in foreign)

    within = _foreign(visits, idle, after_reply=False)
    behind = _foreign(visits, idle, after_reply=True)
    return [
        msgspec.structs.replace(
            visit, crossings=own(visit.crossings, within), after=own(visit.after, behind)
        )
        for visit in visits
    ]


def _foreign(visits: Sequence[Visit], idle: Background, *, after_reply: bool) -> set[CallKey]:
    """Calls of the background: seen no oftener than the idle service alone explains."""
    window_s = sum(
        (v.until_s - v.ended_s if after_reply else v.ended_s - v.began_s) for v in visits
    )
    counts: dict[CallKey, int] = {}
    for visit in visits:
        for each in visit.after if after_reply else visit.crossings:
            counts[each.key] = counts.get(each.key, 0) + 1
    return {
        key
        for key, count in counts.items()
        if key in idle.rates_per_s
        and (count - idle.expected(key, window_s)) / len(visits) < _OWN_CALLS_MIN
    }


def _calls(visits: Sequence[Visit], *, after_reply: bool) -> list[Call]:
    by_key: dict[CallKey, list[Crossing]] = {}
    for visit in visits:
        for each in visit.after if after_reply else visit.crossings:
            by_key.setdefault(each.key, []).append(each)
    return [
        Call(
            dependency=dependency,
            kind=crossings[0].kind,
            verb=verb,
            shape=shape,
            calls=len(crossings) / len(visits),
            time_s=sum(c.duration_s for c in crossings) / len(visits),
            rows=_rows(crossings, len(visits)),
            after_reply=after_reply,
            pushed=crossings[0].pushed,
        )
        for (dependency, verb, shape), crossings in by_key.items()
    ]


def _rows(crossings: Sequence[Crossing], visits: int) -> float | None:
    known = [each.rows for each in crossings if each.rows is not None]
    return sum(known) / visits if known else None


def _uses(visits: Sequence[Visit]) -> tuple[DependencyUse, ...]:
    names = dict.fromkeys(each.dependency for visit in visits for each in visit.crossings)
    uses = []
    for name in names:
        of_name = [
            (visit, [c for c in visit.crossings if c.dependency == name and not c.pushed])
            for visit in visits
        ]
        used = [(visit, crossings) for visit, crossings in of_name if crossings]
        if not used:
            continue
        uses.append(
            DependencyUse(
                dependency=name,
                calls=mean(len(crossings) for _, crossings in of_name),
                time_s=median(covered_s(c, v.began_s, v.ended_s) for v, c in of_name),
                first_use_s=median(c[0].began_s - v.began_s for v, c in used),
                held_s=median(held_s(c) for _, c in of_name),
            )
        )
    return tuple(uses)


def held_s(crossings: Sequence[Crossing]) -> float:
    """Seconds of connections that were not free: calls under way, and transactions open between.

    Two connections held at once count twice.
    """
    total = 0.0
    by_connection: dict[int, list[Crossing]] = {}
    for each in crossings:
        by_connection.setdefault(each.connection, []).append(each)
    for mine in by_connection.values():
        reached = mine[0].began_s
        open_since_last = False
        for each in mine:
            begin = reached if open_since_last else max(each.began_s, reached)
            total += max(0.0, each.ended_s - begin)
            reached = max(reached, each.ended_s)
            open_since_last = each.transaction != "none"
    return total
