"""A prediction beside what was measured: what is said, and whether it held."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from golden_arms import RATES, arm, rounds
from golden_recordings import Truth
from msgspec.structs import replace

from loadpath.answer import Answer, Interval, State
from loadpath.errors import ExitCode, RecordingError
from loadpath.model.predict import (
    Bottleneck,
    Capacity,
    Point,
    Prediction,
    Side,
    Times,
)
from loadpath.model.simulated import OpenRate
from loadpath.questions.forecast import AtRates, Forecast, rates_for, read_forecast, write_forecast
from loadpath.questions.what_if import derive_what_if, judge, source_run
from loadpath.recording import Recording, Run, RunInfo
from loadpath.recording.runs import create_run
from loadpath.report.results import exit_code, results_json
from loadpath.report.terminal import render

AFTER = Truth(capacity_per_s=1500.0)


def knee(capacity_per_s: float) -> float:
    return Truth(capacity_per_s=capacity_per_s).knee_per_s()


def between(value: float, share: float = 0.05) -> Interval:
    return Interval(value, value * (1 - share), value * (1 + share), 0.9, "draws", 20)


def times(capacity_per_s: float, rate_per_s: float) -> Times:
    mean_s = 1 / (capacity_per_s - rate_per_s)
    return Times(
        mean_s=between(mean_s),
        p50_s=between(mean_s * math.log(2)),
        p99_s=between(mean_s * math.log(100)),
    )


def side(ratio: float) -> Side:
    before, after = knee(1000.0), knee(1000.0) * ratio
    return Side(
        capacity=Capacity(before=between(before), after=between(after), ratio=between(ratio)),
        points=tuple(
            Point(
                load=OpenRate(rate),
                operation=None,
                before=times(1000.0, rate),
                after=times(1500.0, rate),
            )
            for rate in RATES
        ),
        bottleneck_before=_gives_out("loop"),
        bottleneck_after=_gives_out("cores"),
    )


def _gives_out(name: str) -> Bottleneck:
    return Bottleneck(names=(name,), shares={name: 1.0}, utilization={name: 0.99})


def forecast(ratio: float = knee(1500.0) / knee(1000.0)) -> Forecast:
    return Forecast(
        changes=("workers=2",),
        assumes=("workers=2: each worker brings pools of its own",),
        made_s=1.0,
        source="2026-01-01T00-00-00",
        knee_per_s=knee(1000.0),
        rates=tuple(AtRates(rate, rate) for rate in RATES),
        prediction=Prediction(here=side(ratio), elsewhere=side(ratio)),
    )


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    return rounds(tmp_path_factory.mktemp("arms"), AFTER)


def said(answer: Answer) -> str:
    return render([answer], title="shop", recording="run")


def test_a_prediction_alone_stays_predicted() -> None:
    answer = judge(forecast(), [])
    assert answer.state is State.PREDICTED
    assert exit_code([answer]) is ExitCode.OBJECTIVES_MET
    assert "WHAT-IF     capacity             predicted 908/s → 1,410/s, +55 %" in said(answer)
    assert "loop → cores" in said(answer)
    assert max(map(len, said(answer).splitlines())) <= 80


def test_one_that_held_is_confirmed(verified: list[Recording]) -> None:
    answer = judge(forecast(), verified)
    assert answer.state is State.CONFIRMED
    assert exit_code([answer]) is ExitCode.OBJECTIVES_MET
    scores = answer.figures["what_if"].scores
    assert [score.figure for score in scores] == [
        "capacity",
        *(f"{figure} at {rate}/s" for rate in (200, 500) for figure in ("mean", "p50", "p99")),
    ]
    assert all(score.held for score in scores)
    assert all(abs(score.error) < 0.1 for score in scores)
    assert "held" in said(answer)
    assert "no difference" in said(answer)
    assert max(map(len, said(answer).splitlines())) <= 80


def test_one_that_did_not_is_refuted_and_ends_in_1(verified: list[Recording]) -> None:
    answer = judge(forecast(ratio=1.0), verified)
    assert answer.state is State.REFUTED
    assert exit_code([answer]) is ExitCode.OBJECTIVE_MISSED
    assert "the prediction of capacity is −" in answer.claim


def test_one_round_decides_nothing(tmp_path: Path) -> None:
    answer = judge(forecast(), rounds(tmp_path, AFTER, 1))
    assert answer.state is State.INCONCLUSIVE
    assert exit_code([answer]) is ExitCode.INCONCLUSIVE


def test_a_disturbed_machine_decides_nothing(tmp_path: Path) -> None:
    made = [
        arm(tmp_path / str(number), letter, number, AFTER, others_cores=0.4)
        for number in range(2)
        for letter in "AB"
    ]
    answer = judge(forecast(), made)
    assert answer.state is State.INCONCLUSIVE
    assert "other processes took 0.40 cores" in answer.claim


def test_what_cannot_be_predicted_is_measured(verified: list[Recording]) -> None:
    unknown = replace(forecast(), prediction=None, not_predicted=("mode means nothing to a model",))
    answer = judge(unknown, verified)
    assert answer.state is State.CONFIRMED
    assert "no prediction to score" in answer.claim
    assert "mode means nothing to a model" in said(answer)
    assert judge(unknown, []).state is State.INCONCLUSIVE


def test_more_load_is_judged_by_the_response_times_at_it(verified: list[Recording]) -> None:
    more = replace(forecast(), rates=tuple(AtRates(r, r + 1e-9) for r in RATES))
    assert judge(more, verified).figures["what_if"].scores[0].figure == "mean at 200/s"


def test_beyond_capacity_there_is_no_response_time() -> None:
    told = forecast()
    assert told.prediction is not None
    here = replace(
        told.prediction.here,
        points=tuple(replace(point, after=None) for point in told.prediction.points),
    )
    answer = judge(replace(told, prediction=replace(told.prediction, here=here)), [])
    assert "→ beyond capacity" in said(answer)


def test_why_it_was_not_made_is_said() -> None:
    answer = judge(replace(forecast(), not_applied=("split GET /x: one address",)), [])
    assert "one address" in said(answer)


@pytest.mark.parametrize(
    ("own", "at", "rates"),
    [
        (100.0, (), (100.0, 600.0)),
        (590.0, (), (590.0,)),
        (900.0, (), (900.0,)),
        (100.0, (300.0, 200.0, 300.0), (200.0, 300.0)),
    ],
)
def test_response_times_are_told_at_its_own_rate_and_where_queues_show(
    own: float, at: tuple[float, ...], rates: tuple[float, ...]
) -> None:
    assert rates_for(own, 1000.0, at) == pytest.approx(rates)


class TestKept:
    """The prediction lies in the run's folder, so that the answer can be derived again."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        info = RunInfo(service="shop", command=(), started_s=0.0, notes={"what-if": ["workers=2"]})
        return create_run(tmp_path, info)

    def test_it_is_read_as_it_was_written(self, run: Run) -> None:
        endless = replace(forecast(), assumes=("–",))
        assert endless.prediction is not None
        far = replace(
            endless.prediction.here.capacity, ratio=Interval(2.0, 1.0, math.inf, 0.9, "", 1)
        )
        here = replace(endless.prediction.here, capacity=far)
        told = replace(endless, prediction=replace(endless.prediction, here=here))
        write_forecast(run, told)
        assert read_forecast(run) == told

    def test_the_answer_follows_from_it(self, run: Run) -> None:
        write_forecast(run, forecast())
        answer = derive_what_if(run)
        assert answer.state is State.PREDICTED
        assert '"what-if"' in results_json([answer], run)

    def test_a_run_without_one_is_told(self, run: Run) -> None:
        with pytest.raises(RecordingError, match="before anything was predicted"):
            derive_what_if(run)

    def test_a_damaged_one_is_told(self, run: Run) -> None:
        (run.directory / "prediction.json").write_text('{"changes": 3}')
        with pytest.raises(RecordingError, match="damaged"):
            read_forecast(run)

    def test_what_it_was_foretold_by_is_found_beside_it(self, run: Run, tmp_path: Path) -> None:
        info = RunInfo(service="shop", command=(), started_s=0.0)
        base = create_run(tmp_path, info)
        write_forecast(run, replace(forecast(), source=base.name))
        assert source_run(tmp_path, run).directory == base.directory
