"""A service at its worst: the engine stays small, ends on time, and says what went wrong."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment, SegmentResult
from loadpath.recording.schema import REQUESTS, RequestError
from loadpath.recording.tables import read_table
from loadpath.spec import OpenArrivals, Workload

NONE, STATUS, TIMEOUT, CONNECT, RESET, PROTOCOL, UNFINISHED, FLOW, TLS = range(9)

GIGABYTE = 1_000_000_000


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("path", "error", "at_least_bytes"),
    [(f"/stream/{GIGABYTE}", NONE, GIGABYTE), ("/stream", TIMEOUT, 50_000_000)],
    ids=["a gigabyte", "endless"],
)
def test_a_reply_of_any_size_takes_no_memory(
    own_service: Any, operation: Any, tmp_path: Path, path: str, error: int, at_least_bytes: int
) -> None:
    service = own_service()
    timeout_s = 60.0 if error == NONE else 0.7
    workload = Workload(
        arrivals=OpenArrivals(1.0),
        operations=(operation("/ok", name="ok"), operation(path, timeout_s=timeout_s)),
    )
    plan = EnginePlan(host="127.0.0.1", port=service.port, workload=workload)

    async def run(engine: Engine, index: int, name: str, load: Any) -> SegmentResult:
        return await engine.run(
            Segment(
                index=index,
                purpose="test",
                load=load,
                duration_s=0.2,
                drain_s=60.0,
                weights={name: 1.0},
                requests_path=tmp_path / f"{index}.parquet",
            )
        )

    async def main() -> int:
        async with Guard() as guard, Engine(plan, spawn=guard.spawn) as engine:
            await run(engine, 0, "ok", OpenLoad(rate_per_s=500))
            before = peak_bytes(engine.pid)
            await run(engine, 1, "it", OpenLoad(rate_per_s=5, process="constant"))
            return peak_bytes(engine.pid) - before

    assert asyncio.run(main()) < 20_000_000
    rows = read_table(tmp_path / "1.parquet", REQUESTS)
    assert rows["error"].tolist() == [error]
    assert rows["bytes"][0] >= at_least_bytes


@pytest.mark.parametrize(
    ("path", "error", "status", "words"),
    [
        ("/cut", RESET, 200, "reset: the connection was closed within the reply"),
        ("/badchunk", PROTOCOL, 200, "protocol: expected the size of a chunk, got b'six"),
    ],
)
def test_broken_chunks_are_told_as_what_they_are(
    service: Any, drive: Any, operation: Any, path: str, error: int, status: int, words: str
) -> None:
    driven = drive(service.port, operation(path))
    assert set(driven.rows["error"].tolist()) == {error}
    assert set(driven.rows["status"].tolist()) == {status}
    assert driven.result.first_errors["it"].startswith(words)


def test_a_hundred_thousand_refusals_end_on_time(
    own_service: Any, drive: Any, operation: Any
) -> None:
    service = own_service()
    service.end()
    began_s = time.monotonic()
    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=100_000, process="constant"),
        duration_s=1.0,
    )
    assert len(driven.rows["flow"]) == driven.result.errors == 100_000
    assert set(driven.rows["error"].tolist()) == {CONNECT}
    assert driven.result.connections_opened < 2_000
    assert time.monotonic() - began_s < 20


def test_who_is_refused_tries_again_as_often_as_its_flow_says(
    own_service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    service = own_service()
    service.end()
    flows = write_flows("""
@operation("patient")
def patient(state):
    yield get("/ok", retries=2)

@operation("hasty")
def hasty(state):
    yield get("/ok")

@operation("broken")
def broken(state):
    raise KeyError("nothing to ask for")
    yield
