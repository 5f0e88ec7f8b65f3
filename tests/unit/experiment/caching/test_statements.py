"""What a service asks of its dependencies again, judged from exchanges made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from loadpath.experiment.caching.asked import Asked, asked, keepable
from loadpath.experiment.caching.statements import WIRES, StatementCache, judged_statements
from loadpath.recording import Machine, Recording, RecordingWriter, SegmentRecord
from loadpath.recording.schema import EXCHANGES, SHAPES
from loadpath.recording.tables import numpy_type
from loadpath.spec import (
    DeclaredRequest,
    Dependency,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
)

MACHINE = Machine(
    cores=2,
    cores_online=2,
    cpu_model="a model",
    memory_bytes=8 << 30,
    system="Linux",
    kernel="6.1",
    python="CPython 3.11",
)
SETUP = Setup(
    service=Service(
        name="shop",
        directory=Path(),
        start=("shop",),
        dependencies=(
            Dependency(name="database", kind="postgres", env={}),
            Dependency(name="cache", kind="valkey", env={}),
        ),
    ),
    workload=Workload(
        arrivals=OpenArrivals(100.0),
        operations=(
            Operation(name="GET /", weight=1, request=DeclaredRequest(method="GET", path="/")),
        ),
    ),
)
SPAN_S = 60.0
READ = "SELECT name FROM item WHERE id = $1"
WRITE = "UPDATE item SET name = $1 WHERE id = $2"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange of 1 ms; `digest` of what came back."""

    at_s: float
    text: str = READ
    verb: str = "execute"
    parameters: int = 1
    digest: int = 1
    transaction: str = "none"
    connection: int = 1
    tap: str = "database"
    error: str = ""


def wires(folder: Path, calls: list[Call]) -> Recording:
    """A recording of the wires, of these calls."""
    writer = RecordingWriter.create(folder / WIRES, SETUP, name=WIRES, machine=MACHINE)
    texts = list(dict.fromkeys(call.text for call in calls))
    table: dict[str, Any] = {
        c.name: np.zeros(len(calls), dtype=numpy_type(c.type)) for c in EXCHANGES.columns
    }
    table["error"] = np.array([""] * len(calls), dtype=object)
    for name in ("tap", "verb", "parameters", "digest", "transaction", "connection", "error"):
        table[name][:] = [getattr(call, name) for call in calls]
    table["shape"][:] = [1 + texts.index(call.text) for call in calls]
    table["began_s"][:] = table["first_byte_s"][:] = [call.at_s for call in calls]
    table["ended_s"][:] = table["began_s"] + 1e-3
    table["reply_bytes"][:] = 100
    table["ended"][:] = True
    writer.write_table("exchanges", 0, table)
    shapes: dict[str, Any] = {
        c.name: np.zeros(len(texts), dtype=numpy_type(c.type)) for c in SHAPES.columns
    }
    shapes["shape"][:] = 1 + np.arange(len(texts))
    shapes["tap"] = np.array(["database"] * len(texts), dtype=object)
    shapes["text"] = np.array(texts, dtype=object)
    writer.write_table("shapes", 0, shapes)
    writer.append_segment(
        SegmentRecord(
            index=0,
            purpose=WIRES,
            load={},
            duration_s=SPAN_S,
            weights={},
            started_s=0.0,
            ended_s=SPAN_S,
            drained_s=SPAN_S,
            arrivals=6000,
        )
    )
    writer.finish()
    return Recording.open(writer.directory)


def reads(count: int = 3000, keys: int = 20, **fields: Any) -> Iterator[Call]:
    rng = np.random.default_rng(1)
    at_s = np.linspace(0.0, SPAN_S - 1, count).tolist()
    for moment, key in zip(at_s, rng.integers(1, keys + 1, count).tolist(), strict=True):
        yield Call(at_s=moment, parameters=key, **fields)


def seen(folder: Path, calls: list[Call]) -> tuple[Asked, ...]:
    recording = wires(folder, calls)
    return asked(recording, recording.segments[0])


def judged(folder: Path, calls: list[Call]) -> StatementCache:
    (found,) = judged_statements([wires(folder, calls)], {})
    return found


