"""What faults are called, and what is said of a name that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.errors import ConfigurationError
from loadpath.faults import FAULTS, Trigger, is_due, parse_fault
from loadpath.faults.killed import Killed
from loadpath.faults.latency import Latency


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: " ".join(kind.KEYWORD))
def test_the_example_of_each_kind_is_one_and_is_called_so(kind: type) -> None:
    fault = parse_fault(kind.EXAMPLE)
    assert type(fault) is kind
    assert fault.name == kind.EXAMPLE
    assert parse_fault(fault.name) == fault


def test_details_and_clauses_are_read() -> None:
    assert parse_fault("database +200ms ± 50ms replies, first 3, for 2s") == Latency(
        target="database",
        delay_s=0.2,
        jitter_s=0.05,
        direction="replies",
        trigger=Trigger(first=3, for_s=2.0),
    )
    assert parse_fault("cache killed, at 500/s") == Killed(
        target="cache", trigger=Trigger(at_rate_per_s=500.0)
    )


def test_a_fault_may_wait_for_another_with_clauses_of_its_own() -> None:
    fault = parse_fault("database +1s, at 3s, after cache reset, first 2")
    assert fault.trigger == Trigger(at_s=3.0, after="cache reset, first 2")
    assert parse_fault(fault.name) == fault


@given(
    st.builds(
        Trigger,
        at_s=st.none() | st.integers(0, 10_000).map(lambda n: n / 1000),
        for_s=st.none() | st.integers(1, 10_000).map(lambda n: n / 1000),
        nth=st.none() | st.integers(1, 500),
        first=st.none() | st.integers(1, 500),
        probability=st.none() | st.integers(1, 100).map(lambda n: n / 100),
        seed=st.integers(1, 99),
        after=st.none() | st.just("cache killed, for 3s"),
    )
)
def test_a_trigger_is_read_back_from_its_name(trigger: Trigger) -> None:
    fault = Latency(target="database", delay_s=0.2, trigger=trigger)
    assert parse_fault(fault.name) == fault


@pytest.mark.parametrize(
    ("text", "says", "points_at"),
    [
        ("database kiled", "did you mean killed?", "kiled"),
        ("database", "what shall happen to database, nothing more came", ""),
        ("database +fast", 'a duration such as 200ms, "fast" came', "fast"),
        ("database killed hard", 'nothing more, "hard" came', "hard"),
        ("database bandwidth 3", "a bandwidth such as 10kB/s", "3"),
        ("database capped at 0", "how many connections", "0"),
        ("database +1ms, only third", "which one, such as 3rd", "third"),
        ("database +1ms, for ever", "a duration such as 5s", "ever"),
        ("database +1ms, 0% of the time", "a share above 0", "0"),
        ("database +1ms, first 1, first 2", "first once", "first 2"),
        ("killed", "the name of a dependency, or service", "killed"),
        ("", "a fault, such as", ""),
    ],
)
def test_an_error_points_at_the_word(text: str, says: str, points_at: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_fault(text)
    message = raised.value.message
    assert says in message
    *_, shown, marks = message.split("\n")
    if points_at:
        start = marks.index("^")
        assert shown[start : marks.rindex("^") + 1] == points_at


def test_what_passes_a_tap_cannot_be_chosen_by_a_kill() -> None:
    with pytest.raises(ConfigurationError, match="only a fault of a tap can choose"):
        parse_fault("database killed, first 3")


def test_a_fault_is_due_when_all_that_its_trigger_says_holds() -> None:
    trigger = Trigger(at_s=2.0, at_rate_per_s=100.0, after="cache killed")
    hit = frozenset(("cache killed",))
    assert is_due(trigger, elapsed_s=2.0, rate_per_s=100.0, have_hit=hit)
    assert not is_due(trigger, elapsed_s=1.9, rate_per_s=100.0, have_hit=hit)
    assert not is_due(trigger, elapsed_s=2.0, rate_per_s=99.0, have_hit=hit)
    assert not is_due(trigger, elapsed_s=2.0, rate_per_s=100.0, have_hit=frozenset())
