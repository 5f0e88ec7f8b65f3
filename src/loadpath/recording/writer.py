"""Writing a recording while it happens, so that what was seen survives whatever ends the run."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol

import msgspec
import numpy.typing as npt

from loadpath.errors import RecordingError
from loadpath.events import AnyEvent
from loadpath.recording.faults import FaultRecord, OutageRecord
from loadpath.recording.files import LineFile, replace_with, unwritable
from loadpath.recording.functions import FunctionsRecord
from loadpath.recording.header import ClockMapping, Header, Machine, Status, to_builtins
from loadpath.recording.holds import HoldsRecord
from loadpath.recording.redact import redact_setup
from loadpath.recording.schema import SCHEMA_VERSION, TABLES
from loadpath.recording.segment import SegmentRecord
from loadpath.recording.tables import write_table
from loadpath.spec import Setup
from loadpath.statements.record import GrowthRecord

HEADER_FILE = "recording.json"
SEGMENTS_FILE = "segments.jsonl"
EVENTS_FILE = "events.jsonl"
HOLDS_FILE = "holds.json"
FAULTS_FILE = "faults.jsonl"
GROWTH_FILE = "growth.json"
OUTAGES_FILE = "outages.jsonl"
FUNCTIONS_FILE = "functions.json"


class MeterTables(Protocol):
    """Columns of the three tables that a meter fills."""

    @property
    def threads(self) -> Mapping[str, npt.ArrayLike]: ...
    @property
    def processes(self) -> Mapping[str, npt.ArrayLike]: ...
    @property
    def host(self) -> Mapping[str, npt.ArrayLike]: ...


class RecordingWriter:
    """One recording being made. Use it as a context manager: leaving by an exception marks it
    interrupted, leaving otherwise complete.

    Everything is on disk when a method returns. While the writer lives it holds a lock on
    segments.jsonl, by which a reader tells a running recording from one that was killed.
    Every method raises `RecordingError` when the disk does not take what it is given; what was
    written before stays readable.
    """

    def __init__(self, directory: Path, header: Header) -> None:
        self.directory = directory
        self._header = header
        self._finished = False
        self._segments = LineFile(directory / SEGMENTS_FILE)
        self._events = LineFile(directory / EVENTS_FILE)
        self._faults: LineFile | None = None
        self._outages: LineFile | None = None
        fcntl.flock(self._segments.fd, fcntl.LOCK_EX)
        self._write_header()

    @classmethod
    def create(
        cls,
        directory: Path,
        setup: Setup,
        *,
        name: str,
        machine: Machine,
        loadpath_version: str = "",
    ) -> RecordingWriter:
        """Begin a recording in `directory`, which is made (its parents too) and must be empty.

        The setup is stored without its secrets.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise RecordingError(
                    f"{directory} is not empty; a recording needs a folder of its own"
                )
            for table in TABLES:
                (directory / table).mkdir()
        except OSError as error:
            raise unwritable(directory, error) from error
        header = Header(
            schema_version=SCHEMA_VERSION,
            name=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            status="running",
            seed=setup.seed,
            operations=tuple(operation.name for operation in setup.workload.operations),
            clock=ClockMapping.now(),
            machine=machine,
            setup=to_builtins(redact_setup(setup)),
            loadpath_version=loadpath_version,
        )
        return cls(directory, header)

    def requests_path(self, index: int) -> Path:
        """Where the engine writes the requests of segment `index`."""
        return table_path(self.directory, "requests", index)

    def exchanges_path(self, index: int) -> Path:
        """Where the taps write the exchanges of segment `index`."""
        return table_path(self.directory, "exchanges", index)

    def connections_path(self, index: int) -> Path:
        """Where the taps write the connections of segment `index`."""
        return table_path(self.directory, "connections", index)

    def shapes_path(self, index: int) -> Path:
        """Where the taps write the shapes that the exchanges of segment `index` name."""
        return table_path(self.directory, "shapes", index)

    def writes_path(self, index: int) -> Path:
        """Where the engine writes what was tried to write in segment `index`."""
        return table_path(self.directory, "writes", index)

    def reads_path(self, index: int) -> Path:
        """Where the engine writes what was read back in segment `index`."""
        return table_path(self.directory, "reads", index)

    def replies_path(self, index: int) -> Path:
        """Where the engine writes what replies said in segment `index`."""
        return table_path(self.directory, "replies", index)

    def variants_path(self, index: int) -> Path:
        """Where the engine writes how requests of segment `index` fared when asked otherwise."""
        return table_path(self.directory, "variants", index)

    def effects_path(self, index: int) -> Path:
        """Where the engine writes the effects that were there after segment `index`."""
        return table_path(self.directory, "effects", index)

    def append_segment(self, record: SegmentRecord) -> None:
        """Add a finished segment. Its requests file must be there: readers see it from now on."""
        self._segments.append(record)

    def append_event(self, event: AnyEvent) -> None:
        """Add an event; usable as an `EventSink`."""
        self._events.append(event)

    def append_fault(self, record: FaultRecord) -> None:
        """Add what was done during a segment, once it is over."""
        if self._faults is None:
            self._faults = LineFile(self.directory / FAULTS_FILE)
        self._faults.append(record)

    def append_outage(self, record: OutageRecord) -> None:
        """Add what an outage should come to, before it is made."""
        if self._outages is None:
            self._outages = LineFile(self.directory / OUTAGES_FILE)
        self._outages.append(record)

    def write_holds(self, record: HoldsRecord) -> None:
        """Write what checking acknowledged items found, as `holds.json` has it."""
        replace_with(self.directory / HOLDS_FILE, msgspec.json.encode(record) + b"\n")

    def write_growth(self, record: GrowthRecord) -> None:
        """Write what was measured on grown data."""
        replace_with(self.directory / GROWTH_FILE, msgspec.json.encode(record) + b"\n")

    def write_functions(self, record: FunctionsRecord) -> None:
        """Write what Python code the service ran."""
        replace_with(self.directory / FUNCTIONS_FILE, msgspec.json.encode(record) + b"\n")

    def write_table(self, table: str, index: int, columns: Mapping[str, npt.ArrayLike]) -> None:
        """Write one file of the table named `table`; `index` is the segment it was taken after."""
        write_table(table_path(self.directory, table, index), TABLES[table], columns)

    def write_tables(self, index: int, tables: MeterTables) -> None:
        """Write what was metered during segment `index`."""
        self.write_table("threads", index, tables.threads)
        self.write_table("processes", index, tables.processes)
        self.write_table("host", index, tables.host)

    def note_dependencies(self, products: Mapping[str, str]) -> None:
        """Keep what the dependencies turned out to be: `PostgreSQL 18.6` by name."""
        self._header = msgspec.structs.replace(self._header, dependencies=dict(products))
        self._write_header()

    def finish(self, status: Status = "complete") -> None:
        """End the recording; nothing may be added then. Calling it again changes nothing."""
        if self._finished:
            return
        self._finished = True
        self._header = msgspec.structs.replace(self._header, status=status)
        try:
            self._write_header()
        finally:
            for lines in (self._faults, self._outages):
                if lines is not None:
                    lines.close()
            self._events.close()
            self._segments.close()

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish("complete" if kind is None else "interrupted")

    def _write_header(self) -> None:
        content = msgspec.json.format(msgspec.json.encode(self._header), indent=2)
        replace_with(self.directory / HEADER_FILE, content + b"\n")


def table_path(directory: Path, table: str, index: int) -> Path:
    """The file of a table that belongs to segment `index`."""
    return directory / table / f"{index:04d}.parquet"
