"""A recording of a crash made by hand: a control, a fault, and what came of its writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden_recordings import blank, setup
from golden_wires import MACHINE, Request, _write, depending

from loadpath.recording import (
    FaultRecord,
    OutageRecord,
    ReadyLook,
    Recording,
    RecordingWriter,
    SegmentRecord,
    write_requests,
)
from loadpath.recording.schema import (
    CONNECTIONS,
    EFFECTS,
    EXCHANGES,
    PROCESSES,
    REQUESTS,
    SHAPES,
    WRITES,
    RequestError,
)
from loadpath.spec import Setup

RATE = 100
READ, WRITE = "GET /items", "POST /items"
Bad = Callable[[float], bool]


def never(at_s: float) -> bool:
    return False


def between(from_s: float, to_s: float) -> Bad:
    """Bad when due within that stretch."""
    return lambda at_s: from_s <= at_s < to_s


class Crash:
    """Segments, each begun 100 s after the one before; even requests read, odd ones write."""

    def __init__(self, folder: Path, made: Setup | None = None) -> None:
        self.setup = made or depending(setup(READ, WRITE), database="postgres")
        self.writer = RecordingWriter.create(folder, self.setup, name="crash-1", machine=MACHINE)
        self.count = 0

    def visits(self, requests: Sequence[Request]) -> None:
        """Each operation alone, from 0.5 s on."""
        _write(self.writer, self.count, self.setup, requests, {}, {})
        self._segment("probe", 0.0, 20.0, {}, len(requests))

    def drive(
        self,
        purpose: str,
        lasts_s: float,
        *,
        bad: Bad = never,
        stuck_until_s: float | None = None,
        rate: int = RATE,
        calls: int = 0,
    ) -> float:
        """Load; what is `bad` fails at once or is answered at `stuck_until_s`, one each 2 ms.
        Returns when it began. `calls` are exchanges on the wire of the database, evenly spread."""
        index, began_s = self.count, 100.0 * self.count
        due = began_s + np.arange(0, lasts_s, 1 / rate)
        ill = np.array([bad(at - began_s) for at in due], bool)
        done = due + 0.005
        if stuck_until_s is not None:
            done = np.where(ill, began_s + stuck_until_s + 0.002 * np.cumsum(ill), done)
        rows = blank(REQUESTS, len(due))
        rows["segment"][:] = index
        rows["operation"] = (np.arange(len(due)) % 2).astype("u2")
        rows["flow"] = np.arange(len(due), dtype="u4")
        rows["last"][:] = True
        rows["intended_s"], rows["sent_s"], rows["done_s"] = due, due, done
        if stuck_until_s is None:
            rows["error"] = np.where(ill, RequestError.RESET, 0).astype("u1")
            rows["done_s"] = np.where(ill, np.nan, done)
        write_requests(self.writer.requests_path(index), rows)
        self._wires(index, began_s, lasts_s, calls)
        self._segment(purpose, began_s, lasts_s, {"kind": "open", "rate_per_s": float(rate)}, 0)
        return began_s

    def _wires(self, index: int, began_s: float, lasts_s: float, calls: int) -> None:
        table: dict[str, Any] = blank(EXCHANGES, calls)
        table["segment"][:] = index
        table["tap"][:] = "database"
        table["verb"][:] = "query"
        table["shape"][:] = 1
        table["began_s"] = began_s + lasts_s * np.arange(calls) / max(calls, 1)
        table["ended_s"] = table["began_s"] + 0.001
        self.writer.write_table("exchanges", index, table)
        shapes = blank(SHAPES, 1)
        shapes["segment"][:], shapes["shape"][:] = index, 1
        shapes["tap"][:], shapes["text"][:] = "database", "SELECT item"
        self.writer.write_table("shapes", index, shapes)
        self.writer.write_table("connections", index, blank(CONNECTIONS, 0))

    def _segment(
        self, purpose: str, began_s: float, lasts_s: float, load: dict[str, Any], arrivals: int
    ) -> None:
        end_s = began_s + lasts_s
        self.writer.append_segment(
            SegmentRecord(
                index=self.count,
                purpose=purpose,
                load=load,
                duration_s=lasts_s,
                weights={},
                started_s=began_s,
                ended_s=end_s,
                drained_s=end_s + 2,
                arrivals=arrivals,
            )
        )
        self.count += 1

    def fault(
        self, onset_s: float, healed_s: float, *ready: tuple[float, bool], **said: Any
    ) -> None:
        """What was done in the last segment; times from its beginning."""
        began_s = 100.0 * (self.count - 1)
        usual = {
            "name": "database stopped",
            "target": "database",
            "layer": "process",
            "summary": "",
            "hits": 4,
            "proof": "4 processes seen stopped",
        }
        self.writer.append_fault(
            FaultRecord(
                segment=self.count - 1,
                onset_s=began_s + onset_s,
                healed_s=began_s + healed_s,
                ready=tuple(ReadyLook(began_s + at, is_ready) for at, is_ready in ready),
                **{**usual, **said},
            )
        )

    def foretold(self, record: OutageRecord) -> None:
        """What it should come to."""
        self.writer.append_outage(record)

    def writes(self, *tried: tuple[float, int, int]) -> None:
        """Of the last segment: when each was answered (from its beginning), its outcome (0 unknown,
        1 acknowledged, 2 refused) and how many effects there are."""
        index = self.count - 1
        rows = blank(WRITES, len(tried))
        rows["segment"][:], rows["kind"][:] = index, "item"
        rows["token"] = np.arange(1, len(tried) + 1, dtype="u8")
        rows["started_s"] = [100.0 * index + at - 0.005 for at, _, _ in tried]
        rows["ended_s"] = [100.0 * index + at for at, _, _ in tried]
        rows["outcome"] = np.array([outcome for _, outcome, _ in tried], "u1")
        self.writer.write_table("writes", index, rows)
        found = blank(EFFECTS, len(tried))
        found["kind"][:] = "item"
        found["token"] = rows["token"]
        found["effects"] = np.array([effects for _, _, effects in tried], "u4")
        self.writer.write_table("effects", index, found)

    def memory(self, *sizes: tuple[float, int]) -> None:
        """Of the service, in the last segment."""
        index = self.count - 1
        rows = blank(PROCESSES, len(sizes))
        rows["at_s"] = [100.0 * index + at for at, _ in sizes]
        rows["part"][:] = "service"
        rows["pid"][:] = 7
        rows["rss_bytes"] = np.array([size for _, size in sizes], "u8")
        self.writer.write_table("processes", index, rows)

    def recording(self) -> Recording:
        """All of it."""
        self.writer.finish()
        return Recording.open(self.writer.directory)
