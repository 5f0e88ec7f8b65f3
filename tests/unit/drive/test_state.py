"""What flows share, and that each draws from a stream of its own."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from loadpath.drive.mix import Job
from loadpath.drive.operations import Keys
from loadpath.drive.state import FlowRandom, FlowRun, FlowState
from loadpath.spec import KeySet


def state(seed: int = 1) -> FlowState:
    made = FlowState(Keys([KeySet(name="codes", count=100, pattern="c{n}")]), seed)
    made.begin_segment(0)
    return made


def job(flow: int) -> Job:
    return (flow, 0, 0.0, 0, None)


def test_random_numbers_are_uniform() -> None:
    rng = FlowRandom()
    numbers = np.array([rng.random() for _ in range(50_000)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    # Chi-squared with 19 degrees of freedom: 50 would be one in ten thousand.
    assert ((counts - 2500) ** 2 / 2500).sum() < 50
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
    dice = collections.Counter(rng.randint(1, 6) for _ in range(6000))
    assert set(dice) == {1, 2, 3, 4, 5, 6} and min(dice.values()) > 850
    assert rng.getrandbits(200) < 1 << 200
    assert sorted(rng.sample(range(10), 10)) == list(range(10))


def test_a_stream_can_be_begun_and_gone_back_to() -> None:
    rng = FlowRandom()
    for seed in (5, "five"):
        rng.seed(seed)
        first = [rng.random() for _ in range(3)]
        rng.seed(seed)
        assert [rng.random() for _ in range(3)] == first
    stood = rng.getstate()
    drawn = rng.random()
    rng.setstate(stood)
    assert rng.random() == drawn


def enter(made: FlowState, run: FlowRun) -> None:
    """What `Flows` does before it advances a run."""
    made.run = made.rng.stream = run


def draws(made: FlowState, order: list[int]) -> dict[int, list[object]]:
    """What each of two flows draws when they are advanced in that order."""
    runs = {flow: made.new_run(job(flow)) for flow in set(order)}
    drawn: dict[int, list[object]] = {flow: [] for flow in runs}
    for flow in order:
        run = runs[flow]
        enter(made, run)
        drawn[flow] += [
            made.key("codes"),
            made.rng.random(),
            made.rng.gauss(0, 1),
            made.unique("t"),
        ]
    return drawn


def test_what_a_flow_draws_does_not_depend_on_the_others() -> None:
    one = draws(state(), [1, 2, 1, 2])
    assert draws(state(), [2, 1, 1, 2]) == one
    assert draws(state(seed=2), [1, 2, 1, 2]) != one
    later = state()
    later.begin_segment(1)
    assert draws(later, [1, 2, 1, 2]) != one


def test_a_token_is_never_given_twice() -> None:
    seen = set()
    made = state()
    for segment in range(3):
        made.begin_segment(segment)
        for flow in (*range(200), 1 << 31, (1 << 32) - 1):
            enter(made, made.new_run(job(flow)))
            tokens = [made.unique() for _ in range(20)]
            assert not seen.intersection(tokens)
            seen.update(tokens)
    enter(made, made.new_run(job(1)))
    assert made.unique("pre").startswith("pre")
    assert made.fresh_url() != made.fresh_url()


def test_the_key_of_a_request_is_noted() -> None:
    keys = Keys([KeySet(name="codes", count=100, pattern="c{n}")])
    made = FlowState(keys, 1)
    made.begin_segment(0)
    run: FlowRun = made.new_run(job(1))
    enter(made, run)
    assert run.key == 0
    text = made.key("codes")
    assert keys.text(run.key) == text
    with pytest.raises(KeyError, match="there are 'codes'"):
        made.key("users")


def test_acknowledged_items_are_found_again_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = 5000
    monkeypatch.setattr("loadpath.drive.state.KEPT_PER_KIND", kept)
    made = state()
    assert made.any_acknowledged("link") is None
    made.acknowledge("link", code="a", url="b")
    found = made.any_acknowledged("link")
    assert found is not None and (found.code, found.url) == ("a", "b")
    for number in range(kept * 2):
        made.acknowledge("many", number=number)
    ((_, one, _), (kind, total, items)) = made.acknowledged()
    assert (one, kind, total, len(items)) == (1, "many", kept * 2, kept)
    # A uniform sample of all of them: half from each half.
    newer = sum(item.number >= kept for item in items)
    assert newer / kept == pytest.approx(0.5, abs=0.04)
