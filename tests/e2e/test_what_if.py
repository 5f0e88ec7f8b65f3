"""A change foretold, written down, made for real and measured; and decisions compared.

The service has 3 slots of 10 ms each and no CPU to speak of, so what 6 slots do is known.
"""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest


@pytest.fixture(scope="module")
def pool(foretold_run: Any) -> Any:
    """The folder with that service."""
    return foretold_run.place


@pytest.fixture(scope="module")
def verified(foretold_run: Any) -> Any:
    """What `what-if --verify` ended in."""
    return foretold_run.end()


def answer_of(ended: Any) -> dict[str, Any]:
    (answer,) = json.loads(ended.out)["answers"]
    assert isinstance(answer, dict)
    return answer


def test_it_foretells_measures_and_scores(pool: Any, verified: Any) -> None:
    # One round has no interval, so nothing is confirmed by it.
    assert verified.code == 3, verified
    answer = answer_of(verified)
    assert answer["state"] == "inconclusive"
    found = answer["figures"]["what_if"]
    foretold = found["forecast"]["prediction"]["here"]["capacity"]["ratio"]
    assert 1.5 < foretold["value"] < 2.7
    assert 1.5 < found["measurement"]["capacity"]["ratio"]["value"] < 2.7
    assert found["scores"][0]["figure"] == "capacity"
    run = pool.folder / ".loadpath/runs/latest"
    foretold_at_s = found["forecast"]["made_s"]
    arms = sorted(run.glob("recordings/*-verify-*/recording.json"))
    assert [arm.parent.name[10:11] for arm in arms] == ["A", "B"]
    assert (run / "prediction.json").stat().st_mtime < arms[0].stat().st_mtime
    assert foretold_at_s <= arms[0].stat().st_mtime


def test_the_report_derives_the_same_answer(pool: Any, verified: Any) -> None:
    assert answer_of(pool.run("report", "--json")) == answer_of(verified)


@pytest.mark.usefixtures("verified")
def test_from_a_run_it_answers_without_driving(pool: Any) -> None:
    ended = pool.run("what-if", "users x2", "workers=2", "--from", "latest", "--at", "150/s")
    assert ended.code == 0, ended
    assert "p99 at 150/s → 300/s" in ended.out
    assert "→ predicted: users x2 and workers=2: capacity +" in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.usefixtures("verified")
def test_what_is_wrong_is_pointed_at(pool: Any) -> None:
    ended = pool.run("what-if", "slotz=6", "--from", "latest")
    assert (ended.code, ended.out) == (2, "")
    assert "`slotz` is no knob of the service; did you mean `slots`?" in ended.err
    assert "    slotz=6\n    ^^^^^\n" in ended.err


@pytest.mark.usefixtures("verified")
def test_decide_compares_every_value_and_keeps_what_there_is_when_interrupted(pool: Any) -> None:
    started = pool.start("decide", "--from", "latest", "--rounds", "3", "--budget", "20", "--json")
    started.until(
        lambda: (
            len(
                list(
                    pool.folder.glob(
                        ".loadpath/runs/latest/recordings/*-verify-?-round-2/segments.jsonl"
                    )
                )
            )
            > 0
        )
    )
    ended = started.end(signal.SIGINT)
    assert ended.code == 130, ended
    answer = answer_of(ended)
    (decided,) = answer["figures"]["decisions"]
    assert (decided["decision"]["knob"], decided["decision"]["value"]) == ("slots", "6")
    assert 1.5 < decided["measurement"]["capacity"]["ratio"]["value"] < 2.7
    assert decided["decision"]["forecast"]["prediction"] is not None
    lines = {line["subject"]: line["verdict"] for line in answer["lines"]}
    assert lines["slots=6"].startswith("capacity +")


def test_a_service_without_knobs_has_nothing_to_decide(place: Any) -> None:
    place.write('[operations."GET /slot"]\nrequest = "GET /slot"\n')
    ended = place.run("decide")
    assert ended.code == 2
    assert "nothing to decide" in ended.err
