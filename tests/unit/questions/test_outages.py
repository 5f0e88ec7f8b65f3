"""Outages as foretold beside what was measured: what held, and what a miss says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadpath.answer import Interval
from loadpath.experiment.crash.backlog import Waiting
from loadpath.experiment.crash.outcome import Outcome, Picture
from loadpath.questions.crash_lines import closing_lines, fault_lines, loss_bound
from loadpath.questions.outages import (
    outage_lines,
    outage_words,
    scores_by_fault,
    scores_of_outage,
)
from loadpath.recording import FaultRecord, OutageRecord

FAULT = FaultRecord(
    segment=1,
    name="database stopped, for 2s",
    target="database",
    layer="process",
    summary="",
    onset_s=10.0,
    healed_s=12.0,
    hits=4,
    proof="4 processes seen stopped",
)


def told(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, 0.9, "fluid model", 1)


FORETOLD = OutageRecord(
    segment=1,
    fault=FAULT.name,
    manner="waits",
    lasts_s=2.0,
    operations=("GET /a",),
    waiting=told(200, 180, 220),
    retries=told(0, 0, 1),
    drain_s=told(0.4, 0.2, 0.8),
)
SEEN = Waiting(usual=1.0, usual_most=3, usual_high=5, most=195, retries=0, drained_s=0.5)


def outcome(foretold: OutageRecord | None = FORETOLD, **seen: Any) -> Outcome:
    return Outcome(
        fault=seen.pop("fault", FAULT),
        requests=1000,
        rate_per_s=100.0,
        control_bad_ratio=0.0,
        course=None,
        operations=(),
        worse=(),
        goodput_ratio=1.0,
        foretold=foretold,
        waiting=msgspec.structs.replace(SEEN, **seen),
        picture=Picture(
            bin_s=0.05,
            due=(5,) * 200,
            good=(),
            failed=(),
            onset_s=2.0,
            healed_s=4.0,
            recovered_s=None,
        ),
    )


def test_what_lies_in_the_interval_held() -> None:
    scores = scores_of_outage(outcome())
    assert [(score.figure, score.held) for score in scores] == [
        ("waiting", True),
        ("drain_s", True),
        ("retries", True),
    ]
    assert scores[0].error == pytest.approx(200 / 195 - 1)
    assert outage_words(outcome()) == (
        "foretold of 2.0 s: 200 (180 to 220) requests waiting at most, gone 0.4 s after the heal; "
        "measured 195, 0.5 s: held"
    )


@pytest.mark.parametrize(
    ("manner", "seen", "said"),
    [
        ("waits", {"most": 60}, "they do not wait for it to come back"),
        ("waits", {"most": 300}, "others wait with those that need it"),
        (
            "fails",
            {"most": 300, "most_at_s": 0.05, "before": 200},
            "more wait once it is back than while it was away",
        ),
        (
            "fails",
            {"most": 300, "most_at_s": 0.05, "before": 290},
            "they wait for it, and do not fail at once",
        ),
        ("fails", {"most": 60}, "fewer requests need it than it seemed"),
        ("waits", {"drained_s": 1.5}, "it takes longer to catch up"),
        ("waits", {"drained_s": 0.0}, "it catches up sooner"),
        ("waits", {"retries": 40}, "more are sent again: some fail that do not need it"),
    ],
)
def test_a_miss_says_what_does_not_hold(manner: str, seen: dict[str, Any], said: str) -> None:
    found = outcome(msgspec.structs.replace(FORETOLD, manner=manner), **seen)
    assert outage_words(found).partition("missed: ")[2].startswith(said)
    assert any(score.held is False for score in scores_of_outage(found))


def test_fewer_who_wait_though_as_many_try_again_says_that_it_answers_sooner() -> None:
    again = msgspec.structs.replace(FORETOLD, manner="fails", retries=told(97, 80, 115))
    sooner = "it answers sooner once it is back than it seemed"
    assert outage_words(outcome(again, most=60, retries=100)).endswith(sooner)
    assert "fewer requests need it" in outage_words(outcome(again, most=60, retries=10))
    # Everybody needs the service, however few wait.
    service = msgspec.structs.replace(FAULT, name="service killed", target="service")
    none = msgspec.structs.replace(FORETOLD, manner="fails")
    assert outage_words(outcome(none, fault=service, most=60)).endswith(sooner)


def test_a_fault_that_is_done_twice_has_two_scores() -> None:
    scores = scores_by_fault([outcome(), outcome(most=60), outcome(None)])
    assert list(scores) == [FAULT.name, f"{FAULT.name} #2"]
    assert [each[0].measured.value for each in scores.values()] == [195, 60]


def test_of_what_is_sent_again_both_counts_stand_there_whichever_is_none() -> None:
    found = outcome(msgspec.structs.replace(FORETOLD, retries=told(97, 80, 115)), retries=40)
    assert "97 (80 to 115) sent again; measured 195, 0.5 s, 40: missed: fewer" in outage_words(
        found
    )
    assert "0 (0 to 1) sent again; measured 195, 0.5 s, 1: held" in outage_words(outcome(retries=1))


def test_what_is_not_gone_by_the_end_is_missed_unless_so_long_was_foretold() -> None:
    assert "not within 6.0 s: missed: it takes longer" in outage_words(outcome(drained_s=None))
    long = msgspec.structs.replace(FORETOLD, drain_s=told(5.0, 2.0, 9.0))
    assert outage_words(outcome(long, drained_s=None)).endswith("held")


def test_what_cannot_be_told_is_said_and_scores_nothing() -> None:
    none = OutageRecord(segment=1, fault=FAULT.name, manner="waits", why="no operation needs it")
    assert outage_words(outcome(none)) == "not foretold: no operation needs it"
    assert scores_of_outage(outcome(none)) == ()
    assert outage_words(outcome(None)) == ""
    no_time = outcome(msgspec.structs.replace(FORETOLD, drain_s=None))
    assert [score.figure for score in scores_of_outage(no_time)] == ["waiting", "retries"]
    assert "no telling when they are gone; measured 195, 0.5 s: held" in outage_words(no_time)


def test_a_fault_that_hit_nothing_scores_nothing() -> None:
    missed = outcome(fault=msgspec.structs.replace(FAULT, hits=0))
    assert scores_of_outage(missed) == ()


def test_while_others_took_the_machine_nothing_is_judged() -> None:
    disturbed = msgspec.structs.replace(outcome(most=60), taken_cores=1.2)
    assert {score.held for score in scores_of_outage(disturbed)} == {None}
    assert outage_words(disturbed).endswith("not judged, others took 1.2 cores meanwhile")
    assert outage_lines([disturbed]) == []


def test_all_of_them_together_are_counted() -> None:
    lines = outage_lines([outcome(), outcome(most=60), outcome(None)])
    assert [line.verdict for line in lines] == ["1 of 2 outages came as foretold, 5 of 6 figures"]
    assert outage_lines([outcome(None)]) == []
    assert lines[0] in closing_lines([outcome(), outcome(most=60)])
    assert any("foretold of 2.0 s: 200" in line.verdict for line in fault_lines(outcome(), []))


def test_none_lost_of_few_excludes_little() -> None:
    assert loss_bound(0, 9) == "28%"
    assert loss_bound(0, 100) == "3.0%"
    assert loss_bound(0, 3000) == "0.10%"
    assert loss_bound(1, 100) == ""
    assert loss_bound(0, 0) == ""
