"""Phases on the event stream."""

from __future__ import annotations

import pytest

from loadpath.events import AnyEvent, PhaseFinished, PhaseStarted
from loadpath.experiment.phase import phase


def test_a_phase_is_announced_and_told_its_result() -> None:
    told: list[AnyEvent] = []
    with phase(told.append, "ramp", 40.0) as now:
        now.result = "misses at 900/s"
    started, finished = told
    assert isinstance(started, PhaseStarted)
    assert isinstance(finished, PhaseFinished)
    assert (started.phase, started.estimate_s) == ("ramp", 40.0)
    assert (finished.phase, finished.result) == ("ramp", "misses at 900/s")
    assert finished.took_s >= 0


def test_one_that_is_left_by_an_exception_has_no_result() -> None:
    told: list[AnyEvent] = []
    with pytest.raises(RuntimeError), phase(told.append, "ramp"):
        raise RuntimeError
    assert [type(event) for event in told] == [PhaseStarted]
