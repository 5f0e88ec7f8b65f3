"""Writes that flows follow: what they were told, what is sent again, and what is there of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import EffectsWanted, Engine, EnginePlan, OpenLoad, Segment
from loadpath.drive.driver import Driver
from loadpath.drive.effects import EffectsCounter
from loadpath.drive.rows import digests_of
from loadpath.experiment.assess import responses
from loadpath.recording.schema import (
    EFFECTS,
    EFFECTS_UNKNOWN,
    READS,
    WRITES,
    RequestError,
    WriteOutcome,
)
from loadpath.recording.tables import read_requests, read_table
from loadpath.spec import OpenArrivals, Operation, Workload

HOWS = ("well", "lose", "refuse", "down", "mute", "cut", "twice")

FLOWS = (
    "".join(
        f"""
@operation("{how}")
def {how}(state):
    token = state.attempt("{how}", key="shelf")
    reply = yield post("/make/{how}", body=token, expect=(409,), retries=2)
    if reply.ok:
        state.acknowledge("{how}", name=reply.json()["name"])

@effects("{how}")
def count_{how}(attempt):
    assert attempt.kind == "{how}" and attempt.key == "shelf"
    reply = yield get("/made/" + attempt.token)
    return reply.json()
"""
        for how in HOWS
    )
    + """
@operation("plain")
def plain(state):
    name = state.unique("plain-")
    reply = yield post("/make/well", body=name)
    state.acknowledge("plain", name=name)

@still_holds("plain")
def is_there(thing):
    reply = yield get("/made/" + thing.name)
    return reply.json() == 1

@still_holds("well")
def said_nothing(thing):
    reply = yield get("/status/503")
    return False

@operation("unfollowed")
def unfollowed(state):
    state.attempt("unfollowed")
    yield get("/ok")
