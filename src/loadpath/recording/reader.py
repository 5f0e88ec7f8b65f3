"""Reading a recording, finished or not."""

from __future__ import annotations

import fcntl
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np

from loadpath.errors import RecordingError
from loadpath.events import AnyEvent
from loadpath.recording.faults import FaultRecord, OutageRecord
from loadpath.recording.files import damaged, read_lines
from loadpath.recording.functions import FunctionsRecord
from loadpath.recording.header import Header, Status, decode_header, setup_from
from loadpath.recording.holds import HoldsRecord
from loadpath.recording.schema import TABLES
from loadpath.recording.segment import SegmentRecord
from loadpath.recording.tables import empty_columns, read_table
from loadpath.recording.writer import (
    EVENTS_FILE,
    FAULTS_FILE,
    FUNCTIONS_FILE,
    GROWTH_FILE,
    HEADER_FILE,
    HOLDS_FILE,
    OUTAGES_FILE,
    SEGMENTS_FILE,
    table_path,
)
from loadpath.spec import Setup
from loadpath.statements.record import GrowthRecord

T = TypeVar("T")

Columns: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""A table in memory: arrays of one length by column name; text columns hold `str` objects."""


class Recording:
    """Everything one run observed, immutable. Tables are read from disk when asked for.

    `segments` are those that finished, in order. `status` is `interrupted` when the writer ended
    without saying so.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        setup: Setup,
        segments: tuple[SegmentRecord, ...],
        status: Status,
    ) -> None:
        self.directory = directory
        self.header = header
        self.setup = setup
        self.segments = segments
        self.status = status

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Open the recording in folder `path`.

        Raises `RecordingError` when there is none, it is damaged, or a newer Loadpath made it.
        """
        file = path / HEADER_FILE
        try:
            content = file.read_bytes()
        except OSError as error:
            raise RecordingError(
                f"{path} holds no recording: {HEADER_FILE}: {error.strerror}",
                advice="Give the folder of a run, or one in its recordings/ folder.",
            ) from error
        header = decode_header(content, str(file))
        status = header.status
        if status == "running" and not _is_locked(path / SEGMENTS_FILE):
            status = "interrupted"
        return cls(path, header, setup_from(header), _read_segments(path), status)

    @property
    def name(self) -> str:
        """What the recording is called within its run."""
        return self.header.name

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations, in the order that the column `operation` counts them."""
        return self.header.operations

    def segment(self, index: int) -> SegmentRecord:
        """The segment of that index. Raises `RecordingError` when it never finished."""
        for record in self.segments:
            if record.index == index:
                return record
        raise RecordingError(f"{self.directory} has no finished segment {index}")

    def events(self) -> tuple[AnyEvent, ...]:
        """What the run said while it happened. Raises `RecordingError` when damaged."""
        return tuple(_decode_lines(self.directory / EVENTS_FILE, AnyEvent))

    def holds(self) -> HoldsRecord | None:
        """What checking acknowledged items found; None when they were not checked."""
        return _decode_file(self.directory / HOLDS_FILE, HoldsRecord)

    def growth(self) -> GrowthRecord | None:
        """What was measured on grown data; None when nothing was grown."""
        return _decode_file(self.directory / GROWTH_FILE, GrowthRecord)

    def functions(self) -> FunctionsRecord | None:
        """What Python code the service ran near its knee; None when nobody looked."""
        return _decode_file(self.directory / FUNCTIONS_FILE, FunctionsRecord)

    def faults(self) -> tuple[FaultRecord, ...]:
        """What was done to the service and its dependencies, in order; none without faults."""
        return tuple(_decode_lines(self.directory / FAULTS_FILE, FaultRecord))

    def outages(self) -> tuple[OutageRecord, ...]:
        """What outages should come to, as it was foretold before they were made."""
        return tuple(_decode_lines(self.directory / OUTAGES_FILE, OutageRecord))

    def requests(self, index: int) -> Columns:
        """The requests of one finished segment. Raises `RecordingError`."""
        self.segment(index)
        return read_table(table_path(self.directory, "requests", index), TABLES["requests"])

    def exchanges(self, index: int) -> Columns:
        """What crossed the taps in one finished segment; no rows when there were none.

        Raises `RecordingError`.
        """
        self.segment(index)
        file = table_path(self.directory, "exchanges", index)
        table = TABLES["exchanges"]
        return read_table(file, table) if file.exists() else empty_columns(table)

    def connections(self, index: int) -> Columns:
        """The connections through taps in one segment, as `schema.CONNECTIONS`."""
        return self.table("connections", index)

    def shapes(self, index: int) -> dict[int, str]:
        """The texts, without values, that `shape` in the exchanges of one segment stands for."""
        columns = self.table("shapes", index)
        return dict(zip(columns["shape"].tolist(), columns["text"], strict=True))

    def threads(self) -> Columns:
        """CPU per thread over the whole recording, as `schema.THREADS`."""
        return self.table("threads")

    def processes(self) -> Columns:
        """CPU and memory per process over the whole recording, as `schema.PROCESSES`."""
        return self.table("processes")

    def host(self) -> Columns:
        """Where the machine's CPU time went over the whole recording, as `schema.HOST`."""
        return self.table("host")

    def postgres(self) -> Columns:
        """What PostgreSQL's backends did over the whole recording, as `schema.POSTGRES`."""
        return self.table("postgres")

    def table(self, name: str, index: int | None = None) -> Columns:
        """All files of one table, one after the other; no rows when it was not recorded.

        `index`: the file taken after that segment alone, which covers the segment.
        """
        pattern = "*.parquet" if index is None else f"{index:04d}.parquet"
        files = sorted((self.directory / name).glob(pattern))
        parts = [_read_once(file, name, file.stat().st_mtime_ns) for file in files]
        parts = parts or [empty_columns(TABLES[name])]
        return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


@lru_cache(maxsize=1024)
def _read_once(file: Path, table: str, written_ns: int) -> Columns:
    """A metered table's file, remembered: it is small, never changes, and is asked for again after
    every segment. `written_ns` tells it from another file of that name."""
    return read_table(file, TABLES[table])


def _read_segments(directory: Path) -> tuple[SegmentRecord, ...]:
    records = _decode_lines(directory / SEGMENTS_FILE, SegmentRecord)
    return tuple(sorted(records, key=lambda record: record.index))


def _decode_file(file: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise damaged(f"{file} is damaged: {error}") from error


def _decode_lines(path: Path, kind: Any) -> list[Any]:
    decoder = msgspec.json.Decoder(kind)
    values = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            values.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise damaged(f"{path}:{number} is damaged: {error}") from error
    return values


def _is_locked(path: Path) -> bool:
    """Whether a writer that lives holds the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
