"""Requests without an answer over time: how many at the most, and when they are as few as usual.
Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.experiment.crash.seen import SETTLED_S
from loadpath.model.outage import Usual
from loadpath.recording.schema import RequestError

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[np.generic]]

BLOCK_S = 0.25
"""The most at once is looked for in stretches so long, of which a control has a dozen; and what
gathered is gone when one of them has no more than is usual."""

SCALE_LEAST = 0.5
"""The most at once is a whole number, and varies by one at least."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Requests without an answer. `usual` on average and `usual_most` at once in the control,
    `usual_high` what would be exceptional as long as it was watched; `most` at once since the
    onset, `most_at_s` from the heal (negative: before it), `retries` sent again since then,
    `drained_s` from the heal until there were no more than `usual_high` for `BLOCK_S` (None: not
    before the end): a burst later on is no part of what had gathered. `before` are the most until
    the heal."""

    usual: float
    usual_most: int
    usual_high: int
    most: int
    retries: int
    drained_s: float | None
    most_at_s: float = 0.0
    before: int = 0


def spans(rows: Columns, until_s: float) -> tuple[Floats, Floats]:
    """From when to when each request (a whole operation) had no answer.

    One that failed without a reply ended when it was last sent, as far as is known; one that timed
    out or was not finished, when the engine gave up or `until_s`.
    """
    flow = np.asarray(rows["flow"])
    if not len(flow):
        return np.empty(0), np.empty(0)
    order = np.lexsort((np.asarray(rows["step"]), flow))
    flow = flow[order]
    first = np.flatnonzero(np.r_[True, flow[1:] != flow[:-1]])
    last = np.r_[first[1:], len(flow)] - 1
    due_s = np.asarray(rows["intended_s"], dtype=float)[order]
    sent_s = np.asarray(rows["sent_s"], dtype=float)[order][last]
    done_s = np.asarray(rows["done_s"], dtype=float)[order][last]
    waited = np.isin(
        np.asarray(rows["error"])[order][last], (RequestError.TIMEOUT, RequestError.UNFINISHED)
    )
    at_once_s = np.where(np.isnan(sent_s), due_s[last], sent_s)
    ended_s = np.where(np.isnan(done_s), np.where(waited, until_s, at_once_s), done_s)
    return due_s[first], np.maximum(ended_s, due_s[first])


def waiting(
    from_s: Floats, to_s: Floats, start_s: float, end_s: float
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """How many have no answer, as steps: from each of these times on, so many."""
    alive = (from_s < end_s) & (to_s > start_s) & (to_s > from_s)
    at = np.concatenate((np.maximum(from_s[alive], start_s), to_s[alive]))
    step = np.concatenate((np.ones(alive.sum(), np.int64), -np.ones(alive.sum(), np.int64)))
    # One that is answered as another is due was not there with it.
    order = np.lexsort((step, at))
    return at[order], np.cumsum(step[order])


def usual_waiting(rows: Columns, start_s: float, end_s: float, drained_s: float) -> Usual:
    """How many there are without a fault."""
    from_s, to_s = spans(rows, drained_s)
    inside = np.clip(to_s, start_s, end_s) - np.clip(from_s, start_s, end_s)
    lasted_s = max(end_s - start_s, 1e-9)
    blocks = max(1, round(lasted_s / BLOCK_S))
    most = _most_in_each(*waiting(from_s, to_s, start_s, end_s), start_s, lasted_s, blocks)
    return Usual(
        mean=float(inside.sum()) / lasted_s,
        most=int(most.max()),
        over_s=lasted_s,
        scale=max(SCALE_LEAST, _gumbel_scale(most)),
    )


def _most_in_each(
    at_s: Floats, counts: npt.NDArray[np.int64], start_s: float, lasted_s: float, blocks: int
) -> npt.NDArray[np.int64]:
    """The most at once in each of so many stretches of equal length."""
    edges = start_s + lasted_s / blocks * np.arange(blocks)
    # Whoever is there as one begins counts in it, too.
    before = np.searchsorted(at_s, edges, side="right") - 1
    standing = np.where(before >= 0, counts[before] if len(counts) else 0, 0)
    found = standing.astype(np.int64)
    of = np.clip(np.searchsorted(edges, at_s, side="right") - 1, 0, blocks - 1)
    np.maximum.at(found, of, counts)
    return found


def _gumbel_scale(maxima: npt.NDArray[np.int64]) -> float:
    """By probability-weighted moments (Landwehr, Matalas and Wallis 1979)."""
    count = len(maxima)
    if count < 2:
        return 0.0
    ranked = np.sort(maxima)
    weighted = float((ranked * np.arange(count)).mean()) / (count - 1)
    return (2 * weighted - float(ranked.mean())) / math.log(2)


def waiting_seen(
    rows: Columns,
    usual: Usual,
    *,
    onset_s: float,
    healed_s: float,
    end_s: float,
    drained_s: float,
) -> Waiting:
    """What gathered in a fault, and how long it took to be gone. `end_s`: of the load."""
    from_s, to_s = spans(rows, drained_s)
    at, counts = waiting(from_s, to_s, onset_s, end_s)
    usual_high = usual.exceptional(end_s - onset_s)
    gone_s = _gone_s(at, counts > usual_high, healed_s)
    gone = gone_s - healed_s if gone_s <= end_s - SETTLED_S else None
    again = np.asarray(rows["error"]) == RequestError.RETRIED
    since = np.asarray(rows["intended_s"], dtype=float) >= onset_s - 1.0
    return Waiting(
        usual=usual.mean,
        usual_most=usual.most,
        usual_high=usual_high,
        most=int(counts.max()) if len(counts) else 0,
        retries=int((again & since).sum()),
        drained_s=gone,
        most_at_s=float(at[counts.argmax()]) - healed_s if len(counts) else 0.0,
        before=int(counts[at <= healed_s].max(initial=0)),
    )


def _gone_s(at_s: Floats, above: npt.NDArray[np.bool_], healed_s: float) -> float:
    """From when on, at the heal or later, there are not too many for `BLOCK_S`; `above` tells of
    each step of `waiting` whether there are."""
    gone_s = healed_s
    until_s = np.append(at_s[1:], math.inf)
    for begun_s, ended_s in zip(at_s[above].tolist(), until_s[above].tolist(), strict=True):
        if begun_s >= gone_s + BLOCK_S:
            break
        gone_s = max(gone_s, ended_s)
    return gone_s
