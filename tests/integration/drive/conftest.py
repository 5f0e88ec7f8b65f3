"""What the tests of the engine share: a service that answers as its path says, and a driver."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from loadpath.drive import EnginePlan, OpenLoad, Segment, SegmentProgress, SegmentResult
from loadpath.drive.driver import Driver
from loadpath.spec import DeclaredRequest, KeySet, OpenArrivals, Operation, Workload

SERVER = Path(__file__).parent / "services" / "server.py"


class Service:
    """The running service of services/server.py."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def seen(self) -> dict[str, Any]:
        """How many connections it accepted and the request lines it read."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen") as reply:
            seen: dict[str, Any] = json.load(reply)
            return seen

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Driven(msgspec.Struct, frozen=True):
    """What came of one segment."""

    result: SegmentResult
    rows: dict[str, npt.NDArray[Any]]
    progress: list[SegmentProgress]

    def steps(self, flow: int) -> dict[str, list[Any]]:
        """The columns of one flow, its steps in order."""
        of_flow = np.flatnonzero(self.rows["flow"] == flow)
        order = of_flow[np.argsort(self.rows["step"][of_flow])]
        return {name: column[order].tolist() for name, column in self.rows.items()}


def operation(path: str, *, name: str = "it", method: str = "GET", **other: Any) -> Operation:
    of_request = ("headers", "body", "form", "keys")
    request = {key: other.pop(key) for key in of_request if key in other}
    return Operation(
        name=name, request=DeclaredRequest(method=method, path=path, **request), **other
    )


def drive(
    port: int,
    *operations: Operation,
    load: Any = None,
    duration_s: float = 0.1,
    drain_s: float = 1.0,
    flows: Path | None = None,
    key_sets: tuple[KeySet, ...] = (),
    each_progress: Callable[[Driver, SegmentProgress], None] | None = None,
    segment: dict[str, Any] | None = None,
    workload: dict[str, Any] | None = None,
    flow_names: tuple[str, ...] = (),
    identities: KeySet | None = None,
    cookies: bool = False,
    **plan: Any,
) -> Driven:
    """Drive one segment in this process."""
    whole = Workload(
        arrivals=OpenArrivals(1.0),
        operations=(*operations, *(Operation(name=name) for name in flow_names)),
        flows=flows,
        key_sets=key_sets,
        identities=identities,
        cookies=cookies,
        **(workload or {}),
    )
    driver = Driver(EnginePlan(host="127.0.0.1", port=port, workload=whole, **plan), {})
    progress: list[SegmentProgress] = []

    def told(report: SegmentProgress) -> None:
        progress.append(report)
        if each_progress is not None:
            each_progress(driver, report)

    try:
        driver.log_in(lambda done, total: None)
        result, rows = driver.run_segment(
            Segment(
                index=0,
                purpose="test",
                load=load or OpenLoad(rate_per_s=300, process="constant"),
                duration_s=duration_s,
                drain_s=drain_s,
                requests_path=Path("unused"),
                **(segment or {}),
            ),
            told,
        )
    finally:
        driver.close()
    return Driven(result, rows, progress)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """One service for all tests that leave it as it was."""
    running = Service()
    yield running
    running.end()


@pytest.fixture
def own_service() -> Iterator[Callable[..., Service]]:
    """Start services that this test alone uses, and may stop or kill."""
    started: list[Service] = []

    def start(*arguments: str) -> Service:
        started.append(Service(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def write_flows(tmp_path: Path) -> Callable[[str], Path]:
    """Write a workload file that has every word of `loadpath.flow`."""

    def write(text: str) -> Path:
        path = tmp_path / "workload.py"
        path.write_text("from loadpath.flow import *\n" + text)
        return path

    return write


@pytest.fixture(name="drive")
def drive_fixture() -> Callable[..., Driven]:
    return drive


@pytest.fixture(name="operation")
def operation_fixture() -> Callable[..., Operation]:
    return operation
