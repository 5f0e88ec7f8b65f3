"""The event stream as plain lines and as JSON lines."""

from __future__ import annotations

import io

import msgspec
import pytest

from loadpath.events import (
    AnyEvent,
    GrowthProgress,
    LoadProgress,
    LoginProgress,
    PartReady,
    PartStarting,
    PartStopped,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
    Warned,
)
from loadpath.report.progress import JsonLines, PlainLines, header, rate_line

STARTED = RunStarted(
    at_s=1.0,
    service="shop",
    operations=2,
    dependencies=("postgres", "valkey"),
    cores=2,
    directory=".loadpath/runs/now",
    estimate_s=290.0,
)
LOAD = LoadProgress(
    at_s=5.0,
    phase="ramp",
    rate_per_s=1240.4,
    target_rate_per_s=1250.0,
    response_time_p99_s=0.0041,
    errors=0,
    left_s=12.0,
)
EVENTS: tuple[AnyEvent, ...] = (
    STARTED,
    PartStarting(at_s=2.0, part="service", detail="granian shop:app"),
    PartReady(at_s=3.0, part="service", address="127.0.0.1:8000", took_s=0.84),
    LoginProgress(at_s=3.5, done=40, total=1000),
    PhaseStarted(at_s=4.0, phase="ramp", estimate_s=40.0),
    LOAD,
    GrowthProgress(at_s=5.5, table="post", step="copying", rows=9000, total_rows=16000),
    Warned(at_s=6.0, message="repeating: other processes took 0.70 cores"),
    PhaseFinished(at_s=7.0, phase="ramp", result="misses at 908/s", took_s=26.2),
    PartStopped(at_s=8.0, part="service", expected=True),
    RunFinished(at_s=9.0, directory=".loadpath/runs/now", took_s=61.0),
)


def printed(*events: AnyEvent, **how: bool) -> list[str]:
    stream = io.StringIO()
    tell = PlainLines(stream, **how)
    for event in events:
        tell(event)
    return stream.getvalue().splitlines()


def test_a_phase_is_one_plain_line() -> None:
    assert printed(*EVENTS) == [
        "shop · 2 operations · postgres, valkey · 2 cores · about 5 min",
        "  ! repeating: other processes took 0.70 cores",
        "  ramp: misses at 908/s (26 s)",
    ]


def test_verbose_adds_every_part_and_every_second() -> None:
    assert printed(*EVENTS, verbose=True) == [
        "shop · 2 operations · postgres, valkey · 2 cores · about 5 min",
        "  service ready at 127.0.0.1:8000 (0.8 s)",
        "    40 of 1,000 identities logged in",
        "    1,240 of 1,250/s done · p99 4.1 ms",
        "    post: copying, 9,000 of 16,000 rows",
        "  ! repeating: other processes took 0.70 cores",
        "  ramp: misses at 908/s (26 s)",
    ]


def test_quiet_leaves_the_warnings() -> None:
    assert printed(*EVENTS, warnings_only=True) == [
        "  ! repeating: other processes took 0.70 cores"
    ]


def test_a_part_that_ended_by_itself_is_told() -> None:
    assert printed(PartStopped(at_s=1.0, part="database", expected=False)) == [
        "  ! database ended by itself"
    ]


def test_advice_follows_a_warning() -> None:
    assert printed(
        Warned(at_s=1.0, message="it is given by URL.", advice="Use --allow-writes.")
    ) == ["  ! it is given by URL. Use --allow-writes."]


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_from_outside_steers_the_terminal_or_forges_a_line(verbose: bool) -> None:
    bad = "x\x1b[2J\ny\x07"
    lines = printed(
        msgspec.structs.replace(STARTED, service=bad),
        PartReady(at_s=1.0, part=bad, address=bad, took_s=1.0),
        PhaseFinished(at_s=1.0, phase=bad, result=bad, took_s=1.0),
        Warned(at_s=1.0, message=bad, advice=bad),
        PartStopped(at_s=1.0, part=bad, expected=False),
        verbose=verbose,
    )
    assert len(lines) == (5 if verbose else 4)
    assert not any(character in line for line in lines for character in "\x1b\x07")


def test_one_of_each_is_not_several() -> None:
    one = msgspec.structs.replace(STARTED, operations=1, cores=1, dependencies=(), estimate_s=None)
    assert header(one) == "shop · 1 operation · no dependencies · 1 core"


def test_a_second_of_load_with_errors_and_without_a_rate_to_reach() -> None:
    closed = msgspec.structs.replace(LOAD, target_rate_per_s=None, errors=1234)
    assert rate_line(closed) == "1,240/s done · p99 4.1 ms · 1,234 errors"
    silent = msgspec.structs.replace(LOAD, rate_per_s=0.0, response_time_p99_s=None)
    assert rate_line(silent) == "0 of 1,250/s done · p99 –"


def test_every_event_is_one_json_line_that_reads_back() -> None:
    stream = io.StringIO()
    tell = JsonLines(stream)
    for event in EVENTS:
        tell(event)
    lines = stream.getvalue().splitlines()
    assert tuple(msgspec.json.decode(line, type=AnyEvent) for line in lines) == EVENTS
