"""The verdict on services of which the right answer is known."""

from __future__ import annotations

from collections.abc import Sequence
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
    take_demand,
    today,
)

from loadpath.answer import Answer, Interval, Line, State
from loadpath.drive import OpenLoad
from loadpath.errors import ExitCode
from loadpath.experiment.depth import LEVELS
from loadpath.questions.bottleneck import judge
from loadpath.recording import HoldCount, HoldsRecord, Recording
from loadpath.recording.schema import POSTGRES
from loadpath.report.results import exit_code
from loadpath.spec import ClosedArrivals, OpenArrivals, Setup

LOOP = Truth()
"""The event loop of the one worker is 92 % busy at the knee, of two cores one is left."""

CORES = Truth(
    parts={"service": Cost(0.95e-3), "database": Cost(1.1e-3)}, engine=Cost(0.1e-3), waiting=0.3
)
"""Service, database and engine want 1.95 of two cores at the knee."""

NOTHING = Truth(parts={"service": Cost(0.3e-3), "database": Cost(0.1e-3)})
"""At the knee nothing is full and the CPU idle: one request at a time gets through."""

BUSY = Truth(parts={"service": Cost(0.75e-3), "database": Cost(0.1e-3)})
"""At the knee nothing is full, but the service's thread ran for two thirds of the time."""

ENGINE = Truth(parts={"service": Cost(0.3e-3)}, engine=Cost(1.0e-3))

BETTER = [(1000.0, 1300.0), (1010.0, 1320.0), (990.0, 1280.0)]
WORSE = [(1000.0, 840.0), (1010.0, 850.0), (990.0, 820.0)]
SAME = [(1000.0, 1000.0), (1010.0, 1010.0), (990.0, 990.0)]
MIXED = [(1000.0, 1300.0), (1010.0, 800.0)]


def answer(
    folder: Path,
    truth: Truth,
    workers: Sequence[tuple[float, float]] = (),
    shop: Setup | None = None,
    **how: Any,
) -> Answer:
    """The verdict on a whole run of a service, with so many rounds of one worker more."""
    shop = shop or setup()
    recordings = [mix_recording(folder, shop, truth, **how)]
    return judge([*recordings, *arm_recordings(folder, shop, workers, truth)])


def subject(found: Answer, name: str) -> Line:
    return next(line for line in found.lines if line.subject == name)


def knee(found: Answer) -> Interval:
    assert found.measurement is not None
    return found.measurement


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """The verdict on a service whose one event loop is full while a core is left."""
    return answer(tmp_path_factory.mktemp("loop"), LOOP, BETTER)


class TestEventLoop:
    def test_it_is_confirmed_when_a_second_worker_helps(self, found: Answer) -> None:
        assert found.state is State.CONFIRMED
        assert found.claim.startswith(
            "the one worker's event loop: relieving it moved the knee, one worker more: +"
        )
        assert found.objectives_met is True
        assert exit_code([found]) is ExitCode.OBJECTIVES_MET
        assert [check.name for check in found.validity if not check.passed] == []

    def test_the_knee_is_where_it_is(self, found: Answer) -> None:
        truth = LOOP.knee_per_s()
        assert knee(found).low <= truth <= knee(found).high
        assert knee(found).value == pytest.approx(truth, rel=0.08)
        assert found.figures["mix_knee_per_s"] == found.measurement
        headroom = found.figures["headroom"]
        assert isinstance(headroom, Interval)
        assert headroom.value == pytest.approx(knee(found).value / 300)

    def test_the_bottleneck_is_a_figure_too(self, found: Answer) -> None:
        bottleneck: Any = found.figures["bottleneck"]
        assert (bottleneck.kind, bottleneck.part) == ("thread", "service")
        assert bottleneck.utilization == pytest.approx(0.94, abs=0.05)

    def test_what_the_worker_gained_is_measured(self, found: Answer) -> None:
        workers: Any = found.figures["workers"]
        truth = (1300 - 92.1) / (1000 - 92.1)
        assert workers.ratio.value == pytest.approx(truth, rel=0.08)
        assert workers.rounds == 3

    def test_demand_is_told_at_each_load_and_by_part(self, found: Answer) -> None:
        demands: Any = found.figures["mix_demand"]
        assert len(demands) == len(LEVELS)
        for demand in demands:
            for part, cost in LOOP.parts.items():
                assert demand.parts[part] == pytest.approx(cost.at(demand.rate_per_s), rel=0.03)
        assert demands[0].cpu_s > demands[-1].cpu_s

    def test_the_lines_say_it(self, found: Answer) -> None:
        first, workers, operation = found.lines
        assert first.subject == "the mix"
        value, low, high = (
            f"{float(f'{rate:.3g}'):,.0f}"
            for rate in (knee(found).value, knee(found).low, knee(found).high)
        )
        at = f"{value}/s ({low}–{high})"
        times = f"{knee(found).value / 300:.1f} ×"
        assert first.verdict == f"misses p99 ≤ 50 ms at {at}, {times} today's 300/s"
        assert first.cause.startswith("the one worker's event loop, 9")
        assert first.cause.endswith(" % of a core")
        assert workers.subject == ""
        assert workers.verdict.startswith("a second worker on these 2 cores: better, +3")
        assert workers.verdict.endswith(" measured in 3 rounds")
        assert operation.subject == "GET /item"
        assert operation.verdict.startswith("dearest: 1.5 ms of CPU a request at 27")
        assert operation.verdict.endswith(" % of it in service")
        assert operation.cause.startswith("misses p99 ≤ 50 ms at ")
        assert operation.cause.endswith(", the others as today")

    def test_it_names_the_recordings_it_rests_on(self, found: Answer) -> None:
        assert found.recordings == (
            "mix",
            "workers-1-round-1",
            "workers-2-round-1",
            "workers-2-round-2",
            "workers-1-round-2",
            "workers-1-round-3",
            "workers-2-round-3",
        )

    def test_the_same_recordings_give_the_same_answer(self, tmp_path: Path) -> None:
        recording = mix_recording(tmp_path, setup(), LOOP)
        again = Recording.open(recording.directory)
        assert msgspec.json.encode(judge([recording])) == msgspec.json.encode(judge([again]))


