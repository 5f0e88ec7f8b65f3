"""What is accused, and that its clean twin is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.attribution import Visit
from loadpath.experiment.attribution.suspects.failing import failing
from loadpath.experiment.attribution.suspects.nplusone import n_plus_one
from loadpath.experiment.attribution.suspects.repeated import repeated
from loadpath.experiment.attribution.suspects.transactions import transaction_across_call
from tests.unit.experiment.attribution.conftest import call, visit

LIST = "SELECT * FROM orders LIMIT $1"
ONE = "SELECT * FROM customers WHERE id = $1"


def listing(rows: int, calls: int | None = None) -> Visit:
    return visit(
        call(LIST, rows=rows),
        *(call(ONE, rows=1, parameters=1000 + n) for n in range(rows if calls is None else calls)),
    )


def test_a_read_for_each_row_is_n_plus_one_and_certain_when_sizes_differ() -> None:
    (found,) = n_plus_one([listing(3), listing(10), listing(7)])
    assert (found.kind, found.shape, found.certain) == ("n_plus_one", ONE, True)
    assert "3 to 10 calls" in found.said
    assert "orders" in found.said


def test_it_is_suspected_when_every_probe_had_the_same_size() -> None:
    (found,) = n_plus_one([listing(10), listing(10)])
    assert not found.certain


def test_an_orm_that_asks_once_for_each_distinct_key_is_found_too() -> None:
    visits = [listing(10, calls=4), listing(20, calls=7), listing(40, calls=9)]
    (found,) = n_plus_one(visits)
    assert found.certain


@pytest.mark.parametrize(
    "visits",
    [
        pytest.param([listing(10, 1), listing(3, 1)], id="one query for all rows"),
        pytest.param([listing(10, 4), listing(3, 4), listing(7, 4)], id="always four"),
        pytest.param([listing(2), listing(2)], id="two calls only"),
        pytest.param([listing(3, 8), listing(9, 8)], id="more calls than rows"),
    ],
)
def test_a_clean_twin_is_not_accused(visits: list[Visit]) -> None:
    assert n_plus_one(visits) == []


def test_writes_row_by_row_are_not_called_n_plus_one() -> None:
    writes = [call("INSERT INTO lines VALUES ($1)", parameters=n) for n in range(9)]
    assert n_plus_one([visit(call(LIST, rows=9), *writes)]) == []


@given(sizes=st.lists(st.integers(3, 30), min_size=2, max_size=6))
def test_one_call_a_row_is_always_found(sizes: list[int]) -> None:
    (found,) = n_plus_one([listing(n) for n in sizes])
    assert found.certain is (len(set(sizes)) > 1)


def test_the_same_question_twice_is_repeated() -> None:
    twice = visit(call(ONE, parameters=5), call(LIST), call(ONE, parameters=5))
    (found,) = repeated([twice, twice, visit(call(ONE, parameters=5))])
    assert (found.kind, found.shape) == ("repeated", ONE)
    assert "2 times" in found.said


def test_asking_again_after_a_write_is_right() -> None:
    again = visit(
        call(ONE, parameters=5),
        call("UPDATE customers SET name = $1", parameters=6),
        call(ONE, parameters=5),
    )
    assert repeated([again, again]) == []


def test_a_write_elsewhere_does_not_excuse_it() -> None:
    again = visit(
        call(ONE, parameters=5), call("SET *", "cache", parameters=1), call(ONE, parameters=5)
    )
    (found,) = repeated([again])
    assert found.dependency == "database"


def test_other_parameters_are_another_question() -> None:
    assert repeated([visit(call(ONE, parameters=5), call(ONE, parameters=6))]) == []


def test_a_transaction_across_an_http_call_is_found() -> None:
    inside = visit(
        call("BEGIN", transaction="open"),
        call(ONE, transaction="open"),
        call("POST /charge", "outside", connection=2),
        call("COMMIT"),
    )
    (found,) = transaction_across_call([inside, inside])
    assert (found.dependency, found.shape) == ("database", ONE)
    assert "outside is called" in found.said


def test_a_transaction_that_ends_after_the_reply_was_open_just_as_long() -> None:
    held = visit(
        call(ONE, transaction="open"),
        call("POST /charge", "outside", connection=2),
        after=[call("ROLLBACK")],
    )
    (found,) = transaction_across_call([held, held])
    assert (found.dependency, found.shape) == ("database", ONE)


@pytest.mark.parametrize(
    "clean",
    [
        visit(
            call("POST /charge", "outside", connection=2),
            call("BEGIN", transaction="open"),
            call("COMMIT"),
        ),
        visit(
            call("BEGIN", transaction="open"),
            call("COMMIT"),
            call("POST /charge", "outside", connection=2),
            call("BEGIN", transaction="open"),
            call("COMMIT"),
        ),
        visit(call(ONE), call("POST /charge", "outside", connection=2), call(LIST)),
    ],
)
def test_a_call_outside_of_transactions_is_not_accused(clean: Visit) -> None:
    assert transaction_across_call([clean, clean]) == []


def test_a_swallowed_error_is_said() -> None:
    swallowed = visit(call(ONE, error="42P01"), call(LIST))
    (found,) = failing([swallowed, swallowed, visit(call(LIST))])
    assert "42P01 in 2 of 3" in found.said
    assert failing([swallowed, visit(call(LIST)), visit(call(LIST))]) == []