"""
)

READ_BACK = Operation(name="read back plain", weight=2.0, reads_back="plain")
READ_WELL = Operation(name="read back well", weight=1.0, reads_back="well")


def workload(flows: Path, *names: str) -> Workload:
    return Workload(
        arrivals=OpenArrivals(1.0),
        operations=(*(Operation(name=name) for name in names), READ_BACK, READ_WELL),
        flows=flows,
    )


class Seen:
    """What one segment left: its rows, and the three tables by kind."""

    def __init__(self, folder: Path) -> None:
        self.rows = read_requests(folder / "requests")
        self.writes = self._by_kind(folder / "writes", WRITES)
        self.reads = self._by_kind(folder / "reads", READS)
        self.effects = self._by_kind(folder / "effects", EFFECTS)

    @staticmethod
    def _by_kind(path: Path, table: Any) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
        found = read_table(path, table)
        kinds = found["kind"]
        return {
            kind: {name: column[kinds == kind] for name, column in found.items()}
            for kind in set(kinds.tolist())
        }


def segment(folder: Path) -> Segment:
    return Segment(
        index=4,
        purpose="test",
        load=OpenLoad(rate_per_s=400, process="constant"),
        duration_s=0.5,
        drain_s=3.0,
        requests_path=folder / "requests",
        writes_path=folder / "writes",
        reads_path=folder / "reads",
    )


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def seen(request: Any, service: Any, tmp_path_factory: Any) -> tuple[Seen, Any, Any]:
    """A segment of all kinds of writes, driven and then counted, by one process and by two."""
    folder = tmp_path_factory.mktemp("effects")
    flows = folder / "workload.py"
    flows.write_text("from loadpath.flow import *\n" + FLOWS)
    plan = EnginePlan(
        host="127.0.0.1",
        port=service.port,
        workload=workload(flows, *HOWS, "plain", "unfollowed"),
        processes=request.param,
        seed=request.param,  # so that tokens of the two differ
    )

    async def main() -> tuple[Any, Any]:
        async with (
            asyncio.timeout(60),
            Guard() as guard,
            Engine(plan, spawn=guard.spawn) as engine,
        ):
            result = await engine.run(segment(folder))
            counted = await engine.count_effects(
                EffectsWanted(segments=(4,), path=folder / "effects", limit=10_000, budget_s=30.0)
            )
            return result, counted

    result, counted = asyncio.run(main())
    return Seen(folder), result, counted


def outcomes(seen: Seen, kind: str) -> dict[int, list[int]]:
    """By token, what its attempts came to, in order."""
    rows = seen.writes[kind]
    found: dict[int, list[int]] = {}
    for at in np.argsort(rows["started_s"], kind="stable"):
        found.setdefault(int(rows["token"][at]), []).append(int(rows["outcome"][at]))
    return found


INFO, OK, FAIL = int(WriteOutcome.INFO), int(WriteOutcome.OK), int(WriteOutcome.FAIL)


@pytest.mark.parametrize(
    ("kind", "attempts", "effects"),
    [
        ("well", [OK], 1),
        ("lose", [OK], 0),
        ("refuse", [FAIL], 0),
        ("down", [INFO, INFO, INFO], 0),
        ("mute", [INFO, INFO, INFO], 3),
        ("cut", [INFO, OK], 2),
        ("twice", [INFO, OK], 2),
    ],
)
def test_every_write_is_followed_to_what_became_of_it(
    seen: tuple[Seen, Any, Any], kind: str, attempts: list[int], effects: int
) -> None:
    tried = outcomes(seen[0], kind)
    assert len(tried) > 5
    assert Counter(map(tuple, tried.values())) == {tuple(attempts): len(tried)}
    there = seen[0].effects[kind]
    assert dict(zip(there["token"].tolist(), there["effects"].tolist(), strict=True)) == (
        dict.fromkeys(tried, effects)
    )


def test_an_attempt_ends_when_its_answer_is_in_and_never_without_one(
    seen: tuple[Seen, Any, Any],
) -> None:
    for kind, answered in (("well", True), ("refuse", True), ("down", True), ("mute", False)):
        rows = seen[0].writes[kind]
        ended_s = rows["ended_s"]
        assert (~np.isnan(ended_s)).all() if answered else np.isnan(ended_s).all()
        assert not (ended_s < rows["started_s"]).any()
        assert len(set(rows["key"].tolist())) == 1 and rows["key"].all()


def test_what_is_sent_again_has_failed_only_when_the_last_one_did(
    seen: tuple[Seen, Any, Any],
) -> None:
    rows, result = seen[0].rows, seen[1]
    assert set(result.first_errors) == {"down", "mute", "read back well"}
    retried = rows["error"] == RequestError.RETRIED
    assert not rows["last"][retried].any()
    failed = responses(rows)
    for index, kind in enumerate(HOWS):
        of_kind = failed.of(index)
        assert len(of_kind) > 5
        assert of_kind.failed.all() == (kind in ("down", "mute"))
        steps = rows["step"][rows["operation"] == index]
        assert steps.max() == {"down": 2, "mute": 2, "cut": 1, "twice": 1}.get(kind, 0)


def test_clients_wait_longer_each_time(seen: tuple[Seen, Any, Any]) -> None:
    rows = seen[0].rows
    for flow in set(rows["flow"][rows["operation"] == HOWS.index("down")].tolist()):
        own = rows["flow"] == flow
        intended = rows["intended_s"][own][np.argsort(rows["step"][own])]
        done = rows["done_s"][own][np.argsort(rows["step"][own])]
        first, second = intended[1:] - done[:-1]
        assert 0.049 < first < 0.16 and 0.099 < second < 0.31


def test_what_was_acknowledged_is_read_back_under_load(seen: tuple[Seen, Any, Any]) -> None:
    reads, writes = seen[0].reads["plain"], seen[0].writes["plain"]
    assert len(reads["token"]) > 10 and reads["seen"].all()
    assert set(reads["token"].tolist()) <= set(writes["token"].tolist())
    assert (reads["ended_s"] >= reads["started_s"]).all()


def test_a_reply_of_5xx_tells_nothing_of_what_is_there(seen: tuple[Seen, Any, Any]) -> None:
    assert "well" not in seen[0].reads


def test_a_kind_without_its_own_count_is_told_by_whether_it_still_holds(
    seen: tuple[Seen, Any, Any],
) -> None:
    there = seen[0].effects["plain"]
    assert len(there["token"]) > 5 and (there["effects"] == 1).all()


def test_what_nothing_counts_is_said(seen: tuple[Seen, Any, Any]) -> None:
    counted = seen[2]
    assert counted.uncounted_kinds == ("unfollowed",)
    assert counted.looked_for == sum(len(t["token"]) for t in seen[0].effects.values())
    assert counted.total == counted.looked_for + len(seen[0].writes["unfollowed"]["token"])
    assert counted.unknown == 0


@pytest.fixture
def driver(own_service: Any, write_flows: Any) -> Iterator[tuple[Driver, Any]]:
    """A driver in this process that has made some things, and their service."""
    service = own_service()
    flows = write_flows(FLOWS)
    plan = EnginePlan(host="127.0.0.1", port=service.port, workload=workload(flows, "cut"))
    made = Driver(plan, {})
    made.run_segment(segment(flows.parent), lambda report: None)
    yield made, service
    made.close()


def wanted(folder: Path, **other: Any) -> EffectsWanted:
    settings: dict[str, Any] = {"limit": 1000, "budget_s": 10.0, **other}
    return EffectsWanted(segments=(4,), path=folder / "effects", **settings)


def test_those_that_ended_nearest_to_the_fault_are_looked_for_first(
    driver: tuple[Driver, Any], tmp_path: Path
) -> None:
    entries = driver[0].state.journal.entries
    near = entries[len(entries) // 2]
    ended_s = near.attempts[-1][1]
    counted = EffectsCounter(driver[0]).count(wanted(tmp_path, limit=1, near_s=ended_s))
    assert (counted.looked_for, counted.total) == (1, len(entries))
    found = read_table(tmp_path / "effects", EFFECTS)
    assert found["token"].tolist() == digests_of([near.token], driver[0].plan.salt).tolist()


def test_a_service_that_is_gone_leaves_effects_unknown_and_is_not_asked_for_ever(
    driver: tuple[Driver, Any], tmp_path: Path
) -> None:
    driver[1].process.kill()
    driver[1].process.wait()
    counted = EffectsCounter(driver[0]).count(wanted(tmp_path))
    found = read_table(tmp_path / "effects", EFFECTS)["effects"]
    assert (found == EFFECTS_UNKNOWN).all()
    assert counted.unknown == counted.looked_for == min(counted.total, 20)


def test_nothing_is_sent_again_once_the_segment_is_over(own_service: Any, write_flows: Any) -> None:
    flows = write_flows(FLOWS)
    service = own_service()
    plan = EnginePlan(host="127.0.0.1", port=service.port, workload=workload(flows, "mute"))
    driver = Driver(plan, {})
    try:
        short = msgspec.structs.replace(segment(flows.parent), duration_s=0.05, drain_s=0.02)
        result, rows = driver.run_segment(short, lambda report: None)
        before = len(service.seen()["requests"])
        time.sleep(0.5)
        assert len(service.seen()["requests"]) == before + 1  # which asked how many
    finally:
        driver.close()
    assert result.unfinished == result.arrivals - result.skipped
    assert (rows["error"][rows["last"]] == RequestError.UNFINISHED).all()
    assert driver.state.journal.writes(b"salt") is not None
