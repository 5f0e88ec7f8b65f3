"""What lifts a bottleneck: chosen by a model beforehand, measured, told beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_recordings import Golden, Truth, mix_recording, setup

from loadpath.answer import Answer, Interval, State
from loadpath.changes import Known
from loadpath.drive import OpenLoad
from loadpath.model.observations import Exchange, Times
from loadpath.model.observations import Path as CallPath
from loadpath.questions.bottleneck import judge
from loadpath.questions.lifts import Lift, Lifts, candidates, choose, one_worker_more, write_lifts
from loadpath.recording import Recording
from loadpath.spec import Knob, Setup
from loadpath.stats.compare import interleaved

LOOP = Truth()
CHANGES = ("workers=2", "slots=6")


def shop() -> Setup:
    made = setup(start=("serve", "{workers}"))
    knob = Knob("slots", "SLOTS", "3", ("3", "6", "9"), "service")
    service = msgspec.structs.replace(made.service, knobs=(knob,))
    return msgspec.structs.replace(made, service=service)


def foretold(ratio: float) -> Interval:
    return Interval(ratio, ratio * 0.95, ratio * 1.05, 0.9, "draws and model error", 6)


def arms(folder: Path, capacities: Sequence[tuple[float, float, float]]) -> list[Recording]:
    """Rounds of the service as it is, with a worker more, and with 6 slots."""
    made = []
    base = shop()
    worker = msgspec.structs.replace(base, workers=2)
    slots = msgspec.structs.replace(base, knobs={"slots": "6"})
    for place, letter in enumerate(interleaved(len(capacities), ("A", "B", "C"))):
        round_ = place // 3
        arm = {"A": base, "B": worker, "C": slots}[letter]
        capacity = capacities[round_]["ABC".index(letter)]
        truth = msgspec.structs.replace(LOOP, capacity_per_s=capacity)
        golden = Golden(folder, arm, truth, name=f"{letter}-round-{round_ + 1}")
        golden.drive(
            "arm-ramp",
            OpenLoad(rate_per_s=550.0, end_rate_per_s=1900.0),
            duration_s=10.0,
            arm=letter,
            round=round_,
        )
        golden.writer.finish()
        made.append(golden.recording())
    return made


def judged(run: Path, lifts: Lifts, capacities: Sequence[tuple[float, float, float]]) -> Answer:
    folder = run / "recordings"
    folder.mkdir(parents=True)
    recordings = [mix_recording(folder, shop(), LOOP), *arms(folder, capacities)]
    write_lifts(run, lifts)
    return judge(recordings)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """A worker more helps nothing, 6 slots do."""
    lifts = Lifts(
        lifts=(
            Lift(change="slots=6", predicted=foretold(1.3), letter="C"),
            Lift(change="workers=2", predicted=foretold(1.1), letter="B"),
            Lift(change="slots=9", predicted=foretold(1.2)),
            Lift(
                change="code 20% faster in GET /item",
                predicted=foretold(1.25),
                not_applied="it takes other code",
            ),
        )
    )
    capacities = [(1000.0, 860.0, 1300.0), (1010.0, 850.0, 1320.0), (990.0, 850.0, 1280.0)]
    return judged(tmp_path_factory.mktemp("lifts"), lifts, capacities)


def test_each_that_was_tried_is_told_measured_and_predicted(found: Answer) -> None:
    slots, workers, more, code = [line.verdict for line in found.lines if line.subject == ""]
    assert slots.startswith("slots=6: better, +3")
    assert slots.endswith("measured in 3 rounds, +30 % (+23 to +37) predicted")
    assert workers.startswith("a second worker on these 2 cores: worse, −1")
    assert workers.endswith("measured in 3 rounds, +10 % (+4 to +16) predicted")
    assert more == "slots=9: +20 % (+14 to +26) predicted, not tried"
    assert code.startswith("code 20% faster in GET /item: +25 %")
    assert code.endswith(" predicted only: it takes other code")


def test_the_figures_hold_every_lift(found: Answer) -> None:
    lifts: Any = found.figures["lifts"]
    assert [each.measured is not None for each in lifts] == [True, True, False, False]
    assert lifts[0].measured.ratio.value > 1.2
    assert lifts[1].measured.ratio.value < 0.95
    workers: Any = found.figures["workers"]
    assert workers == lifts[1].measured


def test_without_a_worker_more_the_best_foretold_decides(tmp_path: Path) -> None:
    lifts = Lifts(lifts=(Lift(change="slots=6", predicted=foretold(1.3), letter="C"),))
    capacities = [(1000.0, 860.0, 1300.0), (1010.0, 850.0, 1320.0), (990.0, 850.0, 1280.0)]
    found = judged(tmp_path, lifts, capacities)
    assert found.state is State.CONFIRMED
    assert "what the model chose moved the knee, slots=6: +3" in found.claim
    assert found.figures["workers"] is None


def test_a_choice_that_lifts_nothing_refutes(tmp_path: Path) -> None:
    lifts = Lifts(lifts=(Lift(change="slots=6", predicted=foretold(1.3), letter="C"),))
    found = judged(tmp_path, lifts, [(1000.0, 860.0, 1000.0), (1010.0, 850.0, 1010.0)])
    assert found.state is State.REFUTED
    assert "slots=6: " in found.claim


def test_what_was_foretold_to_lift_nothing_and_does_not_is_confirmed(tmp_path: Path) -> None:
    lifts = Lifts(lifts=(Lift(change="slots=6", predicted=foretold(1.0), letter="C"),))
    found = judged(tmp_path, lifts, [(1000.0, 860.0, 1000.0), (1010.0, 850.0, 1010.0)])
    assert found.state is State.CONFIRMED
    assert "as foretold, nothing that could be tried lifts it: slots=6: " in found.claim


def test_where_no_model_chose_it_is_said(tmp_path: Path) -> None:
    lifts, arms_ = one_worker_more(shop(), "no model: too few rates")
    assert [arm.worker_count for arm in arms_.values()] == [2]
    found = judged(tmp_path, lifts, [(1000.0, 1300.0, 1.0), (1010.0, 1320.0, 1.0)])
    said = [line.verdict for line in found.lines]
    assert "no model: too few rates; one worker more was tried" in said
    assert any("a second worker on these 2 cores: better" in line for line in said)


def test_candidates_are_what_a_model_can_say(tmp_path: Path) -> None:
    main = mix_recording(tmp_path, shop(), LOOP)
    time = Times(count=9, mean_s=0.001, p99_s=0.002, quantiles_s=(0.001,))
    call = Exchange(dependency="database", kind="postgres", shape="SELECT 1", calls=20.0, time=time)
    path = CallPath(operation="GET /item", exchanges=(call,), alone_s=0.1, last_gap_s=0.0)
    titles = [change.title for change in candidates(Known(shop(), 2), main, (path,))]
    assert titles[:3] == ["workers=2", "slots=6", "slots=9"]
    assert "code 20% faster in GET /item" in titles
    assert "calls GET /item database 20->1" in titles


def test_a_model_chooses_and_the_choice_is_the_same_again(tmp_path: Path) -> None:
    main = mix_recording(tmp_path, shop(), LOOP)
    given = shop()
    elsewhere = msgspec.structs.replace(given.service, directory=tmp_path / "elsewhere")
    given = msgspec.structs.replace(given, service=elsewhere)
    lifts, arms_ = choose([main], given, tried=2)
    assert lifts.no_model is None, lifts
    assert [lift.change for lift in lifts.lifts if lift.letter is not None] == ["workers=2"]
    assert arms_["B"].worker_count == 2
    # A recording has no secrets and no paths: what is started is what was given.
    assert arms_["B"].service == given.service
    faster = next(lift for lift in lifts.lifts if lift.change.startswith("code 20%"))
    assert faster.predicted is not None
    assert faster.predicted.low < 1.25 < faster.predicted.high
    assert faster.not_applied is not None


def test_recordings_that_carry_no_model_leave_one_worker_more(tmp_path: Path) -> None:
    golden = Golden(tmp_path, shop(), LOOP)
    golden.drive("baseline", OpenLoad(rate_per_s=300.0), duration_s=4.0)
    golden.writer.finish()
    lifts, arms_ = choose([golden.recording()], shop(), tried=2)
    assert lifts.no_model is not None
    assert lifts.no_model.startswith("no model: expected ")
    assert list(arms_) == ["B"]
