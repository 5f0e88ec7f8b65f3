"""Leaks: the same key answered differently to two identities, which is not a change over time."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.caching.staleness import failed
from loadpath.caching.stream import UNKNOWN, Flags, Floats, Ids, Stream

KEPT = 20
"""Leaking keys that are named, at most."""


class Leak(msgspec.Struct, frozen=True):
    """One key that answers by who asks, with four requests as witnesses (indices into the stream).

    In time: two identities in turn, one at `ours` (a pair), the other at `theirs`. Each got the
    same answer twice, and not the other's.
    """

    key: int
    ours: tuple[int, int]
    theirs: tuple[int, int]


class Leaks(msgspec.Struct, frozen=True):
    """What a stream says about answers that depend on who asks.

    `found`: keys that leak, at most `KEPT` · `leaking_keys` of `judged_keys`, those that two
    identities asked in turn, twice each · `crossed`, `crossed_differing`: consecutive requests of a
    key by two identities, and those answered differently · `own`, `own_changed`: consecutive
    requests of a key by one identity, and those answered differently.
    """

    found: tuple[Leak, ...]
    leaking_keys: int
    judged_keys: int
    crossed: int
    crossed_differing: int
    own: int
    own_changed: int

    @property
    def verdict(self) -> str:
        """`leaks`, `none seen`, `volatile` (changes at most reads) or `not asked by two`.

        Nothing can be said of an answer that changes all the time, nor does it matter: a cache of
        it is stale.
        """
        if self.leaking_keys:
            return "leaks"
        if self.own and self.own_changed / self.own > 0.5:
            return "volatile"
        return "none seen" if self.judged_keys else "not asked by two"


def find_leaks(stream: Stream) -> Leaks:
    """Keys whose answer depends on who asks, told from answers that change over time.

    The witness of a leak are four requests of one key, A B A B, where A gets the same answer twice,
    B another one twice: two identities disagree at one time, and neither's answer changed. A
    counter changes for A as well. What flips to and fro can look so by chance; then identities do
    not differ from each other more often than each from itself, and a key counts as leaking only if
    its consecutive requests differ at least twice as often across identities as within one.

    Failures and requests without identity or digest are left out.
    """
    usable = (stream.identity != UNKNOWN) & (stream.digest != UNKNOWN) & ~failed(stream)
    where = np.flatnonzero(usable)
    where = where[np.argsort(stream.key[where], kind="stable")]
    key, who, said = stream.key[where], stream.identity[where], stream.digest[where]
    neighbors = key[1:] == key[:-1]
    crosses = neighbors & (who[1:] != who[:-1])
    disagrees = crosses & (said[1:] != said[:-1])
    following = _next_own(key, who)
    has_next = following >= 0
    changed = has_next & (said != said[following])
    fours, is_witness = _in_turn(said, following)
    names, place = np.unique(key, return_inverse=True)
    across = _share(place[:-1], crosses, disagrees, len(names))
    within = _share(place, has_next, changed, len(names))
    leaks = is_witness & (across >= 2 * within)[place[fours[:, 0]]]
    _, firsts = np.unique(key[fours[leaks, 0]], return_index=True)
    found = where[fours[leaks][firsts]]
    return Leaks(
        tuple(
            Leak(int(stream.key[a]), (int(a), int(c)), (int(b), int(d)))
            for a, b, c, d in found[:KEPT]
        ),
        len(found),
        len(np.unique(key[fours[:, 0]])),
        int(crosses.sum()),
        int(disagrees.sum()),
        int(has_next.sum()),
        int(changed.sum()),
    )


def _next_own(key: Ids, who: npt.NDArray[np.int32]) -> Ids:
    """The next request of the same key by the same identity, -1 for none."""
    found = np.full(len(key), -1, dtype=np.int64)
    order = np.lexsort((np.arange(len(key)), who, key))
    same = (key[order][1:] == key[order][:-1]) & (who[order][1:] == who[order][:-1])
    found[order[:-1][same]] = order[1:][same]
    return found


def _in_turn(said: Ids, following: Ids) -> tuple[Ids, Flags]:
    """Requests A B A B of one key, as rows of four, and which of them are witnesses of a leak.

    B is what directly precedes A's second, so that rows are at most as many as requests.
    """
    a = np.flatnonzero(following > np.arange(len(said)) + 1)
    c = following[a]
    b = c - 1  # not A's, or A's second would be there; of the same key, as it lies between
    d = following[b]
    fours = np.stack([a, b, c, d], axis=1)[d >= 0]
    a, b, c, d = fours.T
    return fours, (said[a] == said[c]) & (said[b] == said[d]) & (said[a] != said[b])


def _share(place: Ids, of: Flags, chosen: Flags, keys: int) -> Floats:
    """Per key, the share of `of` that is `chosen`; 0 where there are none."""
    total = np.bincount(place[of], minlength=keys)
    return np.bincount(place[chosen], minlength=keys) / np.maximum(total, 1)
