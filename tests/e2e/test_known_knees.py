"""Services whose knee is known beforehand: right or inconclusive, never confidently wrong.

The short form: one of the four, in as little time as its wires can be read in. `make acceptance`
does all of them 20 times over, and some beside a busy loop.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "known/knees.py"
BUDGET_S = 24.0
"""So long that its wires are read too."""


@pytest.fixture(scope="module")
def knees() -> ModuleType:
    """tests/known/knees.py, which is a program of its own."""
    spec = importlib.util.spec_from_file_location("known_knees", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_is_right_or_says_why_it_cannot_tell(make_place: Any, knees: ModuleType) -> None:
    outcome = knees.run(knees.KNOWN["database"], loadpath=make_place().command, budget_s=BUDGET_S)
    assert outcome.verdict in ("right", "inconclusive"), outcome.line
    assert outcome.verdict == "right" or outcome.why


class TestJudging:
    """The judge of the acceptance can itself say no."""

    def answer(
        self, state: str, value: float, kind: str, name: str = "", **more: Any
    ) -> dict[str, Any]:
        return {
            "state": state,
            "claim": "because",
            "measurement": {"value": value, "low": 0.95 * value, "high": 1.05 * value},
            "validity": [{"name": "quiet machine", "passed": True, "detail": ""}],
            "figures": {"bottleneck": {"kind": kind, "part": "service", "name": name}, **more},
        }

    def test_what_is_right(self, knees: ModuleType) -> None:
        answer = self.answer("confirmed", 425.0, "thread")
        assert knees.judged(knees.KNOWN["cpu"], 430.0, answer, 60.0).verdict == "right"
        inside = "about 3 requests are in service at once, inside the service, on no wire"
        answer = self.answer("confirmed", 225.0, "limit", inside, in_service={"requests": 2.9})
        assert knees.judged(knees.KNOWN["pool"], 230.0, answer, 60.0).verdict == "right"

    @pytest.mark.parametrize(
        ("name", "verdict"),
        [("the 3 connections to postgres", "right"), ("about 3 calls", "wrong")],
    )
    def test_what_requests_wait_for_is_named(
        self, knees: ModuleType, name: str, verdict: str
    ) -> None:
        answer = self.answer("confirmed", 225.0, "pool", name)
        answer["figures"]["bottleneck"]["part"] = "postgres"
        assert knees.judged(knees.KNOWN["database"], 230.0, answer, 60.0).verdict == verdict

    @pytest.mark.parametrize(
        ("state", "value", "resource"),
        [
            ("confirmed", 520.0, "thread"),
            ("confirmed", 330.0, "thread"),
            ("confirmed", 430.0, "cores"),
            ("refuted", 430.0, "thread"),
            ("inconclusive", 520.0, "thread"),
            ("predicted", 520.0, "thread"),
            ("predicted", 430.0, "cores"),
        ],
    )
    def test_what_is_wrong(
        self, knees: ModuleType, state: str, value: float, resource: str
    ) -> None:
        answer = self.answer(state, value, resource)
        outcome = knees.judged(knees.KNOWN["cpu"], 430.0, answer, 60.0)
        assert outcome.verdict == "wrong"
        assert outcome.why

    def test_a_wrong_number_in_service_is_wrong(self, knees: ModuleType) -> None:
        inside = "inside the service, on no wire"
        answer = self.answer("confirmed", 225.0, "limit", inside, in_service={"requests": 5.0})
        assert knees.judged(knees.KNOWN["pool"], 230.0, answer, 60.0).verdict == "wrong"

    def test_what_is_only_predicted_is_not_yet_right(self, knees: ModuleType) -> None:
        answer = self.answer("predicted", 430.0, "thread")
        outcome = knees.judged(knees.KNOWN["cpu"], 430.0, answer, 60.0)
        assert (outcome.verdict, outcome.why) == ("inconclusive", "only predicted: because")

    def test_a_wide_interval_makes_nothing_right(self, knees: ModuleType) -> None:
        answer = self.answer("confirmed", 430.0, "thread")
        answer["measurement"].update(low=260.0, high=600.0)
        outcome = knees.judged(knees.KNOWN["cpu"], 430.0, answer, 60.0)
        assert outcome.verdict == "inconclusive"
        assert outcome.width == pytest.approx(0.395, abs=0.001)
        assert "±40%" in outcome.line

    def test_a_check_that_failed_takes_back_what_was_stated(self, knees: ModuleType) -> None:
        answer = self.answer("inconclusive", 520.0, "thread")
        answer["validity"][0].update(passed=False, detail="other processes took 0.9 cores")
        outcome = knees.judged(knees.KNOWN["cpu"], 430.0, answer, 60.0)
        assert outcome.verdict == "inconclusive"
        assert outcome.why == "quiet machine: other processes took 0.9 cores"
