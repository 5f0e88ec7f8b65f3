"""What the wires add to the verdict, on services of which it is known what requests wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from golden_recordings import (
    Cost,
    Golden,
    Truth,
    arm_recordings,
    blank,
    find_knee,
    mix_recording,
    setup,
    today,
)
from golden_wires import Asked, Request, depending, traced, visits

from loadpath.answer import Answer, State
from loadpath.questions.bottleneck import judge
from loadpath.recording import Recording
from loadpath.recording.schema import POSTGRES
from loadpath.report.terminal import render
from loadpath.spec import Setup

IDLE = Truth(parts={"service": Cost(0.3e-3), "database": Cost(0.1e-3)})
"""At the knee nothing is full and the CPU idle: one request at a time gets through."""

SLOW = "SELECT id , name FROM item WHERE shop = $1"
BETTER = [(1000.0, 1300.0), (1010.0, 1320.0), (990.0, 1280.0)]
SAME = [(1000.0, 1000.0), (1010.0, 1010.0), (990.0, 990.0)]

SHOP = depending(setup(), database="postgres")
PAYING = depending(setup(), payments="http")

QUERY = Asked(tap="database", text=SLOW, at_s=0.001, lasts_s=0.008)
PAY = Asked(tap="payments", text="GET /charge", verb="GET", at_s=0.001, lasts_s=0.008)


@pytest.fixture(scope="module")
def shop_run(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A run of the shop whose database said nothing of its connections."""
    return mix_recording(tmp_path_factory.mktemp("shop"), SHOP, IDLE)


def main_recording(
    folder: Path, shop: Setup, backends: dict[str, int] | None = None, *, locked: bool = False
) -> Recording:
    """A run of that service; at every load its database has backends in those states."""
    golden = Golden(folder, shop, IDLE)
    today(golden)
    find_knee(golden, IDLE.knee_per_s() / 300)
    for segment in golden.recording().segments if backends else ():
        at_s = np.arange(segment.started_s, segment.ended_s, 0.25)
        table = blank(POSTGRES, len(backends or ()) * len(at_s))
        table["at_s"][:] = np.repeat(at_s, len(backends or ()))
        table["part"][:] = "database"
        table["state"][:] = list(backends or ()) * len(at_s)
        table["backends"][:] = list((backends or {}).values()) * len(at_s)
        if locked:
            table["wait_event_type"][table["state"] == "active"] = "Lock"
        golden.writer.write_table("postgres", segment.index, table)
    return golden.recording()


def wires(
    folder: Path, shop: Setup, *asked: Asked, response_s: float = 0.01, **how: Any
) -> Recording:
    """The wires of one operation that asks this, alone and then a hundred times a second."""
    name = shop.workload.operations[0].name
    mix = [
        Request(
            operation=name,
            began_s=100.0 + number / 100,
            response_s=response_s,
            asked=tuple(asked),
            connection=1 + number % 2,
        )
        for number in range(200)
    ]
    opened = {dependency.name: 2 for dependency in shop.service.dependencies}
    return traced(
        folder, shop, visits(name, asked, response_s, 1.0), mix, **{"opened": opened, **how}
    )


def cause(found: Answer) -> str:
    return found.lines[0].cause