""")
    driven = drive(
        service.port,
        operation("/ok", name="declared"),
        flows=flows,
        flow_names=("patient", "hasty", "broken"),
        load=OpenLoad(rate_per_s=400, process="constant"),
        drain_s=3.0,
    )
    rows = driven.rows
    found = {
        tuple(rows["error"][(rows["flow"] == flow) & (rows["operation"] == number)].tolist())
        for number in range(4)
        for flow in set(rows["flow"][rows["operation"] == number].tolist())
    }
    again = int(RequestError.RETRIED)
    assert found == {(CONNECT,), (again, again, CONNECT), (FLOW,)}
    assert np.isnan(rows["sent_s"]).all()
    patient = rows["operation"] == 1
    assert driven.result.errors == driven.result.arrivals
    for flow in set(rows["flow"][patient].tolist()):
        due = driven.steps(flow)["intended_s"]
        assert 0.05 <= due[1] - due[0] <= 0.3
        assert 0.1 <= due[2] - due[1] <= 0.5


def test_who_accepts_no_more_connections_is_told_from_who_never_answers(
    drive: Any, operation: Any
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)  # the kernel takes one connection, or two, and nobody ever accepts them
        driven = drive(
            server.getsockname()[1],
            operation("/", timeout_s=0.3),
            load=OpenLoad(rate_per_s=20, process="constant"),
            duration_s=0.4,
            connect_timeout_s=0.3,
            drain_s=3.0,
        )
    rows = driven.rows
    assert set(rows["error"].tolist()) == {TIMEOUT, CONNECT}
    assert np.isnan(rows["sent_s"][rows["error"] == CONNECT]).all()
    assert not np.isnan(rows["sent_s"][rows["error"] == TIMEOUT]).any()
    assert driven.result.drained_s - driven.result.ended_s < 2.5


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/oldkept", True), ("/ok", True), ("/old", False), ("/close", False), ("/stale", False)],
)
def test_a_connection_is_kept_as_the_reply_says(
    service: Any, drive: Any, operation: Any, path: str, *, kept: bool
) -> None:
    before = service.seen()["connections"]
    driven = drive(service.port, operation(path), connections_max=1, drain_s=10.0)
    opened = service.seen()["connections"] - before - 1  # the last by seen() itself
    assert set(driven.rows["error"].tolist()) == {NONE}
    assert opened == driven.result.connections_opened == (1 if kept else 30)
    # Only what turned out to be closed without a word was sent a second time; where the end of the
    # connection was seen before the next request, nothing was.
    assert driven.result.retried <= (29 if path == "/stale" else 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_keep_alive_every_request_has_a_connection_of_its_own(
    service: Any, drive: Any, operation: Any, method: str
) -> None:
    before = service.seen()["connections"]
    # The service ignores that it was asked to close.
    driven = drive(
        service.port,
        operation("/ok" if method == "GET" else "/headonly", method=method),
        workload={"keep_alive": False},
    )
    assert set(driven.rows["error"].tolist()) == {NONE}
    assert len(set(driven.rows["connection"].tolist())) == 30
    assert service.seen()["connections"] - before - 1 == 30


def test_without_keep_alive_the_service_is_told_so_by_flows_as_well(
    service: Any, drive: Any, operation: Any, tmp_path: Path
) -> None:
    flows = tmp_path / "workload.py"
    flows.write_text(
        "from loadpath.flow import get, operation\n\n\n"
        '@operation("two")\n'
        "def two(state):\n"
        '    first = yield get("/echo")\n'
        '    assert "\\r\\nConnection: close\\r\\n" in first.json()["head"]\n'
        '    yield get("/ok")\n'
    )
    driven = drive(
        service.port,
        operation("/unused", name="unused", weight=0.0),
        flow_names=("two",),
        flows=flows,
        workload={"keep_alive": False},
    )
    assert set(driven.rows["error"].tolist()) == {NONE}, driven.result.first_errors
    assert len(set(driven.rows["connection"].tolist())) == len(driven.rows["flow"]) == 60


def test_connections_are_never_more_than_allowed(service: Any, drive: Any, operation: Any) -> None:
    driven = drive(
        service.port,
        operation("/slow/5", name="kept"),
        operation("/close", name="closed"),
        load=ClosedLoad(users=30, think_time_s=0.0),
        duration_s=0.4,
        connections_max=7,
        drain_s=5.0,
    )
    rows = driven.rows
    assert set(rows["error"].tolist()) == {NONE}
    begins, ends = np.sort(rows["sent_s"]), np.sort(rows["done_s"])
    in_flight = np.arange(1, len(begins) + 1) - np.searchsorted(ends, begins, side="right")
    assert in_flight.max() == 7


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_wall_clock_changes_nothing(
    service: Any, drive: Any, operation: Any, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    real_s, real_ns = time.time, time.clock_gettime_ns
    stepped = [0.0]

    def wall_ns(clock: int) -> int:
        return real_ns(clock) + (int(stepped[0] * 1e9) if clock == time.CLOCK_REALTIME else 0)

    monkeypatch.setattr(time, "time", lambda: real_s() + stepped[0])
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns(time.CLOCK_REALTIME))
    monkeypatch.setattr(time, "clock_gettime_ns", wall_ns)
    monkeypatch.setattr("loadpath.drive.audit.clock_gettime_ns", wall_ns)

    def step(driver: Any, progress: Any) -> None:
        stepped[0] = step_s

    driven = drive(
        service.port,
        operation("/ok", name="ok"),
        operation("/hang", name="hang", timeout_s=0.3),
        load=OpenLoad(rate_per_s=200, process="constant"),
        duration_s=0.6,
        each_progress=step,
        audit=True,
    )
    rows = driven.rows
    assert stepped[0] == step_s
    assert len(rows["flow"]) == driven.result.arrivals == 120
    hung = rows["operation"] == 1
    assert set(rows["error"][~hung].tolist()) == {NONE}
    assert set(rows["error"][hung].tolist()) == {TIMEOUT}
    assert (rows["done_s"][~hung] - rows["intended_s"][~hung]).max() < 30
    assert 0.5 < driven.result.ended_s - driven.result.started_s < 30
    # Stamped before the step and read after it, or the other way round, is left out.
    assert 0 <= driven.result.read_delay_p50_s <= driven.result.read_delay_p99_s < 30


def test_an_audited_engine_measures_how_long_replies_lay_unread(
    service: Any, drive: Any, operation: Any
) -> None:
    def oversleep(driver: Any, progress: Any) -> None:
        time.sleep(0.2)

    quiet = drive(service.port, operation("/ok"), duration_s=0.3, audit=True)
    # The rest of a second: it sleeps through four fifths of the replies.
    late = drive(
        service.port,
        operation("/slow/50"),
        load=OpenLoad(rate_per_s=300, process="constant"),
        duration_s=0.4,
        audit=True,
        each_progress=oversleep,
    )
    assert 0 < quiet.result.read_delay_p50_s <= quiet.result.read_delay_p99_s
    assert 0.1 < late.result.read_delay_p99_s < 10
    unaudited = drive(service.port, operation("/ok"))
    assert unaudited.result.read_delay_p50_s is None
