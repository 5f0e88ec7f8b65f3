"""How a running segment stands: the last second's rates and quantiles, cheaply."""

from __future__ import annotations

import math
from collections import deque
from time import process_time

import numpy as np
import numpy.typing as npt

from loadpath.drive.plan import ClosedLoad, OpenLoad, Segment, SegmentProgress
from loadpath.drive.records import Records
from loadpath.recording.schema import Blocked

INTERVAL_S = 0.25
LEEWAY_S = 0.05  # how much later a report may come so as to be in nobody's way
TAKES_S = 0.0003
_WINDOW = round(1 / INTERVAL_S)
_LOOKED_AT = 2000  # rows: 0.1 ms


class ProgressMeter:
    """Keeps where the rows stood at each of the last reports."""

    def __init__(self, segment: Segment, records: Records, started_s: float) -> None:
        self._segment = segment
        self._records = records
        self._started_s = started_s
        self._cpu_s = process_time()
        self._marks: deque[tuple[float, int]] = deque([(started_s, 0)], maxlen=_WINDOW)

    def warm(self, now: float) -> None:
        """Report to nobody: the first report takes a millisecond of page faults and set-up, which
        must not be taken while load runs."""
        self.report(now, 0, 0, 0)
        self._marks = deque([(now, 0)], maxlen=_WINDOW)

    @property
    def reported_s(self) -> float:
        """When the last report was, or the start."""
        return self._marks[-1][0]

    def cpu_s(self) -> float:
        """CPU seconds of this process since the segment began."""
        return process_time() - self._cpu_s

    def report(self, now: float, arrivals: int, in_flight: int, waiting: int) -> SegmentProgress:
        """How things stand at `now`."""
        rows = self._records.rows
        count = len(rows)
        since_s, since = self._marks[0]
        recent = rows.since(max(since, count - _LOOKED_AT))
        self._marks.append((now, count))
        # What never happened is nan, and so is what is made of it: nan sorts last.
        response = np.sort((recent["done_s"] - recent["origin_s"])[recent["last"]])
        response = response[: np.searchsorted(response, np.nan)]
        first = (recent["step"] == 0) & (recent["blocked"] != Blocked.POOL)
        slip = np.sort((recent["sent_s"] - recent["intended_s"])[first])
        slip = slip[: np.searchsorted(slip, np.nan)]
        share = len(response) / max(len(recent), 1)
        failures = self._records.failures
        elapsed_s = now - self._started_s
        return SegmentProgress(
            index=self._segment.index,
            at_s=now,
            elapsed_s=elapsed_s,
            target_rate_per_s=target_rate(self._segment, elapsed_s),
            arrivals=arrivals,
            sent=count - self._records.never_sent + in_flight,
            done=count - self._records.without_reply,
            errors=failures.count,
            in_flight=in_flight,
            waiting=waiting,
            done_rate_per_s=share * (count - since) / max(now - since_s, 1e-3),
            response_time_p50_s=_quantile(response, 0.5),
            response_time_p99_s=_quantile(response, 0.99),
            slip_p99_s=_quantile(slip, 0.99),
            engine_cpu_s=self.cpu_s(),
        )


def target_rate(segment: Segment, elapsed_s: float) -> float | None:
    """The rate that the segment's open loads ask for now; None for a closed load."""
    if isinstance(segment.load, ClosedLoad):
        return None
    loads: list[OpenLoad] = [segment.load]
    if segment.background is not None:
        loads.append(segment.background)
    return sum(load.rate_at(elapsed_s, segment.duration_s) for load in loads)


def _quantile(ordered: npt.NDArray[np.float64], quantile: float) -> float | None:
    """The smallest value that at least that share of the (sorted) values does not exceed."""
    if len(ordered) == 0:
        return None
    return float(ordered[max(math.ceil(quantile * len(ordered)) - 1, 0)])
