"""The on-disk format of what a run observed: writing it, reading it, redacting it.

Names are imported when first asked for, because pyarrow costs 0.2 s and `redact` needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadpath.recording.faults import FaultRecord, OutageRecord, ReadyLook
    from loadpath.recording.functions import Frame, FunctionsRecord, Stack
    from loadpath.recording.header import ClockMapping, Header, Machine, Status
    from loadpath.recording.holds import HoldCount, HoldsRecord
    from loadpath.recording.reader import Recording
    from loadpath.recording.runs import Run, RunInfo
    from loadpath.recording.schema import SCHEMA_VERSION, Blocked, RequestError
    from loadpath.recording.segment import SegmentRecord
    from loadpath.recording.tables import read_requests, read_table, write_requests, write_table
    from loadpath.recording.writer import RecordingWriter

_HOME = {
    "SCHEMA_VERSION": "schema",
    "Blocked": "schema",
    "ClockMapping": "header",
    "FaultRecord": "faults",
    "Frame": "functions",
    "FunctionsRecord": "functions",
    "Header": "header",
    "HoldCount": "holds",
    "HoldsRecord": "holds",
    "Machine": "header",
    "OutageRecord": "faults",
    "ReadyLook": "faults",
    "Recording": "reader",
    "RecordingWriter": "writer",
    "RequestError": "schema",
    "Run": "runs",
    "RunInfo": "runs",
    "SegmentRecord": "segment",
    "Stack": "functions",
    "Status": "header",
    "read_requests": "tables",
    "read_table": "tables",
    "write_requests": "tables",
    "write_table": "tables",
}

__all__ = [
    "SCHEMA_VERSION",
    "Blocked",
    "ClockMapping",
    "FaultRecord",
    "Frame",
    "FunctionsRecord",
    "Header",
    "HoldCount",
    "HoldsRecord",
    "Machine",
    "OutageRecord",
    "ReadyLook",
    "Recording",
    "RecordingWriter",
    "RequestError",
    "Run",
    "RunInfo",
    "SegmentRecord",
    "Stack",
    "Status",
    "read_requests",
    "read_table",
    "write_requests",
    "write_table",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
