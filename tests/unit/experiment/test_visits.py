"""Visits as rows of a recording, and what is told from these again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadpath.drive import ProbeReply
from loadpath.experiment import traced
from loadpath.experiment.visits import Visited, visit_rows, visits_of
from loadpath.recording import write_requests
from loadpath.recording.tables import read_requests
from loadpath.spec import (
    DeclaredRequest,
    Dependency,
    Objective,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
)


def reply(started_s: float, *, error: str | None = None) -> ProbeReply:
    return ProbeReply(
        status=500 if error else 200,
        started_s=started_s,
        response_time_s=0.25,
        error=error,
        start="",
    )


VISITED = Visited(
    idle=(10.0, 10.5),
    replies={
        "GET /a": (reply(11.0), reply(12.0)),
        "GET /b": (reply(14.0, error="status 500"), reply(15.0)),
    },
    quiet_s={"GET /a": 13.5, "GET /b": 16.5},
)


def test_they_are_rows_of_a_recording(tmp_path: Path) -> None:
    write_requests(tmp_path / "rows.parquet", visit_rows(VISITED, 3))
    rows = read_requests(tmp_path / "rows.parquet")
    assert rows["segment"].tolist() == [3] * 4
    assert rows["operation"].tolist() == [0, 0, 1, 1]
    assert rows["sent_s"].tolist() == [11.0, 12.0, 14.0, 15.0]
    assert rows["done_s"].tolist() == [11.25, 12.25, 14.25, 15.25]
    assert [bool(error) for error in rows["error"]] == [False, False, True, False]
    assert rows["last"].all()


def test_they_begin_with_a_stretch_in_which_nobody_asks_and_end_with_the_last_tail() -> None:
    assert (VISITED.began_s, VISITED.ended_s) == (10.0, 16.5)


def test_each_lasts_until_the_next_one_and_the_last_until_its_tail_is_over() -> None:
    seen = visits_of(VISITED.replies["GET /a"], VISITED.quiet_s["GET /a"])
    assert [(v.began_s, v.ended_s, v.until_s) for v in seen] == [
        (11.0, 11.25, 12.0),
        (12.0, 12.25, 13.5),
    ]
    assert visits_of([], 13.5) == []


class TestEstimate:
    SETUP = Setup(
        service=Service(name="shop", directory=Path("shop"), start=("shop",)),
        workload=Workload(
            arrivals=OpenArrivals(10.0),
            operations=(Operation(name="GET /", request=DeclaredRequest(method="GET", path="/")),),
            objective=Objective((), 0.001),
        ),
    )

    def depending(self) -> Setup:
        needs = (Dependency(name="database", kind="postgres", env={}),)
        return msgspec.structs.replace(
            self.SETUP, service=msgspec.structs.replace(self.SETUP.service, dependencies=needs)
        )

    def test_a_service_without_wires_takes_no_time(self) -> None:
        assert traced.estimate_s(self.SETUP, 3.0, 4.0) == 0.0

    def test_it_grows_by_each_operation_and_by_the_load(self) -> None:
        one = traced.estimate_s(self.depending(), 3.0, 4.0)
        assert 7.0 < one < 10.0
        assert traced.estimate_s(self.depending(), 5.0, 4.0) == pytest.approx(one + 2.0)
