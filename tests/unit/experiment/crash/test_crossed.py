"""What a control run and visits tell the plan of each statement."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_crash import READ, WRITE, Crash
from golden_wires import Asked, visits

from loadpath.experiment.crash.crossed import crossed
from loadpath.experiment.crash.flows import FlowFacts


def call(text: str, at_s: float) -> Asked:
    return Asked(tap="database", text=text, at_s=at_s, lasts_s=0.001)


def test_a_statement_is_part_of_writes_that_are_followed_as_far_as_they_call_it(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path / "crash")
    first, *others = visits(READ, [call("SELECT item", 0.001)], 0.01, 1.0)
    # The first read makes what it reads.
    making = visits(READ, [call("INSERT INTO list", 0.001), call("SELECT item", 0.003)], 0.01, 1.0)
    writing = [call("INSERT INTO list", 0.001), call("SELECT item", 0.003)]
    late = call("INSERT INTO log", 0.02)  # when the reply is over
    wrote = visits(WRITE, [*writing, late], 0.01, 5.0)
    crash.visits([making[0], *others, *wrote])
    assert first.operation == READ
    crash.drive("control", 4.0, calls=100)
    recording = crash.recording()
    facts = {WRITE: FlowFacts(announces=True)}
    (seen,) = crossed(recording, recording.segments[1], recording, facts)
    assert (seen.dependency, seen.kind, seen.shape) == ("database", "postgres", "SELECT item")
    assert (seen.count, seen.awaited, seen.followed) == (100, True, 0.5)
    # The same load, told of the probe: every shape that crossed then.
    told = {s.shape: s for s in crossed(recording, recording.segments[0], recording, facts)}
    assert told["INSERT INTO list"].followed == pytest.approx(5 / 6)
    assert told["INSERT INTO list"].awaited
    assert told["INSERT INTO log"].followed == 1.0
    assert not told["INSERT INTO log"].awaited
