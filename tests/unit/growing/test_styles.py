"""Which way of making a key anew fits which column."""

from __future__ import annotations

from typing import Any

import pytest

from loadpath.growing.room import needed_bytes
from loadpath.growing.schema import Column, Schema, Table, literal, quoted
from loadpath.growing.styles import styles


def column(kind: str, base: str, **more: Any) -> Column:
    return Column(name="c", type=base, base=base, kind=kind, **more)  # type: ignore[arg-type]


def names(*columns: Column, factor: int = 16, rows: int = 1000, back: bool = False) -> list[str]:
    return [style.name for style in styles(columns, factor, rows, back=back)]


def test_numbers_go_on_above_until_their_type_ends() -> None:
    small = column("integer", "smallint", lowest=1, highest=2000)
    assert names(small) == ["above"]
    assert names(small, factor=17) == []
    # One end of a foreign key is smaller than the other: the smaller counts.
    assert names(column("integer", "bigint", lowest=1, highest=2500), small) == []


def test_sparse_keys_stay_near_and_go_back_with_history() -> None:
    sparse = column("integer", "bigint", lowest=2**61, highest=2**61 + 10**12)
    assert names(sparse)[0] == "near"
    assert names(sparse, back=True)[0] == "below"
    # What a sequence numbers holds no time, however many numbers were left out.
    numbered = column("integer", "bigint", lowest=1, highest=10**12, numbered=True)
    assert names(numbered, back=True) == ["above"]


def test_a_numeric_key_has_room_up_to_its_precision() -> None:
    assert names(column("numeric", "numeric(4,0)", lowest=1, highest=600)) == ["above"]
    assert names(column("numeric", "numeric(4,0)", lowest=1, highest=700)) == []
    assert names(column("numeric", "numeric", lowest=1, highest=10**30)) == ["above"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ({"shortest": 3, "longest": 9}, "suffix"),
        ({"shortest": 3, "longest": 9, "length_max": 12}, "suffix"),
        ({"shortest": 3, "longest": 10, "length_max": 12}, "suffix-digits"),
        ({"shortest": 36, "longest": 36}, "hash-uuid"),
        ({"shortest": 40, "longest": 40, "length_max": 40}, "hash"),
        ({"shortest": 7, "longest": 7, "length_max": 7}, "rotate"),
    ],
)
def test_a_text_is_marked_where_there_is_room(text: dict[str, int], first: str) -> None:
    assert names(column("text", "text", **text))[0] == first


def test_what_has_no_other_values_has_no_way() -> None:
    assert names(column("boolean", "boolean")) == []
    assert names(column("text", "text", generated="lower(other)")) == []
    assert names(column("integer", "integer"), column("text", "text")) == []


def test_names_and_texts_are_quoted_as_sql_wants_them() -> None:
    assert quoted('a "b"') == '"a ""b"""'
    assert literal("it's") == "'it''s'"
    assert literal("a\\b") == " E'a\\\\b'"


def test_room_is_the_clone_what_it_grows_by_a_sort_and_the_log() -> None:
    table = Table(name="t", sql="t", columns=(), rows=1, bytes=1000, largest_index_bytes=100)
    schema = Schema(database="d", version=180000, bytes=5000, tables=(table,))
    # 5,000 and three times 1,000 more, with a tenth to spare; the index sorted, twice.
    assert needed_bytes(schema, frozenset({"t"}), 4) == (5000 + 3000) * 11 // 10 + 2 * 100 * 4
    assert needed_bytes(schema, frozenset(), 4) == 5500
    assert needed_bytes(schema, frozenset(), 4, wal_bytes=100) == 5600
