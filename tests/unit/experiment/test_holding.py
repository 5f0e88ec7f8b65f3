"""How connections are held, told from what crossed them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.attribution import Crossing
from loadpath.experiment.holding import holds, most_at_once


def crossing(
    began_s: float, ended_s: float, transaction: str = "none", *, connection: int = 1, **more: bool
) -> Crossing:
    return Crossing(
        dependency="database",
        kind="postgres",
        connection=connection,
        verb="execute",
        shape="SELECT $1",
        reads=True,
        began_s=began_s,
        ended_s=ended_s,
        transaction=transaction,  # type: ignore[arg-type]
        **more,
    )


class TestHolds:
    def test_a_call_holds_its_connection_for_itself(self) -> None:
        assert holds([crossing(1, 2), crossing(5, 6)]) == [(1, 2), (5, 6)]

    def test_a_transaction_holds_it_from_its_first_call_to_its_end(self) -> None:
        calls = [crossing(1, 2, "open"), crossing(4, 5, "failed"), crossing(7, 8), crossing(9, 10)]
        assert holds(calls) == [(1, 8), (9, 10)]

    def test_connections_are_held_beside_each_other(self) -> None:
        calls = [crossing(1, 2, "open"), crossing(1.5, 3, connection=2), crossing(4, 5)]
        assert holds(calls) == [(1, 5), (1.5, 3)]

    def test_calls_sent_ahead_are_one_hold(self) -> None:
        assert holds([crossing(1, 3), crossing(2, 4)]) == [(1, 4)]

    def test_what_is_pushed_holds_nothing(self) -> None:
        assert holds([crossing(1, 9, pushed=True), crossing(2, 3)]) == [(2, 3)]

    def test_a_transaction_that_nobody_ended_holds_it_for_as_long_as_was_seen(self) -> None:
        assert holds([crossing(1, 2, "open"), crossing(3, 4, "open")]) == [(1, 4)]


SPANS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda span: (span[0], sum(span))),
    max_size=30,
)


class TestMostAtOnce:
    @pytest.mark.parametrize(
        ("spans", "most"), [([], 0), ([(1, 2), (2, 3)], 1), ([(1, 4), (2, 3), (2.5, 5)], 3)]
    )
    def test_how_many_overlap(self, spans: list[tuple[float, float]], most: int) -> None:
        assert most_at_once(spans) == most

    @given(SPANS)
    def test_it_is_the_most_that_any_moment_sees(self, spans: list[tuple[float, float]]) -> None:
        seen = [sum(a <= at_s < b for a, b in spans) for at_s, _ in spans]
        assert most_at_once(spans) == max(seen, default=0)
