"""How a running segment stands: the last second's rates and quantiles, cheaply."""

from __future__ import annotations

from collections import deque
from time import process_time

import numpy as np
import numpy.typing as npt

from loadpath.drive.plan import ClosedLoad, OpenLoad, Segment, SegmentProgress
from loadpath.drive.records import Records
from loadpath.recording.schema import Blocked

INTERVAL_S = 0.25
_WINDOW = round(1 / INTERVAL_S)
_LOOKED_AT = 4000  # rows; more would take longer than the wait for the next arrival


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
        self._marks.pop()

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
        whole = recent[~np.isnan(recent["done_s"])]
        ended = whole[whole["last"]]
        response = ended["done_s"] - ended["origin_s"]
        prompt = recent[(recent["step"] == 0) & (recent["blocked"] != Blocked.POOL)]
        slip = prompt["sent_s"] - prompt["intended_s"]
        share = len(ended) / max(len(recent), 1)
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
            slip_p99_s=_quantile(slip[~np.isnan(slip)], 0.99),
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


def _quantile(values: npt.NDArray[np.float64], quantile: float) -> float | None:
    """The smallest value that at least that share of the values does not exceed."""
    if len(values) == 0:
        return None
    rank = max(int(np.ceil(quantile * len(values))) - 1, 0)
    return float(np.partition(values, rank)[rank])
