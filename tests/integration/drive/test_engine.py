"""The engine as its own process, started by the real guard."""

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
from loadpath.drive import (
    ClosedLoad,
    Engine,
    EnginePlan,
    OpenLoad,
    ProbeReply,
    Segment,
    SegmentProgress,
    SegmentResult,
)
from loadpath.errors import ConfigurationError, LoadpathError
from loadpath.recording.schema import REQUESTS
from loadpath.recording.tables import read_table
from loadpath.spec import OpenArrivals, Workload

WithEngine = Callable[[Engine], Coroutine[Any, Any, None]]


@pytest.fixture
def with_engine(service: Any, operation: Any) -> Callable[..., None]:
    """Run a coroutine function with an engine on the service's `/ok`."""

    def run(body: WithEngine, **workload: Any) -> None:
        async def main() -> None:
            settings = {
                "arrivals": OpenArrivals(1.0),
                "operations": (operation("/ok"), operation("/hang", name="hang", weight=0.0)),
                **workload,
            }
            plan = EnginePlan(host="127.0.0.1", port=service.port, workload=Workload(**settings))
            async with (
                asyncio.timeout(30),
                Guard() as guard,
                Engine(plan, spawn=guard.spawn) as engine,
            ):
                await body(engine)

        asyncio.run(main())

    return run


def segment(path: Path, index: int = 0, duration_s: float = 0.6, **other: Any) -> Segment:
    settings = {"load": OpenLoad(rate_per_s=500, process="constant"), **other}
    return Segment(
        index=index, purpose="test", duration_s=duration_s, requests_path=path, **settings
    )


def test_segments_run_one_after_the_other_and_their_rows_are_recorded(
    with_engine: Any, tmp_path: Path
) -> None:
    async def body(engine: Engine) -> None:
        progress: list[SegmentProgress] = []
        probes = await engine.probe("it", 2)
        first = await engine.run(segment(tmp_path / "0.parquet"), progress.append)
        closed = ClosedLoad(users=3, think_time_s=0.001)
        second = await engine.run(segment(tmp_path / "1.parquet", index=1, load=closed))
        assert [each.status for each in probes] == [200, 200]
        assert isinstance(probes[0], ProbeReply)
        assert [first.index, second.index] == [0, 1]
        assert len(progress) == 2
        assert first.arrivals == first.done == 300
        assert first.engine_pid == engine.pid != os.getpid()
        assert 0 < first.engine_cpu_s < 0.6
        # Connections are kept from segment to segment.
        assert second.connections_opened < 3
        rows = read_table(tmp_path / "0.parquet", REQUESTS)
        assert len(rows["flow"]) == 300
        assert set(rows["segment"].tolist()) == {0}
        assert np.sort(rows["intended_s"])[0] == first.started_s
        assert len(read_table(tmp_path / "1.parquet", REQUESTS)["flow"]) == second.done

    with_engine(body)


def test_a_segment_can_be_stopped_from_its_own_progress(with_engine: Any, tmp_path: Path) -> None:
    async def body(engine: Engine) -> None:
        result: SegmentResult = await engine.run(
            segment(tmp_path / "0.parquet", duration_s=600),
            lambda progress: engine.stop_segment(),
        )
        assert result.stopped_early
        assert result.drained_s - result.started_s < 10
        # What came too late to stop anything does no harm.
        engine.stop_segment()
        later = await engine.run(segment(tmp_path / "1.parquet", index=1, duration_s=0.2))
        assert later.arrivals == 100

    with_engine(body)


def test_a_segment_nobody_waits_for_any_more_does_not_answer_the_next_question(
    with_engine: Any, tmp_path: Path
) -> None:
    async def body(engine: Engine) -> None:
        def give_up(progress: SegmentProgress) -> None:
            raise RuntimeError("seen enough")

        with pytest.raises(RuntimeError, match="seen enough"):
            await engine.run(segment(tmp_path / "0.parquet", duration_s=600), give_up)
        result = await engine.run(segment(tmp_path / "1.parquet", index=1, duration_s=0.2))
        assert (result.index, result.arrivals) == (1, 100)
        assert len(read_table(tmp_path / "0.parquet", REQUESTS)["flow"]) > 0

    with_engine(body)


def test_what_cannot_be_driven_is_a_configuration_error(with_engine: Any, tmp_path: Path) -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(ConfigurationError, match="`nothing` is not an operation"):
            await engine.run(segment(tmp_path / "0.parquet", weights={"nothing": 1.0}))
        with pytest.raises(ConfigurationError, match="`other` is not an operation"):
            await engine.probe("other", 1)
        with pytest.raises(LoadpathError, match="could not be written"):
            await engine.run(segment(tmp_path / "no" / "folder.parquet", duration_s=0.1))
        result = await engine.run(segment(tmp_path / "1.parquet", duration_s=0.1))
        assert result.done == 50

    with_engine(body)


def test_a_workload_file_that_does_not_run_is_named_with_its_line(
    with_engine: Any, tmp_path: Path
) -> None:
    flows = tmp_path / "workload.py"
    flows.write_text("import loadpath.flow\n\nimport no_such_module_at_all\n")

    async def body(engine: Engine) -> None:
        raise AssertionError("the engine must not have begun")

    with pytest.raises(ConfigurationError) as caught:
        with_engine(body, flows=flows)
    assert "no_such_module_at_all" in caught.value.message
    assert caught.value.file is not None and caught.value.file.endswith("workload.py")
    assert caught.value.line == 3


def test_more_connections_than_the_system_allows_are_refused_beforehand(with_engine: Any) -> None:
    async def body(engine: Engine) -> None:
        raise AssertionError("the engine must not have begun")

    with pytest.raises(ConfigurationError, match="connections are more than"):
        with_engine(body, connections_max=2_000_000_000)


def test_an_engine_that_is_killed_is_an_error_that_says_so(
    with_engine: Any, tmp_path: Path
) -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(LoadpathError, match="the load engine was ended by SIGKILL"):
            await engine.run(
                segment(tmp_path / "0.parquet", duration_s=60),
                lambda progress: os.kill(engine.pid, signal.SIGKILL),
            )

    with_engine(body)


def test_leaving_in_the_middle_of_a_segment_ends_the_process(
    with_engine: Any, tmp_path: Path
) -> None:
    pids: list[int] = []

    async def body(engine: Engine) -> None:
        pids.append(engine.pid)
        heard = asyncio.Event()
        running = asyncio.create_task(
            engine.run(
                segment(tmp_path / "0.parquet", duration_s=600), lambda progress: heard.set()
            )
        )
        await heard.wait()
        running.cancel()

    with_engine(body)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert list(tmp_path.iterdir()) == []
