"""The room on disk that growing takes, computed before anything is copied."""

from __future__ import annotations

from loadpath.growing.schema import Schema

_LOG_RATIO = 3  # rows, their pages whole after a checkpoint, their indexes
SPARE = 1.1
"""Pages are not filled alike by copying, and statistics and maps are on disk too."""


def needed_bytes(
    schema: Schema, multiplying: frozenset[str], factor: int, wal_bytes: int = 0
) -> int:
    """The most that is on disk at any time beside what is there now.

    That is the clone; what its tables and their indexes grow by; the sort of its largest index,
    which is built from all rows in a file of about its own size, twice where it is merged; and the
    write-ahead log, of which the server keeps `wal_bytes` at most.
    """
    grown = sum(schema.table(name).bytes for name in multiplying) * (factor - 1)
    largest = max((schema.table(name).largest_index_bytes for name in multiplying), default=0)
    wal = min(wal_bytes, _LOG_RATIO * (schema.bytes + grown))
    return int((schema.bytes + grown) * SPARE + 2 * largest * factor + wal)
