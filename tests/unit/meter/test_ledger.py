"""CPU per part, when processes end, are too short to be seen, or are never reaped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.meter.ledger import Entry, Ledger


def process(
    pid: int,
    cpu_s: float,
    children_cpu_s: float = 0.0,
    *,
    parent: int = 1,
    started_s: float = 0.0,
    part: str = "service",
) -> Entry:
    """One process of the service, started long ago."""
    return Entry(pid, parent, started_s, part, cpu_s, children_cpu_s)


def totals(*samples: list[Entry]) -> dict[str, float]:
    """What a second of each sample adds up to."""
    ledger = Ledger()
    for at_s, entries in enumerate(samples, start=100):
        ledger.add(at_s, entries)
    return ledger.totals


def test_only_what_is_used_after_the_first_sample_counts() -> None:
    """The service used 50 s before anybody looked."""
    assert totals([process(10, 50.0)], [process(10, 50.4)]) == {"service": pytest.approx(0.4)}


def test_an_ended_child_is_not_counted_twice() -> None:
    """0.5 s while it was seen, 0.1 s after that: its parent inherits 0.6 s."""
    found = totals(
        [process(10, 1.0), process(11, 0.2, parent=10)],
        [process(10, 1.0), process(11, 0.5, parent=10)],
        [process(10, 1.0, 0.6)],
    )
    assert found["service"] == pytest.approx(0.3 + 0.1)


def test_the_parent_may_inherit_a_sample_later() -> None:
    """It was read before the child was reaped, the child's absence noticed after."""
    found = totals(
        [process(10, 1.0), process(11, 0.5, parent=10)],
        [process(10, 1.0)],
        [process(10, 1.0, 0.6)],
    )
    assert found["service"] == pytest.approx(0.1)


def test_a_child_too_short_to_be_seen_counts() -> None:
    """It appears only as what its parent inherited."""
    assert totals([process(10, 1.0)], [process(10, 1.0, 0.3)])["service"] == pytest.approx(0.3)


def test_a_newborn_counts_from_its_birth() -> None:
    """Started half a second before it was first seen."""
    found = totals([process(10, 1.0)], [process(10, 1.0), process(11, 0.4, started_s=100.5)])
    assert found["service"] == pytest.approx(0.4)


def test_an_older_process_that_joins_counts_from_then() -> None:
    """A part that was deployed long before it was metered."""
    found = totals(
        [process(10, 1.0)],
        [process(10, 1.0), process(20, 9.0, part="database")],
        [process(10, 1.0), process(20, 9.2, part="database")],
    )
    assert found["database"] == pytest.approx(0.2)


def test_a_family_that_ends_together_leaves_to_the_ancestor() -> None:
    """Child and grandchild end between two samples; the grandparent inherits both."""
    found = totals(
        [process(10, 0.0), process(11, 0.2, parent=10), process(12, 0.3, parent=11)],
        [process(10, 0.0, 0.7)],
    )
    assert found["service"] == pytest.approx(0.2)


def test_the_rest_of_an_ended_child_goes_to_its_part() -> None:
    """A guard reaps a database: the last moments are the database's, not the guard's."""
    found = totals(
        [process(5, 0.0, part="loadpath"), process(20, 1.0, parent=5, part="database")],
        [process(5, 0.0, 1.2, part="loadpath")],
    )
    assert found["database"] == pytest.approx(0.2)
    assert found["loadpath"] == 0


def test_a_reused_id_is_another_process() -> None:
    """The same pid, a later start: what the first used stays, the second counts from 0."""
    found = totals(
        [process(10, 0.0), process(11, 5.0, parent=10, started_s=50)],
        [process(10, 0.0, 5.0), process(11, 0.1, parent=10, started_s=100.2)],
    )
    assert found["service"] == pytest.approx(0.1)


def test_a_parent_that_ignores_its_children_hides_nothing_later() -> None:
    """The first child is never inherited; a later short one is still counted."""
    found = totals(
        [process(10, 0.0), process(11, 3.0, parent=10)],
        [process(10, 0.0)],
        [process(10, 0.0)],
        [process(10, 0.0)],
        [process(10, 0.0, 1.0)],
    )
    assert found["service"] == pytest.approx(1.0, abs=0.021)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(1, 12), st.floats(0.01, 1.0)),
        min_size=1,
        max_size=20,
    )
)
def test_nothing_is_lost_or_counted_twice(children: list[tuple[int, int, float]]) -> None:
    """Children with any start, length and rate, reaped at once, sampled every second.

    What the ledger says at the end is what they used, seen or not.
    """
    ledger = Ledger()
    begin_s = 1000.0
    for tick in range(30):
        now_s = begin_s + tick
        entries = []
        inherited_s = 0.0
        for number, (start, length, rate) in enumerate(children):
            started_s, ended_s = begin_s + start + 0.5, begin_s + start + 0.5 + length * 0.7
            if now_s >= ended_s:
                inherited_s += rate * (ended_s - started_s)
            elif now_s >= started_s:
                used_s = rate * (now_s - started_s)
                entries.append(process(11 + number, used_s, parent=10, started_s=started_s))
        ledger.add(now_s, [process(10, 0.0, inherited_s), *entries])
    used_s = sum(rate * length * 0.7 for _, length, rate in children)
    assert ledger.totals["service"] == pytest.approx(used_s)
