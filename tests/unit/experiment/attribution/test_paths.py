"""From what crossed the wires to the load path of an operation."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.attribution import Crossing, Visit, load_path
from loadpath.experiment.attribution.crossings import (
    Background,
    assigned,
    background,
    covered_s,
)
from loadpath.experiment.attribution.paths import held_s
from tests.unit.experiment.attribution.conftest import CALL_S, GAP_S, call, visit

QUIET = Background({})


def at(began_s: float, ended_s: float, **fields: object) -> Crossing:
    return msgspec.structs.replace(call("SELECT 1", **fields), began_s=began_s, ended_s=ended_s)


def test_calls_are_counted_per_request_in_the_order_they_are_made() -> None:
    one = visit(call("GET a:*", "cache"), call("SELECT 1", rows=4), call("SELECT 1", rows=2))
    path = load_path("GET /", [one, one], QUIET)
    assert [(c.dependency, c.calls, c.rows) for c in path.calls] == [
        ("cache", 1.0, None),
        ("database", 2.0, 6.0),
    ]
    assert path.calls[1].time_s == pytest.approx(2 * CALL_S)
    assert path.inside_s == pytest.approx(4 * GAP_S)


def test_what_comes_after_the_reply_is_told_apart() -> None:
    path = load_path("GET /", [visit(call("SELECT 1"), after=[call("INSERT")])], QUIET)
    assert [(c.shape, c.after_reply) for c in path.calls] == [
        ("SELECT 1", False),
        ("INSERT", True),
    ]


def test_what_the_idle_service_does_anyway_is_taken_off() -> None:
    poll = call("SELECT job FROM queue")
    polled = visit(call("SELECT 1"), after=[poll])
    idle = Background({poll.key: 10.0})  # once in each quiet of 0.1 s
    path = load_path("GET /", [polled, polled], idle)
    assert [c.shape for c in path.calls] == ["SELECT 1"]
    busier = visit(call("SELECT 1"), after=[poll] * 3)
    path = load_path("GET /", [busier, busier], idle)
    assert [c.shape for c in path.calls] == ["SELECT 1", "SELECT job FROM queue"]


def test_background_is_measured_in_idle_windows_only() -> None:
    seen = background([at(0.5, 0.6), at(1.5, 1.6), at(2.5, 2.6)], [(0.0, 1.0), (2.0, 3.0)])
    assert list(seen.rates_per_s.values()) == [1.0]
    assert background([at(0.5, 0.6)], []).rates_per_s == {}


def test_crossings_belong_to_the_visit_in_which_they_began() -> None:
    first = Visit(began_s=0.0, ended_s=1.0, until_s=2.0)
    second = Visit(began_s=2.0, ended_s=3.0, until_s=4.0)
    crossings = [at(2.5, 2.6), at(0.9, 1.5), at(1.2, 1.3), at(9.0, 9.1)]
    one, two = assigned([first, second], crossings)
    assert [c.began_s for c in one.crossings] == [0.9]
    assert [c.began_s for c in one.after] == [1.2]
    assert [c.began_s for c in two.crossings] == [2.5]


@given(
    spans=st.lists(
        st.tuples(st.floats(0, 10), st.floats(0, 5)).map(lambda t: (t[0], t[0] + t[1])), max_size=8
    )
)
def test_covered_time_is_the_measure_of_the_union(spans: list[tuple[float, float]]) -> None:
    crossings = [at(begin, end) for begin, end in spans]
    edges = sorted({0.0, 12.0, *(min(x, 12.0) for span in spans for x in span)})
    union = sum(
        right - left
        for left, right in itertools.pairwise(edges)
        if any(b <= left and right <= e for b, e in spans)
    )
    assert covered_s(crossings, 0.0, 12.0) == pytest.approx(union, abs=1e-9)


def test_a_connection_is_held_while_its_transaction_is_open() -> None:
    loose = [at(0, 1), at(3, 4)]
    assert held_s(loose) == pytest.approx(2)
    held = [at(0, 1, transaction="open"), at(3, 4)]
    assert held_s(held) == pytest.approx(4)
    two = [at(0, 1), at(0, 1, connection=2)]
    assert held_s(two) == pytest.approx(2)


def test_a_dependency_that_is_not_used_by_every_visit_still_counts() -> None:
    miss = visit(call("GET a:*", "cache"), call("SELECT 1"))
    hit = visit(call("GET a:*", "cache"))
    path = load_path("GET /", [miss, hit, hit], QUIET)
    uses = {use.dependency: use for use in path.uses}
    assert uses["database"].calls == pytest.approx(1 / 3)
    assert uses["cache"].first_use_s == pytest.approx(GAP_S)


def test_no_visits_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no visits"):
        load_path("GET /", [], QUIET)


def test_visits_that_ask_for_fewer_rows_say_what_grows_and_nothing_else() -> None:
    def listing(rows: int) -> Visit:
        ones = [call("SELECT 1 WHERE id = $1", parameters=100 + n) for n in range(rows)]
        return visit(call("SELECT * FROM orders", rows=rows), *ones)

    (suspected,) = load_path("GET /", [listing(12)], QUIET).suspicions
    path = load_path("GET /", [listing(12)], QUIET, [listing(6), listing(3)])
    (found,) = path.suspicions
    assert (suspected.certain, found.certain) == (False, True)
    assert "3 to 12 calls" in found.said
    assert (path.visits, [c.calls for c in path.calls]) == (1, [1.0, 12.0])
