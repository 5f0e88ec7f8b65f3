"""What users saw around a fault: good replies, late ones, failed ones, those that hung. Pure.

A request is *good* when it was answered without an error and within the limit of its operation's
objective; it counts where it was due, not where it ended. Times of onset, failure and recovery are
those of single requests, so they are as fine as requests are dense, and never rounded to a bin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from loadpath.experiment.assess import Responses, responses
from loadpath.experiment.knee import loosest_limit_s
from loadpath.recording.schema import RequestError
from loadpath.spec import Workload

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BIN_S = 0.01
"""A killed PostgreSQL is back within half a second: what is coarser than this sees nothing."""

HUNG = 20.0
"""A request that takes so many times its limit has hung."""

SETTLED_S = 0.5
"""It must be well for so long to have recovered."""

ALPHA = 1e-6
"""How unlikely, under the control's own share of bad requests, a stretch must be to be called ill:
there is one around every bad request."""


class Requests(msgspec.Struct, frozen=True):
    """One entry a request (a whole operation), in the order they were due.

    `good`, `failed` (answered by an error, or not at all) and `hung` exclude nothing: a request may
    be neither good nor failed, when it came late.
    """

    operation: npt.NDArray[np.int64]
    due_s: Floats
    response_s: Floats
    good: Bools
    failed: Bools
    hung: Bools

    def __len__(self) -> int:
        return len(self.due_s)

    def where(self, chosen: Bools) -> Requests:
        """Those for which `chosen` is true."""
        return Requests(
            self.operation[chosen],
            self.due_s[chosen],
            self.response_s[chosen],
            self.good[chosen],
            self.failed[chosen],
            self.hung[chosen],
        )

    def between(self, from_s: float, to_s: float) -> Requests:
        """Those due in [from_s, to_s)."""
        return self.where((self.due_s >= from_s) & (self.due_s < to_s))

    def of(self, operation: int) -> Requests:
        """Those of one operation."""
        return self.where(self.operation == operation)

    @property
    def bad_ratio(self) -> float:
        """The share that was not good; nan of none."""
        return float(1 - self.good.mean()) if len(self) else math.nan


def requests_seen(
    rows: Mapping[str, npt.NDArray[np.generic]], workload: Workload, until_s: float
) -> Requests:
    """The requests of a segment; one that had no end when it was over counts as lasting till then.

    `until_s`: when the engine stopped waiting.
    """
    found: Responses = responses(rows)
    # A request that was refused at once has no end either, and nobody waited for it.
    waited = np.isin(rows["error"], (RequestError.TIMEOUT, RequestError.UNFINISHED))
    in_vain = responses({**rows, "error": np.where(waited, rows["error"], 0)}).failed
    limits = limits_of(workload)[found.operation]
    lasted = np.where(np.isinf(found.response_s), until_s - found.intended_s, found.response_s)
    return Requests(
        operation=found.operation,
        due_s=found.intended_s,
        response_s=lasted,
        good=~found.failed & (found.response_s <= limits),
        failed=found.failed,
        hung=(lasted > HUNG * limits) & (np.isfinite(found.response_s) | in_vain),
    )


def limits_of(workload: Workload) -> Floats:
    """The response time each operation may take, in seconds: the loosest limit of its objective."""
    return np.array(
        [
            max(
                (each.limit_s for each in workload.objective_of(operation).quantiles),
                default=loosest_limit_s(workload),
            )
            for operation in workload.operations
        ]
    )


class Timeline(msgspec.Struct, frozen=True):
    """Counts a bin of `bin_s`: requests due, good ones, failed ones. `at_s`: the bins' starts."""

    bin_s: float
    at_s: Floats
    due: npt.NDArray[np.int64]
    good: npt.NDArray[np.int64]
    failed: npt.NDArray[np.int64]


