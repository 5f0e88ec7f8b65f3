"""Parquet files of a recording: whole or absent, and readable by other tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.errors import RecordingError
from loadpath.recording import write_requests
from loadpath.recording.schema import HOST, REQUESTS, SHAPES, TABLES, THREADS, TableSchema
from loadpath.recording.tables import (
    TableFile,
    empty_columns,
    numpy_type,
    read_table,
    write_table,
)


def requests(rows: int = 3) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of requests; the last one never finished."""
    columns = {c.name: np.zeros(rows, numpy_type(c.type)) for c in REQUESTS.columns}
    columns["intended_s"] = 100.0 + np.arange(rows) / 10
    columns["done_s"] = columns["intended_s"] + 0.004
    columns["key"] = np.arange(rows, dtype=np.uint64) + np.uint64(1 << 63)
    columns["last"][:] = True
    if rows:
        columns["done_s"][-1] = np.nan
        columns["error"][-1] = 6
    return columns


def test_requests_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Every column keeps its values and its type, nan and 64-bit keys included."""
    written = requests(1000)
    write_requests(tmp_path / "0000.parquet", written)
    read = read_table(tmp_path / "0000.parquet", REQUESTS)
    assert list(read) == list(REQUESTS.column_names())
    for name, values in written.items():
        assert read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values)


def test_a_segment_without_requests_has_a_file(tmp_path: Path) -> None:
    """Zero rows are written and read like any other number."""
    write_requests(tmp_path / "0000.parquet", requests(0))
    assert len(read_table(tmp_path / "0000.parquet", REQUESTS)["done_s"]) == 0


def test_wider_integers_that_fit_are_narrowed(tmp_path: Path) -> None:
    """An engine may hand over plain int64 arrays."""
    columns = requests(2)
    columns["status"] = np.array([200, 503], dtype=np.int64)
    write_requests(tmp_path / "0000.parquet", columns)
    assert read_table(tmp_path / "0000.parquet", REQUESTS)["status"].tolist() == [200, 503]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("status", np.array([200, 70_000, 0]), r"requests\.status: .* do not fit uint16"),
        ("status", np.array([200, -1, 0]), r"requests\.status"),
        ("bytes", np.array([0.5, 1, 2]), r"requests\.bytes"),
        ("done_s", np.zeros(2), "different lengths"),
        ("done_s", np.zeros((3, 1)), "one dimension"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, values: np.ndarray[Any, Any], message: str
) -> None:
    """A value is never cut to fit its column."""
    with pytest.raises(ValueError, match=message):
        write_requests(tmp_path / "0000.parquet", {**requests(3), name: values})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_unknown_columns_are_named(tmp_path: Path) -> None:
    """The message says which."""
    columns = requests()
    columns["done"] = columns.pop("done_s")
    with pytest.raises(ValueError, match=r"missing \['done_s'\], unknown \['done'\]"):
        write_requests(tmp_path / "0000.parquet", columns)


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=30))
def test_text_of_any_kind_survives(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """Thread names hold whatever a process calls itself."""
    path = tmp_path_factory.mktemp("text") / "0000.parquet"
    columns: dict[str, Any] = {c: np.zeros(len(names)) for c in THREADS.column_names()}
    write_table(path, THREADS, {**columns, "part": ["service"] * len(names), "name": names})
    assert read_table(path, THREADS)["name"].tolist() == names


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_units_and_meaning_travel_with_the_file(tmp_path: Path, table: TableSchema) -> None:
    """Somebody who has only the Parquet file can read what a column means."""
    write_table(tmp_path / "0000.parquet", table, empty_columns(table))
    schema = pq.read_schema(tmp_path / "0000.parquet")
    assert schema.metadata[b"loadpath_table"].decode() == table.name
    for column in table.columns:
        metadata = schema.field(column.name).metadata
        assert metadata[b"unit"].decode() == column.unit
        assert metadata[b"description"].decode() == column.description


def test_duckdb_reads_a_quantile(tmp_path: Path) -> None:
    """The query that docs/reference/recording.md shows, on rows whose answer is known."""
    columns = requests(100)
    columns["done_s"] = columns["intended_s"] + np.arange(1, 101) / 1000
    write_requests(tmp_path / "0000.parquet", columns)
    found = duckdb.sql(
        f"""SELECT operation, count(*), quantile_disc(done_s - intended_s, 0.99)
        FROM '{tmp_path}/*.parquet' WHERE step = 0 AND last GROUP BY operation"""
    )
    assert found is not None
    (row,) = found.fetchall()
    assert row[:2] == (0, 100)
    assert row[2] == pytest.approx(0.099)


def test_pandas_reads_it(tmp_path: Path) -> None:
    """Names come as categories, figures as figures."""
    write_table(
        tmp_path / "0000.parquet",
        THREADS,
        {
            **{c: [1, 2] for c in THREADS.column_names()},
            "part": ["service", "service"],
            "name": ["granian", "tokio"],
        },
    )
    frame = pd.read_parquet(tmp_path / "0000.parquet")
    assert frame.groupby("part", observed=True)["cpu_s"].sum().to_dict() == {"service": 3.0}
    assert frame["name"].tolist() == ["granian", "tokio"]


def test_a_file_that_grows_has_its_name_only_in_the_end(tmp_path: Path) -> None:
    """Rows stay in the order in which they were appended."""
    path = tmp_path / "0000.parquet"
    file = TableFile(path, SHAPES)
    for n in range(3):
        file.append({"segment": [7], "shape": [n], "tap": ["database"], "text": [f"SELECT {n}"]})
        assert not path.exists()
    file.close()
    read = read_table(path, SHAPES)
    assert read["shape"].tolist() == [0, 1, 2]
    assert read["text"].tolist() == ["SELECT 0", "SELECT 1", "SELECT 2"]
    assert [found.name for found in tmp_path.iterdir()] == ["0000.parquet"]


def test_nothing_is_left_of_a_file_that_is_abandoned(tmp_path: Path) -> None:
    """Whether or not it has rows."""
    file = TableFile(tmp_path / "0000.parquet", SHAPES)
    file.append({"segment": [7], "shape": [1], "tap": ["it"], "text": ["x"]})
    file.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """A file cut short, say by a bad copy."""
    path = tmp_path / "0000.parquet"
    write_requests(path, requests())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordingError, match=r"0000\.parquet cannot be read"):
        read_table(path, REQUESTS)


def test_a_file_from_before_a_column_was_added_is_read_with_zeros(tmp_path: Path) -> None:
    """A recording of the first version has no identities."""
    older = TableSchema("requests", "", tuple(c for c in REQUESTS.columns if c.name != "identity"))
    columns = requests()
    del columns["identity"]
    write_table(tmp_path / "0000.parquet", older, columns)
    read = read_table(tmp_path / "0000.parquet", REQUESTS)
    assert read["identity"].tolist() == [0] * len(columns["key"])
    assert read["identity"].dtype == np.uint64
    assert read["key"].tolist() == columns["key"].tolist()


def test_a_file_of_another_table_is_refused(tmp_path: Path) -> None:
    """The missing columns are named."""
    write_table(tmp_path / "0000.parquet", HOST, empty_columns(HOST))
    with pytest.raises(RecordingError, match="lacks the columns blocked, bytes"):
        read_table(tmp_path / "0000.parquet", REQUESTS)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from loadpath.errors import RecordingError
from loadpath.recording.schema import REQUESTS
from loadpath.recording.tables import numpy_type, write_requests
path = Path(sys.argv[1])
def columns(rows):
    random = np.random.default_rng(1)
    made = {c.name: np.zeros(rows, numpy_type(c.type)) for c in REQUESTS.columns}
    return {**made, "done_s": random.random(rows)}
write_requests(path, columns(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_requests(path, columns(100_000))
except RecordingError as error:
    print(error, "|", error.advice)
"""


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path: Path) -> None:
    """Here a limit on the size of files stands for a full disk; the failing write is the same."""
    path = tmp_path / "0000.parquet"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert "0000.parquet could not be written: File too large" in done.stdout
    assert "Make room" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["0000.parquet"]
    assert len(read_table(path, REQUESTS)["done_s"]) == 10
