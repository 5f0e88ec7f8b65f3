"""A leak is told from a change over time, by who got what, when."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.caching.leaks import find_leaks
from loadpath.caching.stream import Stream, make_stream


def asked(who: list[int], said: list[int], status: list[int] | int = 200) -> Stream:
    return make_stream(range(len(who)), [3] * len(who), identity=who, digest=said, status=status)


def test_two_identities_that_keep_getting_their_own_answer_are_a_leak() -> None:
    found = find_leaks(asked([1, 2, 1, 2], [10, 20, 10, 20]))
    assert found.verdict == "leaks"
    assert (found.leaking_keys, found.judged_keys) == (1, 1)
    assert found.found[0].key == 3
    assert (found.found[0].ours, found.found[0].theirs) == ((0, 2), (1, 3))


def test_an_answer_that_only_one_of_them_may_see_is_a_leak() -> None:
    assert find_leaks(asked([1, 2, 1, 2], [10, 9, 10, 9], [200, 404, 200, 404])).leaking_keys == 1


@pytest.mark.parametrize(
    ("who", "said", "verdict"),
    [
        ([1, 2, 1, 2, 1, 2], [1, 2, 3, 4, 5, 6], "volatile"),  # a counter
        ([1, 2, 1, 2, 1, 2], [7, 7, 7, 8, 8, 8], "none seen"),  # one change
        ([1, 2, 1, 2, 1, 2], [7, 8, 7, 7, 7, 7], "none seen"),  # changed and changed back
        ([1, 2, 1, 2], [7, 7, 7, 7], "none seen"),
        ([1, 1, 1, 2], [7, 7, 7, 8], "not asked by two"),
        ([1, 2], [7, 8], "not asked by two"),
        ([-1, 2, -1, 2], [7, 8, 7, 8], "not asked by two"),
        ([], [], "not asked by two"),
    ],
)
def test_a_change_over_time_is_none(who: list[int], said: list[int], verdict: str) -> None:
    assert find_leaks(asked(who, said)).verdict == verdict


def test_failures_in_between_accuse_nobody() -> None:
    found = find_leaks(asked([1, 2, 1, 2], [7, 8, 7, 8], [200, 503, 200, 503]))
    assert found.verdict == "not asked by two"


def test_a_leak_is_found_though_its_answers_change_now_and_then() -> None:
    rng = np.random.default_rng(2)
    who = rng.integers(0, 4, 400)
    version = np.arange(400) // 90
    found = find_leaks(asked(who.tolist(), (who * 100 + version).tolist()))
    assert found.verdict == "leaks"


def test_answers_that_flip_for_everybody_accuse_nobody() -> None:
    rng = np.random.default_rng(3)
    for flips in (0.5, 0.2, 0.05):
        for _ in range(20):
            said = np.cumsum(rng.random(300) < flips) % 2
            who = rng.integers(0, 3, 300)
            assert find_leaks(asked(who.tolist(), said.tolist())).leaking_keys == 0


def test_one_leaking_key_is_found_among_many_that_do_not() -> None:
    rng = np.random.default_rng(5)
    key = rng.integers(0, 100, 6000)
    who = rng.integers(0, 3, 6000)
    said = np.where(key == 17, who + 1000, key)
    found = find_leaks(make_stream(np.arange(6000.0), key, identity=who, digest=said))
    assert [leak.key for leak in found.found] == [17]
    assert found.leaking_keys == 1
    for leak in found.found:
        assert len(set(who[list(leak.ours)])) == 1
        assert said[leak.ours[0]] == said[leak.ours[1]] != said[leak.theirs[0]]