def timeline(seen: Requests, from_s: float, to_s: float, bin_s: float = BIN_S) -> Timeline:
    """Requests by when they were due, from `from_s` to `to_s`."""
    bins = max(1, math.ceil((to_s - from_s) / bin_s - 1e-9))
    edges: Floats = np.linspace(from_s, from_s + bins * bin_s, bins + 1)
    each = [
        np.histogram(seen.due_s[chosen], edges)[0].astype(np.int64)
        for chosen in (np.ones(len(seen), np.bool_), seen.good, seen.failed)
    ]
    return Timeline(bin_s, edges[:-1], *each)


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How a fault from `onset_s` to `healed_s` went.

    `shown_s`: how long after the onset the first request fared ill that then had company; None:
    none did. `recovered_s`: how long after the heal requests were well again for good; 0 when they
    were at the heal, None when they were not before the end. `bad_ratio` over the fault.
    """

    onset_s: float
    healed_s: float
    shown_s: float | None
    recovered_s: float | None
    bad_ratio: float
    failed: int
    late: int
    hung: int


def course(
    seen: Requests, control_bad_ratio: float, onset_s: float, healed_s: float, end_s: float
) -> Course:
    """The course of a fault, of all requests or those of one operation.

    `control_bad_ratio`: the share of bad requests without the fault. A stretch of `SETTLED_S` is
    ill when so many bad ones in it would be a chance of less than `ALPHA`.
    """
    during = seen.between(onset_s, healed_s)
    after = seen.between(onset_s, end_s)
    bad_s = after.due_s[~after.good]
    ill = _in_company(after.due_s, bad_s, control_bad_ratio)
    first = bad_s[ill][0] if ill.any() else None
    late = bad_s[ill & (bad_s >= healed_s)]
    recovered: float | None = 0.0
    if len(late):
        last = float(late[-1])
        # Nothing due after it, or not long enough to tell: then it is not known to be well.
        well = after.due_s[after.due_s > last]
        settled = len(well) > 0 and end_s - last >= SETTLED_S
        recovered = float(well[0]) - healed_s if settled else None
    return Course(
        onset_s=onset_s,
        healed_s=healed_s,
        shown_s=None if first is None else float(first) - onset_s,
        recovered_s=recovered,
        bad_ratio=during.bad_ratio,
        failed=int(after.failed.sum()),
        late=int((~after.good & ~after.failed).sum()),
        hung=int(after.hung.sum()),
    )


def _in_company(due_s: Floats, bad_s: Floats, ratio: float) -> Bools:
    """Which of the bad requests lie in a stretch with more of them than chance would put there."""
    half = SETTLED_S / 2
    near = np.searchsorted(due_s, bad_s + half) - np.searchsorted(due_s, bad_s - half)
    ill = np.searchsorted(bad_s, bad_s + half) - np.searchsorted(bad_s, bad_s - half)
    # At least so often one is bad by chance: a control of few requests proves no more.
    expected = max(ratio, 0.001)
    return np.asarray(bdtrc(ill - 1, near, expected) < ALPHA)


def failing(
    seen: Requests, control: Requests, onset_s: float, healed_s: float, operations: Sequence[int]
) -> list[int]:
    """The operations that fared worse during the fault than without it: its blast radius."""
    found = []
    for operation in operations:
        during = seen.of(operation).between(onset_s, healed_s)
        usual = control.of(operation).bad_ratio
        bad = int((~during.good).sum())
        expected = max(0.001, 0.0 if math.isnan(usual) else usual)
        if bad and bdtrc(bad - 1, len(during), expected) < ALPHA:
            found.append(operation)
    return found


def goodput_ratio(seen: Requests, control_bad_ratio: float, from_s: float, to_s: float) -> float:
    """Good requests a second in that stretch, as a share of what the control would have given.

    Both have the same load, so it is a ratio of shares; nan when nothing was due.
    """
    return (1 - seen.between(from_s, to_s).bad_ratio) / max(1 - control_bad_ratio, 1e-9)
