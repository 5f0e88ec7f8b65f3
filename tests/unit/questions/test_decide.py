"""Which decisions matter: said of each value, with what a model foretold beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_arms import arm, rounds
from golden_recordings import Truth, setup
from msgspec.structs import replace

from loadpath.answer import State
from loadpath.errors import ConfigurationError, ExitCode
from loadpath.questions.decide import Decision, Plan, alternatives, judge
from loadpath.report.results import exit_code
from loadpath.report.terminal import render
from loadpath.spec import Knob, Setup


def with_knobs(*knobs: Knob) -> Setup:
    base = setup()
    return replace(base, service=replace(base.service, knobs=knobs))


POOL = Knob("pool", "POOL", "10", ("5", "10", "20"), "database")
MODE = Knob("mode", "MODE", "fast", ("fast", "slow"))


def plan(*values: str) -> Plan:
    return Plan(
        decisions=tuple(
            Decision(letter=letter, knob="pool", value=value, default="10")
            for letter, value in zip("BC", values, strict=False)
        ),
        source="run",
    )


def test_every_value_but_the_one_it_stands_at_is_tried() -> None:
    titles = [value.title for value in alternatives(with_knobs(POOL, MODE))]
    assert titles == ["pool=5", "pool=20", "mode=slow"]
    assert [v.title for v in alternatives(with_knobs(POOL, MODE), ["mode"])] == ["mode=slow"]
    moved = replace(with_knobs(POOL), knobs={"pool": "5"})
    assert [v.title for v in alternatives(moved)] == ["pool=10", "pool=20"]


@pytest.mark.parametrize(
    ("knobs", "names", "says"),
    [
        ((), (), "nothing to decide"),
        ((POOL,), ("pol",), "`pol` is no knob; did you mean `pool`"),
        ((Knob("n", "N", "0", tuple(map(str, range(40)))),), (), "39 values are more than"),
    ],
)
def test_what_cannot_be_decided_is_told(
    knobs: tuple[Knob, ...], names: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        alternatives(with_knobs(*knobs), names)


def test_each_value_is_told_and_no_difference_where_there_is_none(tmp_path: Path) -> None:
    made = rounds(tmp_path / "b", Truth(capacity_per_s=1500.0))
    made += [arm(tmp_path / "c" / str(n), "C", n, Truth()) for n in range(3)]
    answer = judge(plan("20", "5"), made)
    assert answer.state is State.CONFIRMED
    assert exit_code([answer]) is ExitCode.OBJECTIVES_MET
    verdicts = {line.subject: line.verdict for line in answer.lines}
    assert verdicts["pool=20"].startswith("capacity +5")
    assert verdicts["pool=5"] == "capacity no difference"
    assert "1 of 2 move the capacity: pool=20 (+5" in answer.claim
    text = render([answer], title="shop", recording="run")
    assert max(map(len, text.splitlines())) <= 80


def test_what_was_interrupted_tells_of_whole_rounds_alone(tmp_path: Path) -> None:
    made = rounds(tmp_path / "b", Truth(capacity_per_s=1500.0), 2)
    answer = judge(plan("20", "5"), made)
    verdicts = {line.subject: line.verdict for line in answer.lines}
    assert verdicts["pool=5"] == "not measured"
    assert verdicts["pool=20"].startswith("capacity +5")
    assert judge(plan("20"), []).state is State.INCONCLUSIVE


def test_a_disturbed_machine_compares_nothing(tmp_path: Path) -> None:
    made = [
        arm(tmp_path / str(number), letter, number, Truth(), others_cores=0.4)
        for number in range(2)
        for letter in "AB"
    ]
    answer = judge(plan("20"), made)
    assert answer.state is State.INCONCLUSIVE
    assert exit_code([answer]) is ExitCode.INCONCLUSIVE