def plain_hits(calls: list[Call], ttl_s: float) -> tuple[int, int, int]:
    """Requests, hits and stale hits of a dictionary, once it has been warm for a TTL."""
    kept: dict[int, tuple[float, int]] = {}
    counts = [0, 0, 0]
    for call in calls:
        warm = call.at_s >= ttl_s
        counts[0] += warm
        entry = kept.get(call.parameters)
        if entry is not None and call.at_s < entry[0]:
            counts[1] += warm
            counts[2] += warm and entry[1] != call.digest
        else:
            kept[call.parameters] = call.at_s + 1e-3 + ttl_s, call.digest
    return counts[0], counts[1], counts[2]


def test_rows_that_stay_the_same_are_kept(tmp_path: Path) -> None:
    calls = list(reads())
    found = judged(tmp_path, calls)
    assert (found.verdict, found.why, found.parameters) == ("yes", "", 20)
    assert found.point is not None
    assert found.point.staleness.stale == 0
    assert found.asked == 3000
    assert found.per_s == pytest.approx(50)
    assert 15 * 300 <= found.bytes <= 20 * 300
    for point in found.points:
        counted = point.requests, point.hits, point.staleness.stale
        assert counted == plain_hits(calls, point.ttl_s)


def test_rows_that_writes_change_go_stale_and_dropping_them_helps(tmp_path: Path) -> None:
    version: dict[int, int] = {}
    at_s = itertools.count(0.5, 0.5)
    calls: list[Call] = []
    writes = np.random.default_rng(2)
    due_s = next(at_s)
    for call in reads():
        while due_s <= call.at_s:
            key = int(writes.integers(1, 21))
            version[key] = version.get(key, 0) + 1
            calls.append(Call(at_s=due_s - 2e-3, text=WRITE, parameters=90 + key, connection=2))
            due_s = next(at_s)
        digest = 1 + version.get(call.parameters, 0)
        calls.append(msgspec.structs.replace(call, digest=digest))
    found = judged(tmp_path, calls)
    only_reads = [call for call in calls if call.text == READ]
    for point in found.points:
        counted = point.requests, point.hits, point.staleness.stale
        assert counted == plain_hits(only_reads, point.ttl_s)
    # A key is written each 10 s: what is kept for 1 s is stale for 1 in 20 hits or so.
    shares = [point.staleness.share.value for point in found.points]
    assert shares[-1] > 0.4
    assert found.writers == (WRITE,)
    assert found.point is None or found.point.staleness.share.high <= 0.01


def test_dropping_on_writes_is_told_beside_the_ttl_that_is_chosen(tmp_path: Path) -> None:
    calls = []
    for call in reads():
        changed = call.at_s >= 30 and call.parameters == 3
        calls.append(msgspec.structs.replace(call, digest=2 if changed else 1))
    calls.insert(1500, Call(at_s=29.999, text=WRITE, connection=2))
    found = judged(tmp_path, calls)
    assert found.verdict == "yes"
    assert found.point is not None
    assert found.point.staleness.stale > 0
    assert found.purged is None  # one write is too few to be taken for the cause


def test_what_differs_at_every_read_is_not_kept(tmp_path: Path) -> None:
    digests = itertools.count(1)
    calls = [msgspec.structs.replace(call, digest=next(digests)) for call in reads()]
    found = judged(tmp_path, calls)
    assert (found.verdict, found.point) == ("no", None)
    assert found.why == "100 % of its answers differ from the one before"


def test_what_is_asked_once_of_each_is_not_kept(tmp_path: Path) -> None:
    calls = [Call(at_s=n / 100, parameters=n) for n in range(1, 3000)]
    found = judged(tmp_path, calls)
    assert (found.verdict, found.why) == ("no", "hardly ever asked again")


def test_rows_that_nobody_digested_repeat_and_no_more_is_told(tmp_path: Path) -> None:
    found = judged(tmp_path, list(reads(digest=0)))
    assert found.verdict == "cannot tell"
    assert found.why == "whether its rows were the same is not known"
    assert found.most_hits > 0.9


