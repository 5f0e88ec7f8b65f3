"""Indexes worth a try: equality first, then one range or the order; none that is there already."""

from __future__ import annotations

import pytest

from loadpath.statements.candidates import Candidate, Existing, candidates, covers, referring
from loadpath.statements.reading import read


def ddl(shape: str, *existing: Existing) -> list[str]:
    return [each.ddl().partition(" ON ")[2] for each in candidates(read(shape), existing)]


def test_equality_comes_before_the_order_and_three_columns_are_enough() -> None:
    first, *_ = ddl("SELECT * FROM t WHERE a = $1 AND b = $2 ORDER BY c DESC, d LIMIT $3")
    assert first == "t (a, b, c DESC)"


def test_a_range_comes_last() -> None:
    assert "t (b, a)" in ddl("SELECT * FROM t WHERE a > $1 AND b = $2")


def test_a_constant_condition_makes_a_partial_one() -> None:
    said = ddl("SELECT * FROM t WHERE a = $1 AND gone IS NULL")
    assert "t (a) WHERE gone IS NULL" in said


def test_few_other_columns_make_a_covering_one() -> None:
    assert "t (a) INCLUDE (b)" in ddl("SELECT b FROM t WHERE a = $1")
    assert not any("INCLUDE" in each for each in ddl("SELECT * FROM t WHERE a = $1"))


def test_what_a_join_looks_up_is_tried() -> None:
    assert "v (link_id)" in ddl("SELECT * FROM l JOIN v ON v.link_id = l.id WHERE l.code = $1")


@pytest.mark.parametrize(
    ("there", "covered"),
    [
        (("a", "b"), True),
        (("a",), True),
        (("b", "a"), False),
        ((), False),
    ],
)
def test_what_begins_with_the_same_columns_is_there_already(
    there: tuple[str, ...], covered: bool
) -> None:
    assert covers(Existing(table="t", columns=there), Candidate(table="t", columns=("a",))) is (
        covered
    )


def test_a_partial_one_covers_only_what_has_its_condition() -> None:
    there = Existing(table="t", columns=("a",), where="gone IS NULL")
    assert not covers(there, Candidate(table="t", columns=("a",)))
    assert covers(there, Candidate(table="t", columns=("a",), where="gone IS NULL"))


def test_an_order_read_backward_is_the_same() -> None:
    there = Existing(table="t", columns=("a DESC", "b DESC"))
    assert covers(there, Candidate(table="t", columns=("a", "b")))
    assert not covers(there, Candidate(table="t", columns=("a", "b DESC")))


def test_foreign_keys_that_lead_to_what_is_deleted_are_tried() -> None:
    keys = [("v", ("link_id",), "l"), ("w", ("other_id",), "m")]
    assert referring("l", keys, ()) == [Candidate(table="v", columns=("link_id",))]
    assert referring("l", keys, [Existing(table="v", columns=("link_id", "at"))]) == []


def test_names_are_quoted_and_fit() -> None:
    made = Candidate(table="audit.Log", columns=("select me", "x" * 60))
    assert '"audit"."Log"' in made.ddl() or 'audit."Log"' in made.ddl()
    assert '"select me"' in made.ddl()
    assert len(made.name) <= 63
