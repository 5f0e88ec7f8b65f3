"""What is sent to the engine process is what it receives."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.control.codec import LENGTH_BYTES
from loadpath.control.failure import Failed
from loadpath.drive import messages
from loadpath.drive.plan import (
    ClosedLoad,
    EnginePlan,
    OpenLoad,
    Part,
    ProbeReply,
    Segment,
    SegmentProgress,
)
from loadpath.recording.holds import HoldCount, HoldsRecord
from loadpath.spec import ClosedArrivals, DeclaredRequest, KeySet, Operation, Workload

PLAN = EnginePlan(
    host="::1",
    port=8080,
    workload=Workload(
        arrivals=ClosedArrivals(users=3, think_time_s=1.0),
        operations=(
            Operation(
                name="a",
                request=DeclaredRequest(
                    method="POST", path="/{k}", headers=(("A", "ü"),), body="{k}", keys={"k": "f"}
                ),
            ),
        ),
        key_sets=(KeySet(name="f", count=3, file=Path("/keys.txt")),),
        flows=Path("/workload.py"),
    ),
)
SEGMENT = Segment(
    index=7,
    purpose="ramp",
    load=OpenLoad(rate_per_s=10, end_rate_per_s=100),
    duration_s=5,
    requests_path=Path("/requests/0007.parquet"),
    weights={"a": 1.0},
    background=OpenLoad(rate_per_s=1),
    background_weights={"a": 2.0},
)
PROGRESS = SegmentProgress(
    index=7,
    at_s=1.5,
    elapsed_s=0.5,
    target_rate_per_s=None,
    arrivals=5,
    sent=4,
    done=3,
    errors=1,
    in_flight=1,
    waiting=1,
    done_rate_per_s=9.5,
    response_time_p50_s=None,
    response_time_p99_s=0.25,
    slip_p99_s=None,
    engine_cpu_s=0.125,
)


@pytest.mark.parametrize(
    "command",
    [
        messages.Begin(PLAN),
        messages.RunSegment(SEGMENT),
        messages.RunSegment(
            Segment(
                index=0,
                purpose="closed",
                load=ClosedLoad(users=5, think_time_s=0),
                duration_s=1,
                requests_path=Path("x"),
            )
        ),
        messages.RunSegment(SEGMENT, Part(1, 3)),
        messages.StartAt(12.5),
        messages.StopSegment(),
        messages.Probe("a", 3),
        messages.CheckHolds(10, 1.5),
        messages.LogIn(),
    ],
)
def test_commands_arrive_as_sent(command: messages.Command) -> None:
    framed = messages.CODEC.encode(command)
    size = int.from_bytes(framed[:LENGTH_BYTES])
    assert len(framed) == LENGTH_BYTES + size
    assert messages.CODEC.command(framed[LENGTH_BYTES:]) == command


@pytest.mark.parametrize(
    "answer",
    [
        messages.Ready(5),
        messages.Drawn(),
        messages.Progress(PROGRESS),
        messages.Probed(
            [ProbeReply(status=200, started_s=1.0, response_time_s=0.5, error=None, start="x")]
        ),
        messages.HoldsChecked(
            HoldsRecord(
                kinds={"k": HoldCount(acknowledged=3, checked=2, held=1, broken=1, unknown=0)},
                first_broken={"k": "this one"},
                first_unknown={},
                unchecked_kinds=("other",),
            )
        ),
        messages.LoginProgress(3, 10),
        messages.LoggedIn(),
        Failed("ConfigurationError", "wrong", "do this", "f.py", 3),
    ],
)
def test_answers_arrive_as_sent(answer: messages.Answer) -> None:
    assert messages.CODEC.answer(messages.CODEC.encode(answer)[LENGTH_BYTES:]) == answer


def test_a_salt_is_not_told_twice() -> None:
    other = EnginePlan(host="h", port=1, workload=PLAN.workload)
    assert len(other.salt) >= 16
    assert other.salt != PLAN.salt
