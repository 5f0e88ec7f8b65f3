"""Statements are read for what they ask of each table."""

from __future__ import annotations

import pytest

from loadpath.statements.reading import Asked, read


def asked(shape: str, table: str) -> Asked:
    return next(each for each in read(shape).asked if each.table == table)


def test_conditions_joins_order_and_what_is_returned() -> None:
    found = asked(
        "SELECT v.id, v.bot FROM visit AS v JOIN link ON link.id = v.link_id "
        "WHERE link.code = $1 AND v.at >= $2 AND v.deleted_at IS NULL ORDER BY v.id DESC LIMIT $3",
        "visit",
    )
    assert found.joined == ("link_id",)
    assert found.ranged == ("at",)
    assert found.ordered == ("id DESC",)
    assert found.where == ("deleted_at IS NULL",)
    assert found.returned == ("bot", "deleted_at")


@pytest.mark.parametrize(
    "condition", ["a = $1", "$1 = a", "a IN ($1)", "a = ANY($1)", "a = $1::int", "(a = $1)"]
)
def test_each_way_to_say_equal(condition: str) -> None:
    assert asked(f"SELECT * FROM t WHERE {condition}", "t").equal == ("a",)


def test_keyset_paging_bounds_the_first_column_of_the_row() -> None:
    assert asked("SELECT a FROM t WHERE (a, b) < ($1, $2)", "t").ranged == ("a",)


def test_a_condition_that_no_index_serves_asks_for_nothing() -> None:
    found = asked("SELECT * FROM t WHERE a LIKE $1 OR b = $2", "t")
    assert (found.equal, found.ranged) == ((), ())


@pytest.mark.parametrize(
    ("shape", "limited"),
    [
        ("SELECT a FROM t", False),
        ("SELECT a FROM t LIMIT $1", True),
        ("SELECT max(a) FROM t", True),
        ("SELECT a, count(*) FROM t GROUP BY a", False),
        ("UPDATE t SET a = $1", True),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
    ],
)
def test_what_bounds_its_rows(shape: str, limited: bool) -> None:
    assert read(shape).limited is limited


@pytest.mark.parametrize(
    ("shape", "counts"),
    [
        ("SELECT count(*) FROM t WHERE a = $1", True),
        ("SELECT count(*) FROM (SELECT 1 FROM t LIMIT $1) AS few", False),
        ("SELECT a, count(*) FROM t GROUP BY a", False),
        ("SELECT a FROM t", False),
    ],
)
def test_what_counts_over_everything(shape: str, counts: bool) -> None:
    assert read(shape).counts is counts


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        ("INSERT INTO t (a) VALUES ($1)", "t"),
        ("UPDATE audit.t SET a = $1 WHERE b = $2", "audit.t"),
        ("DELETE FROM t WHERE a = $1", "t"),
        ("SELECT a FROM t", ""),
    ],
)
def test_which_table_is_written(shape: str, written: str) -> None:
    assert read(shape).written == ((written,) if written else ())


def test_what_is_no_sql_has_no_verb() -> None:
    assert read("SELECT FROM WHERE ((").verb == ""
