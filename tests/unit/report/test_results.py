"""Answers for programs: the JSON document, the exit code and the title."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_recordings import Golden, Truth, setup

from loadpath.answer import Answer, Check, Interval, Line, State
from loadpath.errors import ExitCode
from loadpath.recording import Run, RunInfo
from loadpath.recording.runs import create_run
from loadpath.report.results import Results, exit_code, results_json, title

INFO = RunInfo(service="shop", command=("loadpath", "run"), started_s=1.0, status="complete")


def answer(state: State = State.CONFIRMED, met: bool | None = True, **figures: Any) -> Answer:
    return Answer(
        question="bottleneck",
        state=state,
        claim="the event loop",
        lines=(Line("the mix", "misses it at 908/s", "the event loop"),),
        figures=figures,
        validity=(Check("steady state", True, "steady"),),
        objectives_met=met,
        measurement=Interval(908.0, 880.0, 935.0, 0.95, "bracket", 7),
        recordings=("01-mix",),
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path, msgspec.structs.replace(INFO, started_s=time.time()))


class TestJson:
    def test_what_was_answered_reads_back(self, run: Run) -> None:
        given = [answer(), answer(State.INCONCLUSIVE, None)]
        text = results_json(given, run)
        assert text.endswith("}\n")
        found = msgspec.json.decode(text, type=Results, strict=True)
        assert found.answers == tuple(given)
        assert (found.run, found.service, found.exit_code) == (run.name, "shop", 3)

    def test_what_is_infinite_or_absent_is_null(self, run: Run) -> None:
        text = results_json([answer(high=math.inf, low=-math.inf, mean=math.nan, none=None)], run)

        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is not JSON")

        figures = json.loads(text, parse_constant=refuse)["answers"][0]["figures"]
        assert figures == {"high": None, "low": None, "mean": None, "none": None}

    def test_states_are_words(self, run: Run) -> None:
        document = json.loads(results_json([answer(State.REFUTED)], run))
        assert document["answers"][0]["state"] == "refuted"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([answer()], ExitCode.OBJECTIVES_MET),
        ([answer(State.REFUTED)], ExitCode.OBJECTIVES_MET),
        ([answer(State.INCONCLUSIVE)], ExitCode.INCONCLUSIVE),
        ([answer(met=None)], ExitCode.INCONCLUSIVE),
        ([answer(met=False)], ExitCode.OBJECTIVE_MISSED),
        ([answer(State.INCONCLUSIVE, met=False)], ExitCode.OBJECTIVE_MISSED),
        ([answer(), answer(State.INCONCLUSIVE)], ExitCode.INCONCLUSIVE),
        ([answer(met=None), answer(met=False)], ExitCode.OBJECTIVE_MISSED),
    ],
)
def test_a_missed_objective_outweighs_doubt_and_doubt_success(
    answers: list[Answer], code: ExitCode
) -> None:
    assert exit_code(answers) is code


@pytest.mark.parametrize("question", ["cache", "growth"])
def test_advice_that_could_not_be_given_is_no_doubt_beside_other_answers(question: str) -> None:
    advice = msgspec.structs.replace(answer(State.INCONCLUSIVE, None), question=question)
    assert exit_code([advice]) is ExitCode.INCONCLUSIVE
    assert exit_code([answer(), advice]) is ExitCode.OBJECTIVES_MET
    assert exit_code([answer(State.INCONCLUSIVE, None), advice]) is ExitCode.INCONCLUSIVE
    accused = msgspec.structs.replace(advice, objectives_met=False)
    assert exit_code([answer(), accused]) is ExitCode.OBJECTIVE_MISSED


class TestTitle:
    def test_before_anything_was_recorded_it_is_the_service(self, run: Run) -> None:
        assert title(run) == "shop"

    def test_it_says_what_was_measured_on_what_and_how_long_it_took(self, run: Run) -> None:
        golden = Golden(run.directory / "recordings", setup("GET /a", "GET /b"), Truth(cores=1))
        golden.writer.finish()
        run.write_info(msgspec.structs.replace(INFO, took_s=90.0))
        assert title(run) == "shop · 2 operations · no dependencies · 1 core · took 1.5 min"

    def test_one_that_was_interrupted_says_so(self, run: Run) -> None:
        run.write_info(msgspec.structs.replace(INFO, took_s=90.0, status="interrupted"))
        assert title(run) == "shop · took 1.5 min · interrupted"

    def test_one_that_was_killed_could_not_say_so(self, run: Run) -> None:
        run.write_info(msgspec.structs.replace(INFO, status="running"))
        golden = Golden(run.directory / "recordings", setup(), Truth())
        assert title(run).endswith(" · running")
        golden.writer.finish("interrupted")
        assert title(run).endswith(" · interrupted")
