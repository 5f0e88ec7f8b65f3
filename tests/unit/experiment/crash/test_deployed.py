"""When a control run explains what a fault would be blamed for."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.experiment.crash.deployed import is_unclean
from loadpath.experiment.crash.seen import Requests
from loadpath.recording import SegmentRecord

SEGMENT = SegmentRecord(
    index=1,
    purpose="control",
    load={},
    duration_s=4.0,
    weights={},
    started_s=0.0,
    ended_s=4.0,
    drained_s=4.0,
    arrivals=0,
)


def control(requests: int, failed: int, late: int = 0) -> tuple[SegmentRecord, Requests]:
    number = np.arange(requests)
    return SEGMENT, Requests(
        operation=np.zeros(requests, np.int64),
        due_s=number / 100,
        response_s=np.full(requests, 0.01),
        good=number >= failed + late,
        failed=number < failed,
        hung=np.zeros(requests, np.bool_),
    )


@pytest.mark.parametrize(
    ("requests", "failed", "late", "unclean"),
    [
        (1000, 0, 0, False),
        (60, 1, 0, False),  # one of sixty proves no more than 1 %
        (60, 5, 0, True),
        (1000, 12, 0, False),
        (1000, 40, 0, True),
        (100, 0, 20, False),
        (100, 0, 21, True),
        (0, 0, 0, True),
    ],
)
def test_a_few_errors_in_few_requests_are_chance_and_many_are_not(
    requests: int, failed: int, late: int, unclean: bool
) -> None:
    assert is_unclean(control(requests, failed, late)) is unclean


def test_without_one_there_is_nothing_to_compare_with() -> None:
    assert is_unclean(None)
