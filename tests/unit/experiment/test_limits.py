"""Which resource is named, from usage written by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from golden_recordings import Golden, Truth, blank, setup

from loadpath.drive import OpenLoad
from loadpath.experiment.limits import (
    Resource,
    connections_in,
    limiting,
    resources,
    usage_in,
)
from loadpath.meter import Usage
from loadpath.meter.windows import HostUse, ProcessUse, ThreadUse
from loadpath.recording.schema import POSTGRES


def usage(*processes: tuple[str, dict[str, float]], cores: int = 2, waiting: float = 0.0) -> Usage:
    """Ten seconds of processes, each (part, cores used by thread name)."""
    found, threads = [], []
    for pid, (part, used) in enumerate(processes, start=100):
        total = sum(used.values())
        found.append(
            ProcessUse(
                part=part,
                pid=pid,
                kind="backend" if part == "database" else part,
                cpu_s=total * 10,
                cpu_cores=total,
                rss_bytes=1,
                threads=len(used),
            )
        )
        for tid, (name, share) in enumerate(used.items(), start=pid * 10):
            threads.append(
                ThreadUse(
                    part=part,
                    pid=pid,
                    tid=tid,
                    name=name,
                    cpu_s=share * 10,
                    cpu_cores=share,
                    wait_share=waiting,
                )
            )
    busy = sum(process.cpu_cores for process in found)
    return Usage(
        from_s=0.0,
        to_s=10.0,
        covered_ratio=1.0,
        cpu_by_part={process.part: process.cpu_s for process in found},
        processes=tuple(found),
        threads=tuple(threads),
        host=HostUse(
            cores=cores,
            busy_cores=busy,
            idle_cores=cores - busy,
            iowait_cores=0.0,
            steal_cores=0.0,
            others_cores=0.0,
            kernel_cores=math.nan,
            pressure=math.nan,
        ),
    )


def named(used: Usage, **how: Any) -> str | None:
    """What ran out, in words, when it was as full just below the knee as above it."""
    found = limiting([], resources(used, setup(**how)))
    return found.describe() if found else None


class TestNaming:
    def test_the_one_event_loop_that_is_full(self) -> None:
        used = usage(("service", {"loop": 0.97, "tokio": 0.1}), ("database", {"backend": 0.2}))
        assert named(used) == "the one worker's event loop, 97 % of a core"

    def test_one_of_several_workers(self) -> None:
        used = usage(("service", {"loop": 0.95}), ("service", {"loop": 0.9}), cores=4)
        assert named(used, workers=2) == "a worker's event loop, 95 % of a core"

    def test_a_server_that_is_not_known_for_an_event_loop_has_a_busiest_thread(self) -> None:
        used = usage(("service", {"main": 0.93}))
        assert named(used, start=("shop",)) == "the one worker's busiest thread, 93 % of a core"

    def test_threads_that_share_one_core_between_them_stand_under_one_lock(self) -> None:
        used = usage(("service", {f"thread-{i}": 0.24 for i in range(4)}), cores=4)
        assert named(used) == (
            "the one worker's threads together, as under one interpreter lock, 96 % of a core"
        )

    def test_threads_that_use_more_than_a_core_do_not(self) -> None:
        used = usage(("service", {f"thread-{i}": 0.6 for i in range(4)}), cores=4)
        assert named(used) is None

    def test_all_cores_of_the_machine(self) -> None:
        used = usage(
            ("service", {"loop": 0.8}), ("database", {"backend": 0.7}), ("engine", {"main": 0.46})
        )
        assert named(used) == (
            "all 2 cores of this machine, the load engine included, 98 % of their time"
        )

    def test_the_only_core_of_the_machine(self) -> None:
        used = usage(("service", {"loop": 0.8}), ("engine", {"main": 0.18}), cores=1)
        assert named(used) == (
            "the one core of this machine, the load engine included, 98 % of its time"
        )

    def test_a_full_thread_that_waited_for_a_core_is_a_sign_of_the_cores(self) -> None:
        parts = (("service", {"loop": 0.9}), ("database", {"backend": 0.8}), ("x", {"x": 0.26}))
        assert named(usage(*parts, waiting=0.3)).startswith("all 2 cores")  # type: ignore[union-attr]
        assert named(usage(*parts, waiting=0.02)).startswith("the one worker's")  # type: ignore[union-attr]

    def test_a_thread_that_waited_while_cores_were_idle_is_named_itself(self) -> None:
        used = usage(("service", {"loop": 0.9}), cores=4, waiting=0.3)
        assert named(used) == "the one worker's event loop, 90 % of a core"

    def test_the_engine(self) -> None:
        used = usage(("service", {"loop": 0.5}), ("engine", {"main": 0.97}))
        found = limiting([], resources(used, setup()))
        assert found is not None
        assert (found.kind, found.name) == ("engine", "the load engine itself")

    def test_the_service_rather_than_the_engine_when_both_are_full(self) -> None:
        used = usage(("service", {"loop": 0.9}), ("engine", {"main": 0.97}), cores=4)
        assert named(used) == "the one worker's event loop, 90 % of a core"

    def test_a_dependency(self) -> None:
        used = usage(("service", {"loop": 0.5}), ("database", {"backend": 0.95}), cores=4)
        assert named(used) == "database's backend, 95 % of a core"

    def test_nothing_full_is_nothing_named(self) -> None:
        assert named(usage(("service", {"loop": 0.4}), ("engine", {"main": 0.1}))) is None

    def test_the_fullest_comes_first(self) -> None:
        used = usage(("service", {"loop": 0.3}), ("database", {"backend": 0.6}), cores=4)
        assert [r.utilization for r in resources(used, setup())] == pytest.approx([0.6, 0.3, 0.225])


def resource(kind: Any = "thread", utilization: float = 0.95, **fields: Any) -> Resource:
    values = {"part": "service", "name": kind, "unit": "a core", **fields}
    return Resource(kind=kind, utilization=utilization, **values)


class TestChoosing:
    def test_just_above_the_knee_counts_before_just_below_it(self) -> None:
        below, above = [resource("thread")], [resource("cores", part="host", utilization=0.99)]
        assert limiting(below, above) == above[0]

    def test_below_counts_when_nothing_above_was_full(self) -> None:
        below = [resource("thread", 0.9)]
        assert limiting(below, [resource("thread", 0.7)]) == below[0]

    def test_a_pool_is_named_when_no_thread_and_no_core_is_full(self) -> None:
        pool = resource("pool", 0.95, part="database")
        assert limiting([], [pool, resource("thread", 0.5)]) == pool
        assert limiting([], [resource("pool", 0.7, part="database")]) is None

    def test_a_full_thread_is_named_before_a_full_pool(self) -> None:
        pool, thread = resource("pool", 0.99, part="database"), resource("thread", 0.9)
        assert limiting([], [pool, thread]) == thread

    @pytest.mark.parametrize(
        ("kind", "limit"), [("thread", 0.88), ("process", 0.88), ("engine", 0.88), ("cores", 0.95)]
    )
    def test_each_kind_has_its_own_measure_of_full(self, kind: Any, limit: float) -> None:
        assert resource(kind, limit).full
        assert not resource(kind, limit - 0.001).full


def test_what_was_used_in_a_segment_is_what_was_metered_in_it(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth(waiting=0.25))
    golden.drive("hold", OpenLoad(rate_per_s=100.0))
    segment = golden.drive("hold", OpenLoad(rate_per_s=600.0))
    golden.drive("hold", OpenLoad(rate_per_s=900.0))
    used = usage_in(golden.recording(), segment)
    service = used.busiest_thread("service")
    assert service is not None
    assert service.cpu_cores == pytest.approx(600 * Truth().parts["service"].at(600))
    assert service.wait_share == pytest.approx(0.25)
    assert used.host.cores == 2


class TestConnections:
    def pool(self, tmp_path: Path, *samples: dict[str, int]) -> list[Resource]:
        """Samples a tenth of a second apart, from one second into a segment on."""
        golden = Golden(tmp_path, setup(), Truth())
        segment = golden.drive("hold", OpenLoad(rate_per_s=100.0))
        rows = [
            (segment.started_s + 1 + 0.1 * at, "database", state, count)
            for at, states in enumerate(samples)
            for state, count in states.items()
        ]
        table = blank(POSTGRES, len(rows))
        for name, values in zip(("at_s", "part", "state", "backends"), zip(*rows), strict=True):  # noqa: B905
            table[name][:] = values
        golden.writer.write_table("postgres", segment.index, table)
        return connections_in(golden.recording(), segment)

    def test_they_are_busy_in_a_statement_and_in_an_open_transaction(self, tmp_path: Path) -> None:
        (found,) = self.pool(
            tmp_path, {"active": 6, "idle in transaction": 3, "idle": 1}, {"active": 10}
        )
        assert (found.kind, found.part) == ("pool", "database")
        assert found.name == "the 10 connections to database"
        assert found.utilization == pytest.approx(0.95)
        assert found.full

    def test_idle_ones_are_not(self, tmp_path: Path) -> None:
        (found,) = self.pool(tmp_path, {"active": 1, "idle": 3}, {"idle": 4})
        assert found.utilization == pytest.approx(0.125)
        assert not found.full

    def test_without_samples_there_is_no_pool(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), Truth())
        segment = golden.drive("hold", OpenLoad(rate_per_s=100.0))
        assert connections_in(golden.recording(), segment) == []
