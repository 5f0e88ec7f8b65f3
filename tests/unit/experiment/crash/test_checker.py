"""Histories whose truth is known: the checker accuses where it is proven, and nowhere else."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.crash.checker import check
from loadpath.experiment.crash.history import Found, History, Outcome, Read, Write

OUTCOMES: tuple[Outcome, ...] = ("ok", "fail", "info")


def write(
    token: str, outcome: Outcome = "ok", *, at: float = 0.0, took: float = 0.1, key: str = ""
) -> Write:
    ended = math.inf if outcome == "info" else at + took
    return Write(token=token, kind="x", started_s=at, ended_s=ended, outcome=outcome, key=key)


def history(*writes: Write, reads: tuple[Read, ...] = (), **found: int | None) -> History:
    return History(writes=writes, reads=reads, found=Found(effects=dict(found)))


def test_an_acknowledged_write_that_is_there_once_holds() -> None:
    checked = check(history(write("a"), a=1))
    assert checked.state == "held"
    assert (checked.requests, checked.acknowledged) == (1, 1)


def test_an_acknowledged_write_that_is_absent_is_lost() -> None:
    checked = check(history(write("a"), write("b"), a=0, b=1))
    assert (checked.lost, checked.state) == (("a",), "broken")


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    checked = check(history(write("a", "info"), write("b", "info"), a=0, b=1))
    assert (checked.lost, checked.recovered, checked.state) == ((), ("b",), "held")


def test_a_retry_that_was_acknowledged_and_done_twice_is_a_duplicate() -> None:
    checked = check(history(write("a", "info"), write("a", at=1.0), a=2))
    assert (checked.duplicated, checked.duplicates, checked.state) == ({"a": 1}, 1, "broken")


def test_a_write_refused_each_time_must_not_be_there() -> None:
    checked = check(history(write("a", "fail"), a=1))
    assert (checked.unexpected, checked.state) == (("a",), "broken")


def test_a_write_refused_once_and_unanswered_once_may_be_there() -> None:
    checked = check(history(write("a", "fail"), write("a", "info", at=1), a=1))
    assert (checked.unexpected, checked.recovered) == ((), ("a",))


def test_what_nobody_wrote_shows_only_where_all_was_listed() -> None:
    found = {"a": 1, "stranger": 1}
    listed = History(writes=(write("a"),), found=Found(effects=dict(found), whole=True))
    asked = History(writes=(write("a"),), found=Found(effects=dict(found)))
    assert check(listed).unexpected == ("stranger",)
    assert check(asked).unexpected == ()


def test_what_could_not_be_told_is_unknown_and_no_loss() -> None:
    checked = check(history(write("a"), write("b"), a=None, b=1))
    assert (checked.lost, checked.unknown, checked.state) == ((), ("a",), "unknown")


def test_a_token_that_was_never_looked_for_is_unknown() -> None:
    assert check(history(write("a"))).state == "unknown"


def test_a_proven_loss_stands_beside_what_is_unknown() -> None:
    assert check(history(write("a"), write("b"), a=None, b=0)).state == "broken"


def test_a_read_is_stale_only_when_it_began_after_the_effect_was_known() -> None:
    before = Read(token="a", started_s=0.05, ended_s=0.2, seen=0)
    after = Read(token="a", started_s=0.3, ended_s=0.4, seen=0)
    checked = check(history(write("a"), reads=(before, after), a=1))
    assert checked.stale == (after,)


def test_a_read_that_saw_it_makes_later_absence_stale_even_without_an_answer() -> None:
    seen = Read(token="a", started_s=1.0, ended_s=1.1, seen=1)
    gone = Read(token="a", started_s=1.2, ended_s=1.3, seen=0)
    assert check(history(write("a", "info"), reads=(seen, gone), a=1)).stale == (gone,)


def test_absence_of_what_is_lost_is_loss_and_not_staleness() -> None:
    read = Read(token="a", started_s=1.0, ended_s=1.1, seen=0)
    checked = check(history(write("a"), reads=(read,), a=0))
    assert (checked.stale, checked.lost) == ((), ("a",))


def test_what_somebody_tried_to_remove_is_not_missed() -> None:
    made = History(writes=(write("a"),), found=Found(effects={"a": 0}), removed=frozenset("a"))
    assert check(made).state == "held"


def ordered(*tokens: str, writes: tuple[Write, ...]) -> History:
    effects: dict[str, int | None] = dict.fromkeys(tokens, 1)
    return History(writes=writes, found=Found(effects=effects, order={"room": tokens}))


def test_writes_that_followed_each_other_must_stand_so() -> None:
    first, second = write("a", at=0.0, key="room"), write("b", at=1.0, key="room")
    assert check(ordered("a", "b", writes=(first, second))).disordered == ()
    assert check(ordered("b", "a", writes=(first, second))).disordered == (("b", "a"),)


def test_writes_that_overlapped_may_stand_either_way() -> None:
    first, second = write("a", at=0.0, took=2.0), write("b", at=1.0, took=0.1)
    assert check(ordered("b", "a", writes=(first, second))).state == "held"


def test_a_write_that_was_tried_again_has_no_place_of_its_own() -> None:
    writes = (write("a", "info", at=0.0), write("b", at=0.5), write("a", at=3.0))
    assert check(ordered("b", "a", writes=writes)).disordered == ()


def test_disorder_shows_between_requests_that_are_no_neighbours() -> None:
    writes = (write("a", at=0.0), write("b", at=5.0), write("c", at=4.9, took=9.0))
    assert ("b", "a") in check(ordered("b", "c", "a", writes=writes)).disordered


@st.composite
def truths(draw: st.DrawFn) -> tuple[History, dict[str, set[str]]]:
    """A history made from decided truths: which tokens are lost, duplicated, recovered, unknown."""
    writes: list[Write] = []
    effects: dict[str, int | None] = {}
    truth: dict[str, set[str]] = {k: set() for k in ("lost", "twice", "recovered", "unknown")}
    for number in range(draw(st.integers(0, 12))):
        token = f"t{number}"
        at = draw(st.floats(0, 10))
        outcomes = draw(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4))
        for step, outcome in enumerate(outcomes):
            writes.append(write(token, outcome, at=at + step))
        done = draw(st.sampled_from([0, 1, 2, None]))
        if done and set(outcomes) == {"fail"}:
            done = 0  # a refused write that is there is another test's matter
        effects[token] = done
        acknowledged = "ok" in outcomes
        if acknowledged and done == 0:
            truth["lost"].add(token)
        if acknowledged and done is None:
            truth["unknown"].add(token)
        if done == 2:
            truth["twice"].add(token)
        if done and not acknowledged:
            truth["recovered"].add(token)
    shuffled = draw(st.permutations(writes))
    return History(writes=tuple(shuffled), found=Found(effects=effects)), truth


@given(truths())
def test_every_history_is_judged_by_what_is_true_of_it(
    made: tuple[History, dict[str, set[str]]],
) -> None:
    told, truth = made
    checked = check(told)
    assert set(checked.lost) == truth["lost"]
    assert set(checked.duplicated) == truth["twice"]
    assert set(checked.recovered) == truth["recovered"]
    assert set(checked.unknown) == truth["unknown"]
    if truth["lost"] or truth["twice"]:
        assert checked.state == "broken"
    else:
        assert checked.state == ("unknown" if truth["unknown"] else "held")


@given(truths())
def test_knowing_less_never_adds_an_accusation(
    made: tuple[History, dict[str, set[str]]],
) -> None:
    """Forgetting what was found turns accusations into unknowns, and never the other way."""
    told, _ = made
    blank: dict[str, int | None] = dict.fromkeys(told.found.effects)
    less = History(writes=told.writes, found=Found(effects=blank))
    checked = check(less)
    assert not (checked.lost or checked.duplicated or checked.stale or checked.unexpected)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=15, unique=True))
def test_one_writer_in_turn_is_in_order_exactly_when_listed_so(numbers: list[int]) -> None:
    writes = tuple(write(f"t{n}", at=float(n)) for n in sorted(numbers))
    listed = tuple(f"t{n}" for n in numbers)
    assert bool(check(ordered(*listed, writes=writes)).disordered) == (numbers != sorted(numbers))
