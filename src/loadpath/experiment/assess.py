"""Was the objective met? Judged from the rows of one stretch of load, by pure functions.

The mix is judged as its users see it: every operation against its own limit, all operations
together. A request's *stretch* is its response time divided by the limit its operation has; the mix
meets `p99` when at least 99 % of requests have a stretch of at most 1. So a dear operation with
few requests counts by its share, and no average hides it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.answer import Interval
from loadpath.recording.schema import RequestError
from loadpath.spec import Objective
from loadpath.stats.intervals import correlated_ratio_interval, response_quantile_interval
from loadpath.stats.quantiles import quantile as sample_quantile

Columns = Mapping[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float64]


class Responses(msgspec.Struct, frozen=True):
    """One entry a flow (a whole operation), in the order of its intended start.

    `operation` is the index of the operation, `intended_s` when it should have started,
    `response_s` from then to the end of its last step (infinite when it never ended), `failed`
    whether any step ended in an error (of one that was sent again, the last time).
    """

    operation: npt.NDArray[np.int64]
    intended_s: Floats
    response_s: Floats
    failed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.intended_s)

    def between(self, from_s: float, to_s: float) -> Responses:
        """Those whose intended start lies in [from_s, to_s)."""
        return self.where((self.intended_s >= from_s) & (self.intended_s < to_s))

    def followed_by(self, more: Responses) -> Responses:
        """These and then `more`."""
        return Responses(
            np.concatenate((self.operation, more.operation)),
            np.concatenate((self.intended_s, more.intended_s)),
            np.concatenate((self.response_s, more.response_s)),
            np.concatenate((self.failed, more.failed)),
        )

    def of(self, operation: int) -> Responses:
        """Those of one operation."""
        return self.where(self.operation == operation)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Responses:
        """Those for which `chosen` is true."""
        return Responses(
            self.operation[chosen],
            self.intended_s[chosen],
            self.response_s[chosen],
            self.failed[chosen],
        )


class LimitVerdict(msgspec.Struct, frozen=True):
    """One quantile limit: `slower` is the share of requests over their limit, with its interval.

    `response` is the quantile of the response time itself in seconds, all operations pooled;
    `stretch` that of the response times divided by their own operations' limits.
    """

    quantile: float
    limit_s: float
    response: Interval
    slower: Interval
    met: bool | None
    stretch: float = math.nan


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of load says of an objective. `met` None: too few requests to tell."""

    requests: int
    offered_per_s: float
    done_per_s: float
    response_mean_s: float
    errors: Interval
    errors_met: bool | None
    limits: tuple[LimitVerdict, ...]
    met: bool | None


def responses(rows: Columns) -> Responses:
    """Fold the rows of requests into whole operations: the steps of a flow become one entry."""
    flow = np.asarray(rows["flow"])
    if len(flow) == 0:
        none = np.empty(0)
        return Responses(none.astype(np.int64), none, none, none.astype(np.bool_))
    order = np.lexsort((np.asarray(rows["step"]), flow))
    flow = flow[order]
    first = np.flatnonzero(np.r_[True, flow[1:] != flow[:-1]])
    last = np.r_[first[1:], len(flow)] - 1
    intended = np.asarray(rows["intended_s"], dtype=np.float64)[order][first]
    done = np.asarray(rows["done_s"], dtype=np.float64)[order][last]
    error = np.asarray(rows["error"], dtype=np.uint8)[order]
    # A step that was sent again has not failed yet: the next one tells.
    failed = np.logical_or.reduceat((error > 0) & (error != RequestError.RETRIED), first)
    response = np.where(np.isnan(done), np.inf, done - intended)
    operation = np.asarray(rows["operation"])[order][first].astype(np.int64)
    by_start = np.argsort(intended, kind="stable")
    return Responses(operation[by_start], intended[by_start], response[by_start], failed[by_start])


def assess(
    observed: Responses,
    objectives: Sequence[Objective],
    *,
    duration_s: float,
    confidence: float = 0.95,
) -> Assessment:
    """Judge `observed` (one stretch, `duration_s` long) by each operation's own objective.

    `objectives[i]` belongs to operation i. The errors of all operations together are judged by the
    strictest `errors_ratio` among the operations that were driven.
    """
    count = len(observed)
    driven = [int(i) for i in np.unique(observed.operation)]
    finished = observed.response_s[np.isfinite(observed.response_s)]
    limits = tuple(
        _judge_limit(observed, objectives, driven, quantile, confidence)
        for quantile in sorted({q.quantile for i in driven for q in objectives[i].quantiles})
    )
    errors = correlated_ratio_interval(observed.failed, confidence)
    allowed = min((objectives[i].errors_ratio for i in driven), default=0.0)
    errors_met = _within(errors, allowed)
    verdicts = [errors_met, *(limit.met for limit in limits)]
    met = False if False in verdicts else None if None in verdicts or not count else True
    return Assessment(
        requests=count,
        offered_per_s=count / duration_s,
        done_per_s=float((~observed.failed & np.isfinite(observed.response_s)).sum()) / duration_s,
        response_mean_s=float(finished.mean()) if len(finished) else float("nan"),
        errors=errors,
        errors_met=errors_met,
        limits=limits,
        met=met,
    )


def _judge_limit(
    observed: Responses,
    objectives: Sequence[Objective],
    driven: Sequence[int],
    quantile: float,
    confidence: float,
) -> LimitVerdict:
    limit_of = np.full(max(driven) + 1, np.inf)
    for i in driven:
        for limit in objectives[i].quantiles:
            if limit.quantile == quantile:
                limit_of[i] = limit.limit_s
    subject = observed.where(np.isfinite(limit_of[observed.operation]))
    over = subject.response_s > limit_of[subject.operation]
    slower = correlated_ratio_interval(over, confidence)
    return LimitVerdict(
        quantile=quantile,
        limit_s=float(limit_of[np.isfinite(limit_of)].min()),
        response=response_quantile_interval(subject.response_s, quantile, confidence),
        slower=slower,
        met=_within(slower, 1 - quantile),
        stretch=sample_quantile(subject.response_s / limit_of[subject.operation], quantile),
    )


def _within(share: Interval, allowed: float) -> bool | None:
    """Whether a share stays within what is allowed; None while its interval holds both.

    With nothing seen at all of what is forbidden the sample can only be too small, not guilty, so
    the verdict is met: an objective of 0.1 % errors would otherwise take 4,000 requests to state.
    """
    if share.samples == 0:
        return None
    if share.high <= allowed or share.value == 0:
        return True
    if share.low > allowed:
        return False
    return None
