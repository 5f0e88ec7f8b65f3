"""Recordings of the wires made by hand: what each request asked of its dependencies, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from golden_recordings import blank

from loadpath.recording import Machine, Recording, RecordingWriter, SegmentRecord, write_requests
from loadpath.recording.schema import CONNECTIONS, EXCHANGES, REQUESTS, SHAPES
from loadpath.spec import Dependency, Setup

MACHINE = Machine(
    cores=2,
    cores_online=2,
    cpu_model="a model",
    memory_bytes=8 << 30,
    system="Linux",
    kernel="6.1",
    python="CPython 3.11",
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a request: from `at_s` after its start, for `lasts_s`."""

    tap: str
    text: str
    at_s: float
    lasts_s: float
    verb: str = "query"
    transaction: str = "none"
    rows: float = 1.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of an operation, with what it asks, all over one connection of its dependency."""

    operation: str
    began_s: float
    response_s: float
    asked: tuple[Asked, ...]
    connection: int = 1


def depending(setup: Setup, **kinds: str) -> Setup:
    """The setup with dependencies of those kinds."""
    needs = tuple(Dependency(name=name, kind=kind, env={}) for name, kind in kinds.items())  # type: ignore[arg-type]
    return msgspec.structs.replace(
        setup, service=msgspec.structs.replace(setup.service, dependencies=needs)
    )


def visits(
    operation: str, asked: Sequence[Asked], response_s: float, from_s: float
) -> list[Request]:
    """Five visits of it alone, a quarter of a second apart."""
    return [
        Request(
            operation=operation,
            began_s=from_s + 0.25 * number,
            response_s=response_s,
            asked=tuple(asked),
        )
        for number in range(5)
    ]


def traced(
    folder: Path,
    setup: Setup,
    alone: Sequence[Request],
    mix: Sequence[Request] = (),
    *,
    opened: Mapping[str, int] | None = None,
    unread: Mapping[str, str] | None = None,
    mix_s: float = 2.0,
) -> Recording:
    """A recording `traced`: the visits of `alone`, from 1 s on; the load of `mix`, from 100 s on.

    `opened` is how many connections there are to each dependency, `unread` why they are not read.
    """
    writer = RecordingWriter.create(folder / "traced", setup, name="traced", machine=MACHINE)
    last_s = max(each.began_s + each.response_s for each in alone)
    for index, (purpose, requests, from_s, to_s) in enumerate(
        [("probe", alone, 0.5, last_s + 0.4), ("traced", mix, 100.0, 100.0 + mix_s)]
    ):
        _write(writer, index, setup, requests, opened or {}, unread or {})
        writer.append_segment(
            SegmentRecord(
                index=index,
                purpose=purpose,
                load={},
                duration_s=to_s - from_s,
                weights={},
                started_s=from_s,
                ended_s=to_s,
                drained_s=to_s,
                arrivals=len(requests),
            )
        )
    writer.finish()
    return Recording.open(writer.directory)


def _write(
    writer: RecordingWriter,
    index: int,
    setup: Setup,
    requests: Sequence[Request],
    opened: Mapping[str, int],
    unread: Mapping[str, str],
) -> None:
    names = [operation.name for operation in setup.workload.operations]
    rows = blank(REQUESTS, len(requests))
    rows["segment"][:] = index
    rows["operation"][:] = [names.index(each.operation) for each in requests]
    rows["flow"] = np.arange(len(requests), dtype="u4")
    rows["last"][:] = True
    for name in ("intended_s", "sent_s"):
        rows[name][:] = [each.began_s for each in requests]
    rows["done_s"][:] = [each.began_s + each.response_s for each in requests]
    write_requests(writer.requests_path(index), rows)
    calls = [(each, call) for each in requests for call in each.asked]
    texts = list(dict.fromkeys((call.tap, call.text) for _, call in calls))
    table: dict[str, Any] = blank(EXCHANGES, len(calls))
    table["segment"][:] = index
    for name in ("tap", "verb", "transaction", "rows"):
        table[name][:] = [getattr(call, name) for _, call in calls]
    table["connection"][:] = [each.connection for each, _ in calls]
    table["shape"][:] = [1 + texts.index((call.tap, call.text)) for _, call in calls]
    table["began_s"][:] = [each.began_s + call.at_s for each, call in calls]
    table["ended_s"][:] = [each.began_s + call.at_s + call.lasts_s for each, call in calls]
    table["ended"][:] = True
    writer.write_table("exchanges", index, table)
    shapes = blank(SHAPES, len(texts))
    shapes["segment"][:] = index
    shapes["shape"][:] = np.arange(1, len(texts) + 1)
    shapes["tap"][:] = [tap for tap, _ in texts]
    shapes["text"][:] = [text for _, text in texts]
    writer.write_table("shapes", index, shapes)
    lines = [(tap, number + 1) for tap, count in opened.items() for number in range(count)]
    connections = blank(CONNECTIONS, len(lines))
    connections["segment"][:] = index
    connections["tap"][:] = [tap for tap, _ in lines]
    connections["connection"][:] = [number for _, number in lines]
    connections["closed_s"][:] = np.nan
    connections["unread"][:] = [unread.get(tap, "") for tap, _ in lines]
    writer.write_table("connections", index, connections)