class TestRelief:
    def test_it_is_refuted_when_a_second_worker_changes_nothing(self, tmp_path: Path) -> None:
        found = answer(tmp_path, LOOP, SAME)
        assert found.state is State.REFUTED
        assert found.claim.startswith("the one worker's event loop was full, yet one worker more: ")
        assert found.claim.endswith("something else binds too")
        assert "no difference" in found.lines[1].verdict
        # A refuted cure is no reason to fail a pipeline: the objectives are met.
        assert exit_code([found]) is ExitCode.OBJECTIVES_MET

    def test_it_is_only_predicted_when_the_rounds_disagree(self, tmp_path: Path) -> None:
        found = answer(tmp_path, LOOP, MIXED)
        assert found.state is State.PREDICTED
        assert "can be either" in found.claim
        assert "cannot tell" in found.lines[1].verdict
        # Where the objective is missed, and that today's load is far from it, is measured.
        assert exit_code([found]) is ExitCode.OBJECTIVES_MET

    def test_it_is_only_predicted_when_it_was_not_tried(self, tmp_path: Path) -> None:
        found = answer(tmp_path, LOOP)
        assert found.state is State.PREDICTED
        assert found.claim == "the one worker's event loop ran out; relief was not tried"
        assert [line.subject for line in found.lines] == ["the mix", "GET /item"]

    def test_one_round_alone_is_shown_without_an_interval_and_proves_nothing(
        self, tmp_path: Path
    ) -> None:
        found = answer(tmp_path, LOOP, BETTER[:1])
        assert found.state is State.PREDICTED
        assert found.lines[1].verdict.endswith(" % measured in 1 round")
        assert "(" not in found.lines[1].verdict

    def test_rounds_in_which_neither_arm_missed_tell_nothing(self, tmp_path: Path) -> None:
        found = answer(tmp_path, LOOP, [(5000.0, 9000.0), (5000.0, 9000.0)])
        assert found.state is State.PREDICTED
        assert found.figures["workers"] is None

    def test_another_worker_than_the_second_is_numbered(self, tmp_path: Path) -> None:
        found = answer(
            tmp_path,
            msgspec.structs.replace(LOOP, cores=4),
            BETTER,
            shop=setup(workers=2),
        )
        assert found.lines[0].cause.startswith("a worker's event loop, ")
        assert found.lines[1].verdict.startswith("worker number 3 on these 4 cores: better")


