"""Timed things happen in order, once, and not before their time."""

from __future__ import annotations

import math

from loadpath.drive.agenda import Agenda


def test_tasks_run_in_the_order_of_their_times() -> None:
    agenda, ran = Agenda(), list[str]()
    for when, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a2")):
        agenda.at(when, lambda now, name=name: ran.append(f"{name}@{now:g}"))  # type: ignore[misc]
    assert agenda.next_at == 1.0
    agenda.run(0.5)
    assert ran == []
    agenda.run(2.0)
    assert ran == ["a@2", "a2@2", "b@2"]
    assert agenda.next_at == 3.0
    agenda.run(9.0)
    assert ran[-1] == "c@9"
    assert agenda.next_at == math.inf


def test_a_task_that_asks_for_now_waits_for_the_next_turn() -> None:
    agenda, count = Agenda(), [0]

    def again(now: float) -> None:
        count[0] += 1
        agenda.at(now, again)

    agenda.at(0.0, again)
    agenda.run(1.0)
    assert count == [1]
    agenda.run(1.0)
    assert count == [2]
