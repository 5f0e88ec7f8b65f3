"""An engine of several processes: one schedule, divided; rows, progress and results as of one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment, SegmentProgress
from loadpath.errors import ConfigurationError, LoadpathError
from loadpath.recording.schema import REQUESTS
from loadpath.recording.tables import read_table
from loadpath.spec import KeySet, OpenArrivals, Operation, Workload

WithEngine = Callable[[Engine], Coroutine[Any, Any, None]]

FLOWS = """
from loadpath.flow import get, operation, still_holds


@operation("make")
def make(state):
    token = state.unique()
    reply = yield get("/echo/" + token)
    if reply.ok:
        state.acknowledge("thing", token=token)


@still_holds("thing")
def holds(thing):
    reply = yield get("/echo/" + thing.token)
    return reply.json()["target"] == "/echo/" + thing.token
"""


@pytest.fixture
def with_engine(service: Any, operation: Any) -> Callable[..., None]:
    """Run a coroutine function with an engine of so many processes."""

    def run(body: WithEngine, processes: int, flows: Path | None = None, **plan: Any) -> None:
        operations = (
            operation("/ok/{k}", name="it", keys={"k": "codes"}, weight=2.0),
            operation("/hang", name="hang", weight=0.0),
            operation("/ok", name="other"),
            *(() if flows is None else (Operation(name="make", weight=0.0),)),
        )
        workload = Workload(
            arrivals=OpenArrivals(1.0),
            operations=operations,
            key_sets=(KeySet(name="codes", count=1000, distribution="zipf"),),
            flows=flows,
        )
        settings = {"host": "127.0.0.1", "port": service.port, "salt": b"salt", **plan}
        made = EnginePlan(workload=workload, processes=processes, **settings)

        async def main() -> None:
            async with (
                asyncio.timeout(30),
                Guard() as guard,
                Engine(made, spawn=guard.spawn) as engine,
            ):
                await body(engine)

        asyncio.run(main())

    return run


def segment(path: Path, index: int = 0, duration_s: float = 0.5, **other: Any) -> Segment:
    settings = {"load": OpenLoad(rate_per_s=600), **other}
    return Segment(
        index=index, purpose="test", duration_s=duration_s, requests_path=path, **settings
    )


def test_the_schedule_is_the_same_whatever_the_number_of_processes(
    with_engine: Any, tmp_path: Path
) -> None:
    seen: dict[int, Any] = {}

    def body(processes: int) -> WithEngine:
        async def run(engine: Engine) -> None:
            path = tmp_path / f"{processes}.parquet"
            result = await engine.run(
                segment(
                    path,
                    background=OpenLoad(rate_per_s=100),
                    background_weights={"other": 1.0},
                )
            )
            rows = read_table(path, REQUESTS)
            order = np.argsort(rows["flow"])
            assert result.arrivals == result.done == len(order)
            intended = (rows["intended_s"] - result.started_s)[order].round(6).tolist()
            columns = [rows[name][order].tolist() for name in ("flow", "operation", "key")]
            seen[processes] = (intended, *columns)
            # In the order of their ends, as of one process; numbered as of one.
            assert (np.diff(rows["done_s"]) >= 0).all()
            assert len(engine.pids) == processes
            assert len(set(rows["connection"].tolist())) <= result.connections_opened

        return run

    for processes in (1, 2, 3):
        with_engine(body(processes), processes)
    assert seen[1] == seen[2] == seen[3]
    assert len(seen[1][0]) > 200
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.parquet" for n in (1, 2, 3)]


def test_results_and_progress_are_summed_and_connections_are_the_total(
    with_engine: Any, service: Any, tmp_path: Path
) -> None:
    progress: list[SegmentProgress] = []

    async def body(engine: Engine) -> None:
        load = ClosedLoad(users=9, think_time_s=0.002)
        result = await engine.run(
            segment(tmp_path / "0.parquet", load=load, duration_s=0.8), progress.append
        )
        rows = read_table(tmp_path / "0.parquet", REQUESTS)
        assert result.arrivals == result.done == len(rows["flow"])
        assert len(set(rows["flow"].tolist())) == len(rows["flow"])
        assert result.connections_opened == 3
        assert len(set(rows["connection"].tolist())) == 3
        assert 0 < result.engine_cpu_s < 1.6
        assert len(engine.pids) == 2

    with_engine(body, 2, connections_max=3)
    assert len(progress) >= 2
    assert progress[-1].sent >= progress[-1].done > 50
    assert [each.done for each in progress] == sorted(each.done for each in progress)


def test_an_engine_grows_between_segments(with_engine: Any, tmp_path: Path) -> None:
    async def body(engine: Engine) -> None:
        load = ClosedLoad(users=6, think_time_s=0)
        first = await engine.run(segment(tmp_path / "0.parquet", load=load, duration_s=0.2))
        assert first.connections_opened == 4
        pid = engine.pid
        await engine.grow(2)
        await engine.grow(1)
        assert len(engine.pids) == 2 and engine.pid == pid
        second = await engine.run(
            segment(tmp_path / "1.parquet", index=1, load=load, duration_s=0.2)
        )
        rows = read_table(tmp_path / "1.parquet", REQUESTS)
        assert len(set(rows["connection"].tolist())) == 4
        assert second.connections_opened == 2  # the first process gave back two of its four

    with_engine(body, 1, connections_max=4)


def test_no_process_is_without_a_connection(with_engine: Any, tmp_path: Path) -> None:
    async def body(engine: Engine) -> None:
        assert len(engine.pids) == 1
        result = await engine.run(segment(tmp_path / "0.parquet", duration_s=0.1))
        assert result.connections_opened == 1

    with_engine(body, 4, connections_max=1)


def test_what_any_process_acknowledged_is_checked(with_engine: Any, tmp_path: Path) -> None:
    flows = tmp_path / "workload.py"
    flows.write_text(FLOWS)

    async def body(engine: Engine) -> None:
        result = await engine.run(segment(tmp_path / "0.parquet", weights={"make": 1.0}))
        found = await engine.check_holds(10_000)
        assert found.all_held
        assert found.kinds["thing"].acknowledged == found.kinds["thing"].held == result.arrivals

    with_engine(body, 2, flows)


def test_what_cannot_be_driven_is_told_once_and_the_next_segment_runs(
    with_engine: Any, tmp_path: Path
) -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(ConfigurationError, match="`nothing` is not an operation"):
            await engine.run(segment(tmp_path / "0.parquet", weights={"nothing": 1.0}))

        def give_up(progress: SegmentProgress) -> None:
            raise RuntimeError("seen enough")

        with pytest.raises(RuntimeError, match="seen enough"):
            await engine.run(segment(tmp_path / "1.parquet", duration_s=600), give_up)
        stopped = await engine.run(
            segment(tmp_path / "2.parquet", index=2, duration_s=600),
            lambda progress: engine.stop_segment(),
        )
        assert stopped.stopped_early
        result = await engine.run(segment(tmp_path / "3.parquet", index=3, duration_s=0.2))
        assert result.done == result.arrivals > 50
        assert (await engine.probe("it", 1))[0].status == 200

    with_engine(body, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.parquet", "3.parquet"]


def test_a_process_that_is_killed_ends_the_segment_with_an_error(
    with_engine: Any, tmp_path: Path
) -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(LoadpathError, match="the load engine was ended by SIGKILL"):
            await engine.run(
                segment(tmp_path / "0.parquet", duration_s=60),
                lambda progress: os.kill(engine.pids[1], signal.SIGKILL),
            )

    with_engine(body, 2)