class TestSharedCores:
    def test_a_second_worker_that_makes_it_worse_confirms_it(self, tmp_path: Path) -> None:
        found = answer(tmp_path, CORES, WORSE)
        assert found.state is State.CONFIRMED
        assert found.lines[0].cause.startswith(
            "all 2 cores of this machine, the load engine included, "
        )
        assert "cores were left, the cores are shared, and one worker more: −" in found.claim
        assert "a second worker on these 2 cores: worse, −" in found.lines[1].verdict

    def test_a_full_event_loop_without_a_core_to_spare_is_the_same(self, tmp_path: Path) -> None:
        found = answer(tmp_path, msgspec.structs.replace(CORES, waiting=0.02), WORSE)
        assert found.state is State.CONFIRMED
        assert found.claim.startswith("the one worker's event loop; 0.")
        assert "the cores are shared" in found.claim

    def test_a_gain_where_none_could_be_is_refuted(self, tmp_path: Path) -> None:
        found = answer(tmp_path, CORES, BETTER)
        assert found.state is State.REFUTED
        assert "the cores are shared, yet one worker more: +" in found.claim


class TestDependencies:
    FULL = Truth(
        parts={"service": Cost(0.5e-3), "database": Cost(0.97e-3)}, cores=4, engine=Cost(1e-5)
    )

    def test_a_worker_more_does_not_relieve_a_database(self, tmp_path: Path) -> None:
        found = answer(tmp_path, self.FULL, SAME)
        assert found.state is State.CONFIRMED
        assert found.lines[0].cause.startswith("database's database-process, 9")
        assert "; a worker more does not relieve it, and one worker more: " in found.claim
        assert "shared" not in found.claim

    def pooled(self, folder: Path, workers: Sequence[tuple[float, float]]) -> Answer:
        """Nothing is full but the ten connections to the database, from 850/s on."""
        golden = Golden(folder, setup(), NOTHING)
        today(golden)
        find_knee(golden, NOTHING.knee_per_s() / 300)
        for segment in golden.recording().segments:
            at_s = np.arange(segment.started_s, segment.ended_s, 0.25)
            busy = 10 if segment.load["rate_per_s"] > 850 else 4
            table = blank(POSTGRES, 2 * len(at_s), at_s=np.repeat(at_s, 2))
            table["part"][:] = "database"
            table["state"][:] = ["active", "idle"] * len(at_s)
            table["backends"][:] = [busy, 10 - busy] * len(at_s)
            golden.writer.write_table("postgres", segment.index, table)
        recordings = arm_recordings(folder, setup(), workers, NOTHING)
        return judge([golden.recording(), *recordings])

    def test_a_pool_that_is_full_while_cores_are_idle_is_named(self, tmp_path: Path) -> None:
        found = self.pooled(tmp_path, BETTER)
        assert found.lines[0].cause == "the 10 connections to database, 100 % of their time"
        # A worker more brings a pool of its own.
        assert found.state is State.CONFIRMED
        assert found.claim.startswith("the 10 connections to database: relieving it moved the knee")

    def test_a_pool_that_more_workers_do_not_relieve_is_refuted(self, tmp_path: Path) -> None:
        assert self.pooled(tmp_path, SAME).state is State.REFUTED


class TestLimitOnConcurrency:
    SAID = (
        "about 1 request is in service at once while the CPU is idle, inside the service, on no "
        "wire"
    )

    def test_it_is_confirmed_when_a_worker_more_brings_its_own(self, tmp_path: Path) -> None:
        found = answer(tmp_path, NOTHING, BETTER)
        assert found.lines[0].cause == self.SAID + ": a pool, a lock or a sleep"
        assert found.state is State.CONFIRMED
        assert found.claim.startswith(self.SAID)
        assert "each worker its own: relieving it moved the knee, one worker more: +" in found.claim
        assert found.figures["bottleneck"].kind == "limit"

    def test_it_is_shared_by_the_workers_when_one_more_changes_nothing(
        self, tmp_path: Path
    ) -> None:
        found = answer(tmp_path, NOTHING, SAME)
        assert found.state is State.CONFIRMED
        assert "on no wire; the workers share it; one worker more: " in found.claim

    def test_one_worker_more_that_makes_it_worse_is_not_explained(self, tmp_path: Path) -> None:
        found = answer(tmp_path, NOTHING, WORSE)
        assert found.state is State.INCONCLUSIVE
        assert found.claim.endswith("something else binds too")

    def test_it_is_named_but_not_confirmed_without_relief(self, tmp_path: Path) -> None:
        found = answer(tmp_path, NOTHING)
        assert found.state is State.PREDICTED
        assert found.claim == self.SAID + "; relief was not tried"