def test_what_a_transaction_that_writes_reads_is_left_out(tmp_path: Path) -> None:
    calls = []
    for number, call in enumerate(reads(count=1000)):
        own = msgspec.structs.replace(call, connection=1 + number % 4)
        if number % 4:
            calls += [
                msgspec.structs.replace(own, text="BEGIN", verb="query", transaction="open"),
                msgspec.structs.replace(own, at_s=own.at_s + 0.002, transaction="open"),
                # Of these only one in four writes; the others only read.
                Call(
                    at_s=own.at_s + 0.004,
                    text=WRITE if number % 4 == 1 else READ,
                    transaction="open",
                    connection=own.connection,
                    parameters=own.parameters,
                ),
                Call(
                    at_s=own.at_s + 0.01,
                    text="COMMIT",
                    verb="query",
                    connection=own.connection,
                ),
            ]
        else:
            calls.append(own)
    (found,) = seen(tmp_path, calls)
    # 250 alone, 250 before a write, and 2 in each of 500 transactions that only read.
    assert len(found.stream) == 250 + 1000
    assert found.inside_writes == pytest.approx(250 / 1500)


def test_a_write_takes_effect_when_its_transaction_ends(tmp_path: Path) -> None:
    """Read between the write and its commit, a row is the old one."""
    calls = []
    for turn in range(30):
        began_s = 2.0 * turn
        calls += [
            Call(at_s=began_s + n / 100, digest=1 + turn) for n in range(100)
        ] + [
            Call(at_s=began_s + 1.0, text="BEGIN", transaction="open", connection=2, verb="query"),
            Call(at_s=began_s + 1.1, text=WRITE, transaction="open", connection=2),
            *(Call(at_s=began_s + 1.2 + n / 100, digest=1 + turn) for n in range(50)),
            Call(at_s=began_s + 1.9, text="COMMIT", connection=2, verb="query"),
        ]  # fmt: skip
    (found,) = seen(tmp_path, calls)
    assert np.allclose(found.stream.changes.at_s, [2.0 * n + 1.901 for n in range(29)])
    (purged,) = (
        judged_statements([wires(tmp_path / "again", calls)], {})
        if found.digested
        else pytest.fail("it was digested")
    )
    assert purged.writers == (WRITE,)


def test_commands_of_a_cache_are_told_by_their_verb_and_not_within_multi(tmp_path: Path) -> None:
    calls = list(reads(tap="cache", verb="GET", text="item:*"))
    calls += [
        Call(at_s=n / 50 + 0.003, tap="cache", verb="GET", text="item:*", transaction="open")
        for n in range(1000)
    ]
    calls += [Call(at_s=n / 50 + 0.004, tap="cache", verb="SET", text="item:*") for n in range(99)]
    (found,) = seen(tmp_path, calls)
    assert (found.dependency, found.shape, len(found.stream)) == ("cache", "GET item:*", 3000)
    assert [writer.operation for writer in found.writers] == ["SET item:*"]


def test_what_failed_and_what_was_asked_seldom_is_left_out(tmp_path: Path) -> None:
    assert seen(tmp_path / "failed", list(reads(error="57014"))) == ()
    assert seen(tmp_path / "seldom", list(reads(count=40))) == ()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (READ, True),
        ("WITH a AS (SELECT x FROM t) SELECT x FROM a", True),
        ("WITH a AS (INSERT INTO t VALUES ($1) RETURNING x) SELECT x FROM a", False),
        ("SELECT x FROM t WHERE id = $1 FOR UPDATE", False),
        ("SELECT x FROM t FOR KEY SHARE", False),
        ("SELECT nextval($1) FROM t", False),
        ("SELECT pg_notify($1, $2) FROM t", False),
        ("SELECT pg_advisory_lock($1)", False),
        ("SELECT $1", False),
        ("SELECT x INTO u FROM t", False),
        (WRITE, False),
    ],
)
def test_only_reads_of_which_the_rows_are_all_may_be_kept(text: str, kept: bool) -> None:
    assert keepable("postgres", "", text) is kept
    assert not keepable("postgres", "fetch", text)