class TestLimitIsNamed:
    def test_a_pool_that_has_as_many_connections_as_requests_in_service(
        self, tmp_path: Path
    ) -> None:
        # One active of two in all: 50 % busy, so not full by itself; about 1 is in service.
        main = main_recording(tmp_path, SHOP, {"idle": 1})
        found = judge([main, wires(tmp_path, SHOP, QUERY)])
        assert cause(found) == (
            "a pool of 1 connection to database while the CPU is idle: "
            f"each request holds one for 8.0 ms, 80 % of its time: {SLOW}"
        )
        assert found.figures["bottleneck"].part == "database"

    def test_statements_with_connections_to_spare_wait_inside_the_database(
        self, tmp_path: Path
    ) -> None:
        main = main_recording(tmp_path, SHOP, {"active": 1, "idle": 9})
        found = judge([main, wires(tmp_path, SHOP, QUERY)])
        assert cause(found).startswith("about 1 call at once to database while the CPU is idle: ")
        assert cause(found).endswith(", with 10 connections open: a lock, or a queue behind them")

    def test_an_outside_call(self, tmp_path: Path) -> None:
        main = mix_recording(tmp_path, PAYING, IDLE)
        recordings = [
            main,
            wires(tmp_path, PAYING, PAY),
            *arm_recordings(tmp_path, PAYING, BETTER, IDLE),
        ]
        found = judge(recordings)
        assert cause(found) == (
            "about 1 call at once to payments while the CPU is idle: "
            "8.0 ms of a request each, 80 % of it: GET /charge"
        )
        assert found.state is State.CONFIRMED
        assert found.claim.startswith(
            "about 1 call at once to payments while the CPU is idle, each worker its own: relieving"
        )

    def test_a_lock_or_a_sleep_inside_is_on_no_wire(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        main = shop_run
        brief = msgspec.structs.replace(QUERY, lasts_s=0.001)
        found = judge([main, wires(tmp_path, SHOP, brief)])
        assert ", inside the service, on no wire: a pool, a lock or a sleep" in cause(found)

    def test_what_could_not_be_read_is_not_called_the_service(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        main = shop_run
        found = judge([main, wires(tmp_path, SHOP, unread={"database": "TLS"})])
        assert "inside the service or in database" in cause(found)
        assert cause(found).endswith("connections to database could not be read: TLS")

    def test_a_peer_that_is_no_dependency_may_be_it(self, tmp_path: Path) -> None:
        peered = msgspec.structs.replace(
            setup(),
            service=msgspec.structs.replace(setup().service, peers=("127.0.0.1:8399",)),
        )
        found = judge([mix_recording(tmp_path, peered, IDLE)])
        assert "in a peer that is no declared dependency: 127.0.0.1:8399" in cause(found)

    def test_time_that_many_share_names_none(self, tmp_path: Path) -> None:
        shop = depending(setup(), database="postgres", payments="http")
        query = msgspec.structs.replace(QUERY, lasts_s=0.004)
        pay = msgspec.structs.replace(PAY, at_s=0.006, lasts_s=0.003)
        found = judge([mix_recording(tmp_path, shop, IDLE), wires(tmp_path, shop, query, pay)])
        assert cause(found).endswith(
            "of a request, 40 % in database, 30 % inside the service, 30 % in payments"
        )


class TestFullPool:
    def test_it_says_what_held_the_connections(self, tmp_path: Path) -> None:
        main = main_recording(tmp_path, SHOP, {"active": 10})
        found = judge([main, wires(tmp_path, SHOP, QUERY)])
        assert cause(found) == (
            "the 10 connections to database, 100 % of their time: "
            f"each request holds one for 8.0 ms, 80 % of its time: {SLOW}"
        )

    def test_connections_that_wait_for_a_lock_are_not_the_limit(self, tmp_path: Path) -> None:
        main = main_recording(tmp_path, SHOP, {"active": 9, "idle in transaction": 1}, locked=True)
        recordings = [
            main,
            wires(tmp_path, SHOP, QUERY),
            *arm_recordings(tmp_path, SHOP, SAME, IDLE),
        ]
        found = judge(recordings)
        assert cause(found) == "a lock in database: 9 of 10 connections waited for one"
        # Another pool brings no second lock.
        assert found.state is State.CONFIRMED
        assert "a lock in database; the workers share it" in found.claim

    def test_the_rate_that_fills_it(self, tmp_path: Path) -> None:
        main = main_recording(tmp_path, SHOP, {"active": 4, "idle": 6})
        found = judge([main, wires(tmp_path, SHOP, QUERY)])
        line = next(line for line in found.lines if "pool" in line.verdict)
        # Ten connections that each request holds for 8 ms.
        assert line.verdict.startswith("database pool 10: fills at 1,250/s, 1.4 × the knee")
        assert line.cause == "a request holds one for 8.0 ms (p99 8.0 ms)"

    def test_without_the_databases_word_it_is_what_was_open(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        found = judge([shop_run, wires(tmp_path, SHOP, QUERY)])
        line = next(line for line in found.lines if "pool" in line.verdict)
        assert line.verdict.startswith("database pool 2: fills at 250/s")


class TestOperations:
    def test_the_dearest_says_what_it_waits_for(self, tmp_path: Path, shop_run: Recording) -> None:
        found = judge([shop_run, wires(tmp_path, SHOP, QUERY)])
        assert found.lines[-1].verdict == (
            f"10 ms a request alone, 80 % of it one statement to database: {SLOW}"
        )

    def test_of_several_statements_the_dearest_is_named(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        first = msgspec.structs.replace(QUERY, text="BEGIN", lasts_s=0.0005, transaction="open")
        found = judge(
            [
                shop_run,
                wires(
                    tmp_path, SHOP, first, msgspec.structs.replace(QUERY, at_s=0.002, lasts_s=0.007)
                ),
            ]
        )
        assert found.lines[-1].verdict == (
            f"10 ms a request alone, 75 % of it 2 statements to database, dearest {SLOW} (70 %)"
        )

    def test_what_is_suspicious_is_said_too(self, tmp_path: Path, shop_run: Recording) -> None:
        again = [
            msgspec.structs.replace(QUERY, at_s=0.001 + 0.001 * n, lasts_s=0.0009) for n in range(8)
        ]
        found = judge([shop_run, wires(tmp_path, SHOP, *again)])
        assert any(line.verdict.startswith("also: ") for line in found.lines)

    def test_it_fits_into_80_columns(self, tmp_path: Path, shop_run: Recording) -> None:
        found = judge([shop_run, wires(tmp_path, SHOP, QUERY)])
        text = render([found], title="shop", recording="there")
        assert max(map(len, text.splitlines())) <= 80


class TestWithoutWires:
    def test_an_older_recording_is_judged_as_before(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        found = judge([shop_run])
        assert cause(found).endswith("while the CPU is idle: a pool, a lock or an outside call")
        assert found.lines[1].verdict == (
            "the wires were not read: what requests wait for is not known"
        )
        assert "wires" not in [check.name for check in found.validity]
        assert found.figures["paths"] is None
        assert found.figures["connections"] is None

    def test_one_that_ended_before_the_load_tells_of_single_requests(
        self, tmp_path: Path, shop_run: Recording
    ) -> None:
        whole = wires(tmp_path, SHOP, QUERY)
        lines = (whole.directory / "segments.jsonl").read_text().splitlines(keepends=True)
        (whole.directory / "segments.jsonl").write_text(lines[0])
        found = judge([shop_run, Recording.open(whole.directory)])
        assert found.lines[-1].verdict.startswith("10 ms a request alone, 80 % of it one statement")
        assert "wires read for single requests only" in [check.detail for check in found.validity]

    def test_the_answer_is_the_same_again(self, tmp_path: Path, shop_run: Recording) -> None:
        main, read = shop_run, wires(tmp_path, SHOP, QUERY)
        again = [Recording.open(main.directory), Recording.open(read.directory)]
        assert msgspec.json.encode(judge([main, read])) == msgspec.json.encode(judge(again))

    @pytest.mark.parametrize("rest", [0, 1])
    def test_cpu_needs_no_wires(self, tmp_path: Path, rest: int) -> None:
        full = Truth()
        recordings = [mix_recording(tmp_path, SHOP, full)]
        if rest:
            recordings.append(wires(tmp_path, SHOP, QUERY))
        assert cause(judge(recordings)).startswith("the one worker's event loop, 9")
