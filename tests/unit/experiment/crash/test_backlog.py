"""Requests without an answer, counted over time from rows whose course is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.crash.backlog import spans, usual_waiting, waiting, waiting_seen
from loadpath.model.outage import Usual
from loadpath.recording.schema import RequestError

NAN = float("nan")
ONE = Usual(mean=0.2, most=1, over_s=4.0, scale=0.1)


def rows(*requests: tuple[float, float, int], again: tuple[int, ...] = ()) -> dict[str, Any]:
    """Requests of one step: due, done (nan: never) and error; those of `again` are steps of the
    flow before."""
    flows, steps = [], []
    for number in range(len(requests)):
        if number in again:
            flows.append(flows[-1])
            steps.append(steps[-1] + 1)
        else:
            flows.append(number)
            steps.append(0)
    due, done, error = zip(*requests, strict=True)
    return {
        "flow": np.array(flows),
        "step": np.array(steps),
        "intended_s": np.array(due),
        "sent_s": np.array(due) + 0.001,
        "done_s": np.array(done),
        "error": np.array(error, np.uint8),
    }


def test_a_request_waits_until_its_answer_or_until_nobody_waits_for_it() -> None:
    table = rows(
        (1.0, 1.5, 0),
        (2.0, NAN, RequestError.CONNECT),
        (3.0, NAN, RequestError.UNFINISHED),
    )
    from_s, to_s = spans(table, 9.0)
    assert from_s.tolist() == [1.0, 2.0, 3.0]
    assert to_s == pytest.approx([1.5, 2.001, 9.0])


def test_one_that_is_sent_again_waits_from_its_first_try_to_its_last() -> None:
    table = rows((1.0, 1.1, RequestError.RETRIED), (1.3, 1.4, 0), again=(1,))
    from_s, to_s = spans(table, 9.0)
    assert (from_s.tolist(), to_s.tolist()) == ([1.0], [1.4])


def test_what_gathered_is_gone_when_there_are_no_more_than_usual() -> None:
    # 40 a second from 0 to 6 s; those due from 2 to 3 s are answered from 3 s on, one each 10 ms.
    due = np.arange(0, 6, 0.025)
    stuck = (due >= 2.0) & (due < 3.0)
    done = np.where(stuck, 3.0 + 0.01 * np.cumsum(stuck), due + 0.005)
    table = rows(*((d, e, 0) for d, e in zip(due, done, strict=True)))
    seen = waiting_seen(table, ONE, onset_s=2.0, healed_s=3.0, end_s=6.0, drained_s=6.0)
    assert seen.most == pytest.approx(40, abs=1)
    assert seen.drained_s == pytest.approx(0.4, abs=0.03)
    never = waiting_seen(table, ONE, onset_s=2.0, healed_s=3.0, end_s=3.2, drained_s=3.2)
    assert never.drained_s is None


def test_what_was_never_more_than_usual_is_gone_at_once() -> None:
    table = rows(*((d, d + 0.005, 0) for d in np.arange(0, 6, 0.025)))
    seen = waiting_seen(table, ONE, onset_s=2.0, healed_s=3.0, end_s=6.0, drained_s=6.0)
    assert (seen.most, seen.drained_s, seen.retries) == (1, 0.0, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda p: (p[0], p[0] + p[1])),
        max_size=30,
    )
)
def test_the_mean_is_littles_law_and_the_steps_are_all_who_wait(
    requests: list[tuple[int, int]],
) -> None:
    at, counts = waiting(
        np.array([a for a, _ in requests], float), np.array([b for _, b in requests], float), 0, 80
    )
    assert not len(counts) or counts[-1] == 0
    assert (counts >= 0).all()
    held = float((counts[:-1] * np.diff(at)).sum()) if len(at) else 0.0
    assert held == pytest.approx(sum(b - a for a, b in requests))
    if requests:
        usual = usual_waiting(rows(*((a, b, 0) for a, b in requests)), 0.0, 80.0, 80.0)
        assert usual.mean == pytest.approx(held / 80)
        assert usual.most == max(counts, default=0)
        assert usual.scale >= 0.5


def test_what_is_usual_varies_as_much_as_it_did_from_stretch_to_stretch() -> None:
    """In 16 stretches of a quarter of a second 1, 2, … 16 are there at once, and nobody between."""
    stuck = [(0.25 * n + 0.01, 0.25 * n + 0.2, 0) for n in range(16) for _ in range(n + 1)]
    usual = usual_waiting(rows(*stuck), 0.0, 4.0, 4.0)
    assert usual.most == 16
    # By hand: b0 = 8.5, b1 = sum(i (i + 1)) / (15 * 16) = 1360 / 240, (2 b1 - b0) / ln 2.
    assert usual.scale == pytest.approx((2 * 1360 / 240 - 8.5) / math.log(2))
    level = usual_waiting(rows(*((0.25 * n, 0.25 * n + 0.25, 0) for n in range(16))), 0, 4, 4)
    assert (level.most, level.scale) == (1, 0.5)


def test_a_burst_later_on_is_not_what_gathered_and_one_that_follows_at_once_is() -> None:
    waited = [(2.0 + 0.01 * n, 3.1, 0) for n in range(50)]
    for burst_s, gone_s in ((3.3, 0.4), (3.5, 0.1)):
        burst = [(burst_s, burst_s + 0.1, 0)] * 20
        table = rows(*waited, *burst, (5.9, 5.95, 0))
        seen = waiting_seen(table, ONE, onset_s=2.0, healed_s=3.0, end_s=6.0, drained_s=6.0)
        assert seen.drained_s == pytest.approx(gone_s)


def test_a_burst_that_is_as_large_as_they_come_is_not_taken_for_what_gathered() -> None:
    due = np.arange(0, 6, 0.025)
    burst = [(5.0, 5.1, 0)] * 6
    table = rows(*((d, d + 0.005, 0) for d in due), *burst)
    usual = Usual(mean=0.2, most=6, over_s=4.0, scale=1.0)
    seen = waiting_seen(table, usual, onset_s=2.0, healed_s=3.0, end_s=6.0, drained_s=6.0)
    assert seen.most in (6, 7)
    assert seen.usual_high >= 9
    assert seen.drained_s == 0.0
