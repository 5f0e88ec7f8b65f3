"""Answers derived from a run's folder, without driving."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from golden_recordings import Golden, Truth, arm_recordings, mix_recording, setup

from loadpath.answer import State
from loadpath.errors import ExitCode, RecordingError
from loadpath.questions import QUESTIONS, derive
from loadpath.recording import Run, RunInfo
from loadpath.recording.runs import create_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    info = RunInfo(
        service="shop",
        command=("loadpath", "run"),
        started_s=time.time(),
        notes={"questions": ["bottleneck"]},
    )
    return create_run(tmp_path, info)


def test_the_answers_are_those_of_the_questions_that_were_asked(run: Run) -> None:
    folder = run.directory / "recordings"
    mix_recording(folder, setup(), Truth())
    rounds = [(1000.0, 1300.0), (1010.0, 1310.0), (990.0, 1290.0)]
    arm_recordings(folder, setup(), rounds, Truth())
    (found,) = derive(run)
    assert (found.question, found.state) == ("bottleneck", State.CONFIRMED)
    assert len(found.recordings) == 7


def test_a_run_that_recorded_nothing_says_so(run: Run) -> None:
    with pytest.raises(RecordingError, match="ended before any load was recorded") as caught:
        derive(run)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.advice is not None


def test_a_recording_without_a_segment_is_nothing_recorded(run: Run) -> None:
    Golden(run.directory / "recordings", setup(), Truth())
    with pytest.raises(RecordingError):
        derive(run)


def test_every_question_has_a_name_and_says_what_it_asks() -> None:
    assert "bottleneck" in QUESTIONS
    for name, question in QUESTIONS.items():
        assert question.name == name
        assert question.asks.endswith("?")
