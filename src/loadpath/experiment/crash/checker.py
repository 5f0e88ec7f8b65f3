"""What became of every write: lost, recovered, unexpected, duplicated, stale, out of order. Pure.

An accusation needs proof. What could not be told is counted as unknown and never as harm; a history
in which nothing is proven and something is unknown has the verdict *unknown*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from loadpath.experiment.crash.history import History, Read, Write

State: TypeAlias = Literal["held", "broken", "unknown"]


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """One logical request.

    `acknowledged`: an attempt was ok. `refused`: every attempt was refused. `effects`: how often it
    is there in the end; None: it could not be told. `known_s`: from when it was known to be there.
    """

    token: str
    kind: str
    acknowledged: bool
    refused: bool
    attempts: int
    effects: int | None
    known_s: float

    @property
    def lost(self) -> bool:
        """Success was returned, and it is not there."""
        return self.acknowledged and self.effects == 0

    @property
    def recovered(self) -> bool:
        """No answer told that it was done, and it is there."""
        return not self.acknowledged and not self.refused and bool(self.effects)

    @property
    def duplicates(self) -> int:
        """Effects more than the one that was asked for."""
        return max(0, (self.effects or 0) - 1)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by what became of them. `stale` are reads; `unknown` were acknowledged, and whether
    they are there could not be told. `disordered` are pairs that stand the wrong way round."""

    requests: int
    acknowledged: int
    lost: tuple[str, ...]
    recovered: tuple[str, ...]
    unexpected: tuple[str, ...]
    duplicated: dict[str, int]
    stale: tuple[Read, ...]
    disordered: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]

    @property
    def duplicates(self) -> int:
        """Effects too many, over all requests."""
        return sum(self.duplicated.values())

    @property
    def state(self) -> State:
        """`broken` needs proof of one; `held` that nothing which was promised is unknown."""
        harm = self.lost or self.unexpected or self.duplicated or self.stale or self.disordered
        if harm:
            return "broken"
        return "unknown" if self.unknown else "held"


def check(history: History) -> Checked:
    """What became of every write of `history`.

    *Lost*: ok and absent. *Recovered*: never ok nor always refused, and present. *Unexpected*:
    present though nobody tried it, or though every attempt was refused. *Stale*: a read that began
    after the effect was known to be there, did not see it, and it is there in the end.
    """
    fates = {fate.token: fate for fate in _fates(history)}
    kept = [fate for fate in fates.values() if fate.token not in history.removed]
    unexpected = [fate.token for fate in kept if fate.refused and fate.effects]
    if history.found.whole:
        unexpected += [
            token for token, seen in history.found.effects.items() if seen and token not in fates
        ]
    return Checked(
        requests=len(fates),
        acknowledged=sum(fate.acknowledged for fate in fates.values()),
        lost=tuple(fate.token for fate in kept if fate.lost),
        recovered=tuple(fate.token for fate in kept if fate.recovered),
        unexpected=tuple(unexpected),
        duplicated={fate.token: fate.duplicates for fate in kept if fate.duplicates},
        stale=tuple(_stale(history, {fate.token: fate for fate in kept})),
        disordered=tuple(_disordered(history)),
        unknown=tuple(fate.token for fate in kept if fate.acknowledged and fate.effects is None),
    )


def _fates(history: History) -> Iterable[Fate]:
    attempts: dict[str, list[Write]] = {}
    for write in history.writes:
        attempts.setdefault(write.token, []).append(write)
    seen_s: dict[str, float] = {}
    for read in history.reads:
        if read.seen:
            seen_s[read.token] = min(seen_s.get(read.token, math.inf), read.ended_s)
    for token, writes in attempts.items():
        ok_s = min((w.ended_s for w in writes if w.outcome == "ok"), default=math.inf)
        yield Fate(
            token=token,
            kind=writes[0].kind,
            acknowledged=ok_s < math.inf,
            refused=all(w.outcome == "fail" for w in writes),
            attempts=len(writes),
            effects=history.found.effects.get(token),
            known_s=min(ok_s, seen_s.get(token, math.inf)),
        )


def _stale(history: History, fates: dict[str, Fate]) -> Iterable[Read]:
    for read in history.reads:
        fate = fates.get(read.token)
        if fate is not None and read.seen == 0 and fate.effects and read.started_s > fate.known_s:
            yield read


def _disordered(history: History) -> Iterable[tuple[str, str]]:
    """Neighbours under one key that stand the other way round than they were acknowledged.

    Only requests that were tried once and did not overlap have an order: the one was answered
    before the other began.
    """
    attempts: dict[str, list[Write]] = {}
    for write in history.writes:
        attempts.setdefault(write.token, []).append(write)
    once = {token: writes[0] for token, writes in attempts.items() if len(writes) == 1}
    for tokens in history.found.order.values():
        listed = [once[t] for t in tokens if t in once and once[t].outcome == "ok"]
        # What stands before is out of order when the latest-begun of it began after this one ended.
        latest: Write | None = None
        for write in listed:
            if latest is not None and latest.started_s > write.ended_s:
                yield (latest.token, write.token)
            if latest is None or write.started_s > latest.started_s:
                latest = write
