"""Tables as Parquet files, written whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from loadpath.errors import RecordingError
from loadpath.recording.files import PARTIAL_SUFFIX, damaged, unwritable
from loadpath.recording.schema import REQUESTS, SCHEMA_VERSION, ColumnType, TableSchema

_ARROW: dict[ColumnType, pa.DataType] = {
    "u1": pa.uint8(),
    "u2": pa.uint16(),
    "u4": pa.uint32(),
    "u8": pa.uint64(),
    "f8": pa.float64(),
    "bool": pa.bool_(),
    "text": pa.dictionary(pa.int32(), pa.string()),
}


def arrow_schema(table: TableSchema) -> pa.Schema:
    """The Arrow schema of a table; each field's metadata holds its `unit` and `description`."""
    return pa.schema(
        [
            pa.field(
                column.name,
                _ARROW[column.type],
                nullable=False,
                metadata={"unit": column.unit, "description": column.description},
            )
            for column in table.columns
        ],
        metadata={
            "loadpath_table": table.name,
            "loadpath_schema_version": str(SCHEMA_VERSION),
        },
    )


def write_requests(path: Path, columns: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write the rows of one segment, columns as in `schema.REQUESTS`, all of one length.

    The file appears under its name only when it is complete. Raises `RecordingError` when it cannot
    be written, `ValueError` when a column is missing, unknown, or does not fit its type.
    """
    write_table(path, REQUESTS, columns)


def read_requests(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The rows of one segment, as `write_requests` takes them. Raises `RecordingError`."""
    return read_table(path, REQUESTS)


def write_table(path: Path, table: TableSchema, columns: Mapping[str, npt.ArrayLike]) -> None:
    """Write a table; as `write_requests`, for any schema."""
    content = _content(table, columns)
    file = TableFile(path, table)
    try:
        file.append_content(content)
        file.close()
    except BaseException:
        file.abandon()
        raise


class TableFile:
    """A table written piece by piece, which has its name only once it is closed.

    Every method raises `RecordingError` when the disk does not take it. Not for two threads at
    once.
    """

    def __init__(self, path: Path, table: TableSchema) -> None:
        self._path = path
        self._table = table
        self._partial = path.with_name(path.name + PARTIAL_SUFFIX)
        try:
            self._writer: pq.ParquetWriter | None = pq.ParquetWriter(
                self._partial, arrow_schema(table), compression="zstd", compression_level=1
            )
        except OSError as error:
            self._writer = None
            self.abandon()
            raise unwritable(path, error) from error

    def append(self, columns: Mapping[str, npt.ArrayLike]) -> None:
        """Add rows, columns as in the schema. Raises `ValueError` when they do not fit it."""
        self.append_content(_content(self._table, columns))

    def append_content(self, content: pa.Table) -> None:
        """Add rows that are an Arrow table already."""
        assert self._writer is not None, "the file is closed"
        try:
            self._writer.write_table(content)
        except OSError as error:
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        """Finish it; it has its name then."""
        writer, self._writer = self._writer, None
        assert writer is not None, "the file is closed"
        try:
            writer.close()
            self._partial.replace(self._path)
        except OSError as error:
            self.abandon()
            raise unwritable(self._path, error) from error

    def abandon(self) -> None:
        """Give it up; nothing is left of it. One that was closed stays."""
        writer, self._writer = self._writer, None
        with contextlib.suppress(OSError):
            if writer is not None:
                writer.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)


def read_table(path: Path, table: TableSchema) -> dict[str, np.ndarray[Any, Any]]:
    """One file's columns; columns this version does not know are left out.

    Raises `RecordingError` when the file is absent, damaged, or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            missing = sorted(c.name for c in table.columns if not (c.name in there or c.optional))
            if missing:
                raise RecordingError(f"{path} lacks the columns {', '.join(missing)}")
            content = file.read(columns=[c.name for c in table.columns if c.name in there])
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(f"{path} cannot be read: {error}") from error
    return {
        c.name: _to_numpy(c.type, content.column(c.name))
        if c.name in there
        else np.zeros(len(content), dtype=numpy_type(c.type))
        for c in table.columns
    }


def empty_columns(table: TableSchema) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a table without rows."""
    return {c.name: np.empty(0, dtype=numpy_type(c.type)) for c in table.columns}


def numpy_type(kind: ColumnType) -> np.dtype[Any]:
    """What a column of that type is in memory."""
    return np.dtype({"bool": "?", "text": "O"}.get(kind, kind))


def _content(table: TableSchema, columns: Mapping[str, npt.ArrayLike]) -> pa.Table:
    if set(columns) != set(table.column_names()):
        missing = sorted(set(table.column_names()) - set(columns))
        unknown = sorted(set(columns) - set(table.column_names()))
        raise ValueError(f"{table.name}: columns missing {missing}, unknown {unknown}")
    arrays = [_to_arrow(f"{table.name}.{c.name}", c.type, columns[c.name]) for c in table.columns]
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"{table.name}: columns of different lengths {sorted(lengths)}")
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table))


def _to_numpy(kind: ColumnType, column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if kind != "text":
        return np.asarray(column.to_numpy()).astype(numpy_type(kind), copy=False)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    # Through the dictionary, so that equal names share one string.
    chunks = [
        np.array(chunk.dictionary.to_pylist(), dtype=object)[np.asarray(chunk.indices)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=object)


def _to_arrow(where: str, kind: ColumnType, values: npt.ArrayLike) -> pa.Array:
    if kind == "text":
        return pa.array(np.asarray(values, dtype=object), type=pa.string()).dictionary_encode()
    given = np.asarray(values)
    if given.ndim != 1:
        raise ValueError(f"{where}: expected one dimension, got {given.ndim}")
    wanted = numpy_type(kind)
    if given.dtype == wanted:
        return pa.array(given)
    cast = given.astype(wanted)
    if given.size and not np.array_equal(cast.astype(given.dtype), given, equal_nan=kind == "f8"):
        raise ValueError(f"{where}: values of {given.dtype} do not fit {wanted}")
    return pa.array(cast)
