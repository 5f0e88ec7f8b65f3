"""Calls a request, connections and herds, from rows made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loadpath.experiment.crash.wires import WireCourse, wire_courses


def course(
    began: list[float],
    opened: list[float],
    closed: list[float] | None = None,
    left: list[float] | None = None,
) -> WireCourse:
    """A fault from 1 to 2 s in a load of 10 requests a second from 0 to 4 s, on one wire."""
    exchanges: Any = {
        "tap": np.array(["database"] * len(began), dtype=object),
        "pushed": np.zeros(len(began), dtype=bool),
        "began_s": np.array(began),
    }
    connections: Any = {
        "tap": np.array(["database"] * len(opened), dtype=object),
        "opened_s": np.array(opened),
        "closed_s": np.array(closed or [math.nan] * len(opened)),
    }
    connections["left_s"] = np.array(left or [math.nan] * len(opened))
    due_s = np.arange(0.05, 4.0, 0.1)
    return wire_courses(exchanges, connections, due_s, (0.0, 4.0), 1.0, 2.0)["database"]


def test_calls_are_counted_per_request_of_their_time() -> None:
    calls = [*np.arange(0.05, 1, 0.1), *np.arange(1.01, 2, 0.02), *np.arange(2.05, 4, 0.1)]
    found = course(calls, [0.0])
    assert found.calls_before == pytest.approx(1.0)
    assert found.calls_during == pytest.approx(5.0)
    assert found.calls_after == pytest.approx(1.0)


def test_attempts_to_connect_amplify_as_calls_do() -> None:
    found = course([*np.arange(0.05, 1, 0.1)], [*np.arange(1.01, 2, 0.01)])
    assert found.amplification == pytest.approx(found.opened_during, rel=0.05)
    assert found.opened_during == pytest.approx(9.9)


def test_a_wire_that_was_not_used_before_amplifies_nothing() -> None:
    assert math.isnan(course([1.5], [1.5]).amplification)


def test_a_herd_is_the_most_within_a_tenth_of_a_second_of_the_heal() -> None:
    found = course([0.1, 0.5, 2.01, 2.02, 2.03, 2.9, 3.3], [0.0, 2.0, 2.05, 2.2])
    assert (found.calls_peak_before, found.calls_peak_after) == (1, 3)
    assert (found.opened_peak_before, found.opened_peak_after) == (1, 2)


def test_open_connections_are_those_open_at_once() -> None:
    found = course([], [0.0, 0.1, 1.5, 2.5], [1.2, math.nan, 2.4, math.nan])
    assert (found.open_before, found.open_most) == (2, 2)


def test_what_the_service_gave_up_counts_no_longer_whether_or_not_the_server_ends_it() -> None:
    left = [math.nan, 1.2, 1.3, 1.4]
    found = course([], [0.0, 1.1, 1.2, 1.3], [math.nan, 2.4, 2.4, math.nan], left)
    assert (found.open_before, found.open_most) == (1, 2)
    # Recorded before it was: 0.
    found = course([], [0.0, 1.1, 1.2, 1.3], [math.nan, 2.4, 2.4, math.nan], [0.0] * 4)
    assert (found.open_before, found.open_most) == (1, 4)
