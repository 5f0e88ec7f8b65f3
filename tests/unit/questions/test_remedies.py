"""What is accused of what: each rule by an outcome that just shows it, and by one that does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadpath.experiment.crash.outcome import OperationCourse, Outcome, Writes
from loadpath.experiment.crash.seen import Course
from loadpath.experiment.crash.wires import WireCourse
from loadpath.questions.crash_lines import fault_lines, writes_words
from loadpath.questions.remedies import Context, findings_of
from loadpath.recording import FaultRecord
from loadpath.spec import Dependency

DATABASE = Dependency(name="database", kind="postgres", env={})
CACHE = Dependency(name="cache", kind="valkey", env={})
FAULT = FaultRecord(
    segment=1,
    name="database killed",
    target="database",
    layer="process",
    summary="",
    onset_s=10.0,
    healed_s=11.0,
    hits=1,
    proof="1 process ended",
)
COURSE = Course(
    onset_s=10.0,
    healed_s=11.0,
    shown_s=0.1,
    recovered_s=0.4,
    bad_ratio=0.5,
    failed=40,
    late=3,
    hung=0,
)
WRITES = Writes(
    state="held",
    attempts=20,
    looked_for=20,
    acknowledged=18,
    lost=0,
    recovered=1,
    unexpected=0,
    duplicates=0,
    stale=0,
    disordered=0,
    unknown=0,
    kinds=("order",),
    at_risk=12,
)
WIRE = WireCourse(
    calls_before=2.0,
    calls_during=2.2,
    calls_after=2.1,
    opened_before=0.0,
    opened_during=0.3,
    opened_after=0.1,
    calls_peak_before=30,
    calls_peak_after=40,
    opened_peak_before=0,
    opened_peak_after=10,
    open_before=10,
    open_most=10,
)


def outcome(**changes: Any) -> Outcome:
    """A database that was killed and is forgiven everything, but for `changes`."""
    usual: dict[str, Any] = {
        "fault": FAULT,
        "requests": 300,
        "rate_per_s": 100.0,
        "control_bad_ratio": 0.0,
        "course": COURSE,
        "operations": (),
        "worse": (),
        "goodput_ratio": 1.0,
        "writes": WRITES,
        "wires": {"database": WIRE},
        "memory_before_bytes": 100 << 20,
        "memory_most_bytes": 110 << 20,
        "ready_ratio": 0.2,
        "useless_ratio": 0.5,
    }
    return Outcome(**{**usual, **changes})


def harms(found: Outcome, context: Context | None = None) -> list[str]:
    return [each.harm for each in findings_of(found, context or Context(target=DATABASE))]


def test_a_fault_that_was_borne_well_accuses_nobody() -> None:
    assert harms(outcome()) == []


@pytest.mark.parametrize(
    ("harm", "changes"),
    [
        ("lost", {"writes": msgspec.structs.replace(WRITES, lost=2)}),
        ("duplicated", {"writes": msgspec.structs.replace(WRITES, duplicates=1)}),
        ("wrong", {"writes": msgspec.structs.replace(WRITES, stale=1)}),
        ("wrong", {"writes": msgspec.structs.replace(WRITES, unexpected=1)}),
        ("ended", {"fault": msgspec.structs.replace(FAULT, ended="the service exited with 1")}),
        ("metastable", {"goodput_ratio": 0.4, "lowered": True, "released_at": 0.5}),
        ("broken", {"goodput_ratio": 0.1, "lowered": True, "failed_ratio": 0.9}),
        ("stays slow", {"goodput_ratio": 0.5, "lowered": True, "failed_ratio": 0.0}),
        ("hangs", {"course": msgspec.structs.replace(COURSE, hung=7)}),
        ("amplified", {"wires": {"database": msgspec.structs.replace(WIRE, calls_during=9.0)}}),
        ("unpooled", {"wires": {"database": msgspec.structs.replace(WIRE, open_most=45)}}),
        ("unready", {"ready_ratio": 1.0, "useless_ratio": 0.97}),
        ("grows", {"memory_most_bytes": 140 << 20}),
        ("slow", {"course": msgspec.structs.replace(COURSE, recovered_s=6.0)}),
    ],
)
def test_each_harm_is_named_and_no_other(harm: str, changes: dict[str, Any]) -> None:
    assert harms(outcome(**changes)) == [harm]


def test_connections_that_clients_open_to_the_service_are_no_pool_of_its_own() -> None:
    many = msgspec.structs.replace(WIRE, open_most=134)
    assert harms(outcome(wires={"service": many})) == []


def test_nobody_is_accused_of_times_while_others_took_the_machine() -> None:
    late = msgspec.structs.replace(COURSE, recovered_s=6.0, hung=2)
    lost = msgspec.structs.replace(WRITES, lost=1)
    found = outcome(course=late, writes=lost, taken_cores=1.3)
    assert harms(found) == ["lost", "hangs"]
    assert harms(outcome(course=late, writes=lost, taken_cores=0.1)) == ["lost", "hangs", "slow"]


def test_more_calls_than_before_are_no_storm_if_the_control_had_as_many() -> None:
    late = msgspec.structs.replace(WIRE, calls_before=0.04, calls_during=1.5, calls_usual=1.4)
    assert harms(outcome(wires={"broker": late})) == []
    assert harms(outcome(wires={"broker": msgspec.structs.replace(late, calls_usual=0.1)})) == [
        "amplified"
    ]


def test_lost_writes_come_before_everything() -> None:
    found = outcome(
        writes=msgspec.structs.replace(WRITES, lost=1, duplicates=1),
        course=msgspec.structs.replace(COURSE, hung=7),
        memory_most_bytes=200 << 20,
    )
    assert harms(found) == ["lost", "duplicated", "hangs", "grows"]


def test_an_operation_that_never_touches_what_was_hit_is_beyond_the_map() -> None:
    context = Context(target=DATABASE, touching=frozenset({"GET /a"}))
    found = outcome(worse=("GET /a", "GET /b"))
    assert harms(found, context) == ["beyond"]
    assert "GET /b fared worse" in findings_of(found, context)[0].said


def test_without_a_map_nothing_is_beyond_it() -> None:
    assert harms(outcome(worse=("GET /a", "GET /b"))) == []


def failing_read(name: str) -> OperationCourse:
    return OperationCourse(
        operation=name,
        requests=50,
        control_bad_ratio=0.0,
        course=COURSE,
        response_p50_s=0.002,
        control_p50_s=0.002,
    )


def test_a_cache_is_a_hard_dependency_only_where_something_else_has_the_answer() -> None:
    found = outcome(worse=("GET /a",), operations=(failing_read("GET /a"),))
    assert harms(found, Context(target=CACHE, other_stores=("database",))) == ["hard"]
    assert harms(found, Context(target=CACHE)) == []
    few = msgspec.structs.replace(
        failing_read("GET /a"), course=msgspec.structs.replace(COURSE, failed=1)
    )
    once = outcome(worse=("GET /a",), operations=(few,))
    assert harms(once, Context(target=CACHE, other_stores=("database",))) == []
    assert harms(found, Context(target=DATABASE, other_stores=("database",))) == []


def test_a_statement_that_fails_is_nothing_that_a_readiness_check_could_know() -> None:
    fault = msgspec.structs.replace(FAULT, layer="protocol unit")
    assert harms(outcome(fault=fault, ready_ratio=1.0, useless_ratio=0.97)) == []


def test_a_service_that_was_killed_is_blamed_neither_for_its_silence_nor_for_its_start() -> None:
    fault = msgspec.structs.replace(FAULT, target="service", name="service killed")
    course = msgspec.structs.replace(COURSE, hung=7)
    wires = {"database": msgspec.structs.replace(WIRE, calls_during=9.0)}
    found = outcome(fault=fault, course=course, ready_ratio=1.0, useless_ratio=1.0, wires=wires)
    assert harms(found, Context(target=None)) == []


def test_writes_that_could_not_be_told_are_never_called_kept() -> None:
    said = writes_words(msgspec.structs.replace(WRITES, unknown=18))
    assert "lost could not be told" in said
    assert "0 of" not in said


def test_a_fault_that_hit_nothing_says_nothing() -> None:
    fault = msgspec.structs.replace(FAULT, hits=0, proof="0 processes ended")
    lines = fault_lines(outcome(fault=fault), [])
    assert [line.verdict for line in lines] == ["says nothing: it hit nothing (0 processes ended)"]


def test_what_users_saw_and_what_became_of_writes_is_told_in_figures() -> None:
    lines = fault_lines(outcome(), [])
    said = [f"{line.verdict} · {line.cause}" for line in lines]
    assert said == [
        "40 of 300 requests fail, 3 come late · back to normal 0.4 s after it is",
        "0 of 18 acknowledged order writes lost (12 before the heal: more than 22% would show), "
        "1 done that were never acknowledged · ",
        "on database: 40 calls and 10 new connections in the worst 0.1 s after the heal "
        "(30 and 0 before) · ",
    ]
