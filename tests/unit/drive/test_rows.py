"""Rows packed while load runs come out as the columns that are recorded."""

from __future__ import annotations

import numpy as np

from loadpath.drive.rows import RowBuffer, columns, digests
from loadpath.recording.schema import REQUESTS


def test_rows_come_back_in_order_across_blocks() -> None:
    buffer = RowBuffer()
    count = 20_000
    for i in range(count):
        buffer.add(0.5, i, i + 1, i + 2, i + 3, 7 * i, i, 3, 4, 5, 200, 0, i % 2, 1, 2)
    assert len(buffer) == count
    rows = buffer.since(0)
    assert rows["intended_s"].tolist() == list(range(count))
    assert rows["key"].tolist() == [7 * i for i in range(count)]
    for since in (0, 1, 8191, 8192, 8193, 19_999, 20_000):
        assert buffer.since(since)["flow"].tolist() == list(range(since, count))
    zeros = np.zeros(count, dtype=np.uint64)
    made = columns(rows, 9, zeros, zeros + np.uint64(7), {3: 5})
    assert made["messages"].tolist()[:5] == [0, 0, 0, 5, 0]
    assert set(made) == set(REQUESTS.column_names())
    assert {name: column.dtype.str[1:] for name, column in made.items()} == {
        column.name: {"bool": "b1"}.get(column.type, column.type) for column in REQUESTS.columns
    }
    assert set(made["segment"].tolist()) == {9}
    assert made["last"].tolist()[:2] == [False, True]
    assert set(made["key"].tolist()) == {0}
    assert set(made["identity"].tolist()) == {7}


def test_every_field_holds_its_largest_value() -> None:
    buffer = RowBuffer()
    u4 = (1 << 32) - 1
    buffer.add(
        1.0, 1.0, float("nan"), 1.0, 1.0, (1 << 64) - 1, u4, u4, u4, 65535, 999, 255, True, 2, 7
    )
    (row,) = buffer.since(0)
    assert row["flow"] == row["bytes"] == row["connection"] == u4
    assert np.isnan(row["sent_s"])


def test_a_buffer_without_rows_gives_empty_columns() -> None:
    rows = RowBuffer().since(0)
    none = np.zeros(0, dtype=np.uint64)
    made = columns(rows, 0, none, none, {})
    assert {len(column) for column in made.values()} == {0}


def test_digests_are_of_the_text_and_of_the_salt() -> None:
    texts = {1: "a", 2: "b", 3: "a"}
    codes = np.array([1, 0, 2, 3, 1], dtype=np.uint64)
    made = digests(codes, texts.__getitem__, b"salt")
    assert made[1] == 0
    assert made[0] == made[3] == made[4] != made[2]
    assert made.dtype == np.uint64
    other = digests(codes, texts.__getitem__, b"pepper")
    assert other[1] == 0 and other[0] != made[0]
    assert len(digests(codes[:0], texts.__getitem__, b"salt")) == 0