class TestDisturbed:
    def test_rounds_that_others_disturbed_prove_nothing(self, tmp_path: Path) -> None:
        recordings = [mix_recording(tmp_path, setup(), LOOP)]
        noisy = msgspec.structs.replace(LOOP, others_cores=0.7)
        recordings += arm_recordings(tmp_path, setup(), BETTER, noisy)
        found = judge(recordings)
        assert found.state is State.PREDICTED
        assert found.claim == (
            "the one worker's event loop; relief cannot be judged: other processes took 0.70 cores "
            "in 3 of 3 rounds of one worker more"
        )

    def test_cores_that_others_filled_below_the_knee_are_not_the_bottleneck(
        self, tmp_path: Path
    ) -> None:
        golden = Golden(tmp_path, setup(), NOTHING)
        today(golden)
        golden.drive("hold", OpenLoad(rate_per_s=850.0), others_cores=1.6)
        golden.drive("hold", OpenLoad(rate_per_s=960.0))
        bottleneck: Any = judge([golden.recording()]).figures["bottleneck"]
        assert bottleneck.kind == "limit"


class TestWhatCannotBeTold:
    def test_nothing_was_full_and_nothing_idle(self, tmp_path: Path) -> None:
        found = answer(tmp_path, BUSY, BETTER)
        assert found.state is State.INCONCLUSIVE
        assert found.claim == "the knee is measured, what ran out is not known: not CPU"
        assert found.lines[0].cause.startswith("no thread and no core was full")
        assert knee(found).low <= NOTHING.knee_per_s() <= knee(found).high
        assert found.figures["bottleneck"] is None
        assert exit_code([found]) is ExitCode.INCONCLUSIVE

    def test_the_engine_ran_out_first(self, tmp_path: Path) -> None:
        found = answer(tmp_path, ENGINE, BETTER)
        assert found.state is State.INCONCLUSIVE
        assert found.claim == "the load engine ran out first: the service can carry more"
        assert found.lines[0].cause.startswith("the load engine itself, ")

    def test_the_objective_was_never_missed(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        today(golden)
        for rate in (500.0, 600.0, 700.0):
            golden.drive("hold", OpenLoad(rate_per_s=rate))
        found = judge([golden.recording()])
        assert found.state is State.INCONCLUSIVE
        assert found.claim == "no load was found at which the objective is missed"
        assert found.lines[0].verdict == (
            "meets p99 ≤ 50 ms at 700/s, 2.3 × today's 300/s; no knee found"
        )
        assert found.lines[0].cause == ""
        assert found.measurement is None
        assert found.objectives_met is True
        assert exit_code([found]) is ExitCode.INCONCLUSIVE

    def test_other_processes_took_the_machine(self, tmp_path: Path) -> None:
        found = answer(tmp_path, LOOP, BETTER, others_cores=0.7)
        assert found.state is State.INCONCLUSIVE
        assert found.claim == (
            "quiet machine: other processes took 0.70 cores while it was measured."
        )
        assert found.objectives_met is True

    def test_acknowledged_writes_were_lost(self, tmp_path: Path) -> None:
        lost = HoldCount(acknowledged=9, checked=9, held=8, broken=1, unknown=0)
        holds = HoldsRecord(kinds={"link": lost}, first_broken={"link": "status 404"})
        found = answer(tmp_path, LOOP, BETTER, holds=holds)
        assert found.state is State.INCONCLUSIVE
        assert found.claim.startswith("acknowledged writes: 1 of 9 ")

    def test_users_are_told_in_users_and_a_worker_more_is_not_tried(self, tmp_path: Path) -> None:
        arrivals = ClosedArrivals(users=300, think_time_s=1.0)
        found = answer(tmp_path, LOOP, shop=setup(arrivals=arrivals))
        assert found.state is State.PREDICTED
        assert found.claim.endswith("relief was not tried")
        words = found.lines[0].verdict.split()
        assert found.lines[0].verdict.startswith("misses p99 ≤ 50 ms at ")
        assert found.lines[0].verdict.endswith(" × today's 300 users")
        users = int(words[words.index("users") - 1].replace(",", ""))
        assert users == pytest.approx(LOOP.knee_per_s(), rel=0.15)
        assert knee(found).value == pytest.approx(LOOP.knee_per_s(), rel=0.15)


class TestRunsThatEndedEarly:
    def test_without_a_recording_of_the_mix(self) -> None:
        found = judge([])
        assert found.state is State.INCONCLUSIVE
        assert found.objectives_met is None
        assert exit_code([found]) is ExitCode.INCONCLUSIVE

    def test_in_the_warm_up(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        golden.drive("warmup", OpenLoad(rate_per_s=300.0))
        found = judge([golden.recording()])
        assert found.state is State.INCONCLUSIVE
        assert found.claim == "the run ended before today's load was measured"
        assert found.lines[0].verdict == "nothing to say: 1 segment was recorded"
        assert found.objectives_met is None

    def test_in_the_ramp(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        today(golden)
        found = judge([golden.recording()])
        assert found.state is State.INCONCLUSIVE
        assert found.lines[0].verdict == "the knee was not found; today's is 300/s"
        # What was measured until then stands.
        assert found.objectives_met is True
        assert exit_code([found]) is ExitCode.INCONCLUSIVE

    def test_before_any_demand_was_taken(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        today(golden)
        find_knee(golden, LOOP.knee_per_s() / 300)
        found = judge([golden.recording()])
        assert knee(found).low <= LOOP.knee_per_s() <= knee(found).high
        assert found.figures["operations"] == []

    def test_between_the_arms_of_a_round(self, tmp_path: Path) -> None:
        recordings = arm_recordings(tmp_path, setup(), BETTER[:2], LOOP)
        found = judge([mix_recording(tmp_path, setup(), LOOP), *recordings[:3]])
        workers: Any = found.figures["workers"]
        assert workers.rounds == 1


class TestTodaysLoad:
    def test_a_miss_is_told_first_and_ends_in_1(self, tmp_path: Path) -> None:
        shop = setup(arrivals=OpenArrivals(960.0))
        found = answer(tmp_path, LOOP, BETTER, shop=shop)
        assert found.objectives_met is False
        assert exit_code([found]) is ExitCode.OBJECTIVE_MISSED
        said = found.lines[0].verdict
        # −ln 0.01 / (1000 − 960)
        assert said.startswith("misses p99 ≤ 50 ms already at today's 960/s: p99 11")
        assert said.endswith(" ms, 0.00 % errors")

    def test_errors_are_a_miss_however_fast_the_replies(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        today(golden, failing={"GET /item": 0.05})
        found = judge([golden.recording()])
        assert found.objectives_met is False
        assert found.lines[0].verdict.endswith(", 5.00 % errors")
        assert exit_code([found]) is ExitCode.OBJECTIVE_MISSED

    def test_a_miss_outweighs_a_disturbed_search(self, tmp_path: Path) -> None:
        shop = setup(arrivals=OpenArrivals(960.0))
        found = answer(tmp_path, LOOP, shop=shop, others_cores=0.7)
        assert found.state is State.INCONCLUSIVE
        assert exit_code([found]) is ExitCode.OBJECTIVE_MISSED


class TestOperations:
    def test_the_dearest_is_first_and_one_judged_within_the_mix_says_so(
        self, tmp_path: Path
    ) -> None:
        shop = setup("GET /item", "POST /order", weights=[9, 1], not_alone=["POST /order"])
        truth = Truth(dear={"POST /order": 4.0, "GET /item": 6 / 9})
        found = answer(tmp_path, truth, shop=shop)
        subjects = [line.subject for line in found.lines]
        assert subjects == ["the mix", "POST /order", "GET /item"]
        order = subject(found, "POST /order")
        assert order.verdict.startswith("dearest: ")
        assert order.cause == "judged within the mix only"
        assert not subject(found, "GET /item").verdict.startswith("dearest")
        costs: Any = found.figures["operations"]
        for cost in costs:
            for demand in cost.demands:
                assert demand.parts["service"] == pytest.approx(
                    truth.cost("service", demand.rate_per_s, {cost.name: 1.0}), rel=0.05
                )

    def test_one_that_never_missed_says_what_it_still_carried(self, tmp_path: Path) -> None:
        golden = Golden(tmp_path, setup(), LOOP)
        today(golden)
        load = OpenLoad(rate_per_s=100.0, end_rate_per_s=800.0)
        golden.drive("operation-ramp", load, duration_s=10.0, label="GET /item")
        found = judge([golden.recording()])
        line = subject(found, "GET /item")
        assert (line.verdict, line.cause) == ("not measured", "still meets p99 ≤ 50 ms at 800/s")

    def test_assumptions_are_shown_with_every_answer(self, tmp_path: Path) -> None:
        shop = setup(assumptions=("Zipf 1.0: assumed, not measured",))
        golden = Golden(tmp_path, shop, LOOP)
        today(golden)
        take_demand(golden, 900.0)
        found = judge([golden.recording()])
        assert subject(found, "assumed").verdict == "Zipf 1.0: assumed, not measured"
