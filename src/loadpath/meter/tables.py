"""What was metered, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from loadpath.recording.schema import HOST, PROCESSES, THREADS, TableSchema

Columns: TypeAlias = dict[str, np.ndarray[Any, Any]]


class MeterTables(msgspec.Struct, frozen=True):
    """Columns of the tables `threads`, `processes` and `host`, as docs/reference/recording.md."""

    threads: Columns
    processes: Columns
    host: Columns


class Tick(msgspec.Struct, frozen=True):
    """One sample: rows in the order of the columns of their table."""

    host: tuple[Any, ...]
    processes: list[tuple[Any, ...]]
    threads: list[tuple[Any, ...]]


def to_tables(ticks: Sequence[Tick]) -> MeterTables:
    """The rows of samples as columns."""
    return MeterTables(
        threads=_columns(THREADS, [row for tick in ticks for row in tick.threads]),
        processes=_columns(PROCESSES, [row for tick in ticks for row in tick.processes]),
        host=_columns(HOST, [tick.host for tick in ticks]),
    )


def _columns(table: TableSchema, rows: Sequence[tuple[Any, ...]]) -> Columns:
    columns: Columns = {}
    for place, column in enumerate(table.columns):
        kind = "O" if column.type == "text" else column.type
        columns[column.name] = np.array([row[place] for row in rows], dtype=kind)
    return columns
