"""Keys: how often each is drawn, and how it is written."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.keys import (
    TABLE_RANKS,
    KeySampler,
    KeyTexts,
    check_key_sets,
    quote_key,
)
from loadpath.errors import ConfigurationError
from loadpath.spec import KeySet

Distribution = Literal["zipf", "uniform", "latest"]


def key_set(count: int, distribution: Distribution = "uniform", exponent: float = 1.0) -> KeySet:
    return KeySet(name="k", count=count, distribution=distribution, exponent=exponent)


@given(
    st.integers(1, 3_000_000),
    st.sampled_from(["zipf", "uniform", "latest"]),
    st.floats(0, 3),
    st.integers(0, 2**32),
)
def test_every_key_drawn_is_one_of_the_set(
    count: int, distribution: Distribution, exponent: float, seed: int
) -> None:
    sampler = KeySampler(key_set(count, distribution, exponent))
    numbers = sampler.draw(200, np.random.default_rng(seed))
    assert numbers.min() >= 0
    assert numbers.max() < count
    for uniform in (0.0, 0.5, 1 - 2**-53):
        assert 0 <= sampler.one(uniform) < count


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.4])
def test_zipf_ranks_are_drawn_in_proportion_to_their_power(exponent: float) -> None:
    count, draws = 1000, 400_000
    sampler = KeySampler(key_set(count, "zipf", exponent))
    frequencies = np.bincount(sampler.draw(draws, np.random.default_rng(1)), minlength=count)
    by_rank = np.sort(frequencies)[::-1] / draws
    weights = np.arange(1, count + 1) ** -exponent
    expected = weights / weights.sum()
    assert by_rank[:20] == pytest.approx(expected[:20], rel=0.08)
    assert by_rank[200:].sum() == pytest.approx(expected[200:].sum(), rel=0.03)


def test_hot_keys_are_not_neighbors_and_each_key_has_one_rank() -> None:
    count = 1000
    sampler = KeySampler(key_set(count, "zipf"))
    weights = np.cumsum(1 / np.arange(1, count + 1))
    middles = (np.concatenate([[0], weights[:-1]]) + weights) / 2 / weights[-1]
    by_rank = [sampler.one(float(at)) for at in middles]
    assert sorted(by_rank) == list(range(count))
    assert min(abs(a - b) for a, b in pairwise(by_rank[:21])) > 100


def test_latest_asks_for_the_newest_most() -> None:
    sampler = KeySampler(key_set(500, "latest"))
    frequencies = np.bincount(sampler.draw(100_000, np.random.default_rng(1)), minlength=500)
    assert frequencies.argmax() == 499
    assert frequencies[490:].sum() > frequencies[:490].sum() * 0.6
    assert sampler.one(0.0) == 499


def test_beyond_the_table_the_tail_is_drawn_as_if_it_were_in_one() -> None:
    count = TABLE_RANKS * 8
    sampler = KeySampler(key_set(count, "latest", 0.8))
    ranks = count - 1 - sampler.draw(300_000, np.random.default_rng(1))
    weights = np.cumsum(np.arange(1, count + 1, dtype=float) ** -0.8)
    for limit in (100, TABLE_RANKS // 2, TABLE_RANKS, TABLE_RANKS * 2, TABLE_RANKS * 6):
        share = (ranks < limit).mean()
        assert share == pytest.approx(weights[limit - 1] / weights[-1], abs=0.005)


@pytest.mark.parametrize("distribution", ["zipf", "latest", "uniform"])
def test_one_at_a_time_draws_what_a_bulk_draw_does(distribution: Distribution) -> None:
    sampler = KeySampler(key_set(50, distribution))
    bulk = np.bincount(sampler.draw(50_000, np.random.default_rng(1)), minlength=50)
    grid = [sampler.one((i + 0.5) / 50_000) for i in range(50_000)]
    single = np.bincount(np.array(grid), minlength=50)
    assert np.abs(bulk - single).max() < 6 * np.sqrt(single.max())


def test_keys_are_written_by_pattern_or_as_lines_of_a_file(tmp_path: Path) -> None:
    pattern = KeyTexts(KeySet(name="k", count=100, pattern="u{n:04d}"))
    assert pattern.text(7) == "u0007"
    assert pattern.text(7) is pattern.text(7)
    huge = KeyTexts(KeySet(name="k", count=1 << 30, pattern="{n}"))
    assert huge.text(123_456_789) == "123456789"
    assert huge.quoted(12) == b"12"
    ids = KeyTexts(KeySet(name="k", count=10, first=1))
    assert [ids.text(0), ids.quoted(9)] == ["1", b"10"]
    file = tmp_path / "keys.txt"
    file.write_text("one\ntwo words\nüber/drei\n", encoding="utf-8")
    lines = KeyTexts(KeySet(name="k", count=3, file=file))
    assert lines.text(1) == "two words"
    assert [lines.quoted(n) for n in range(3)] == [b"one", b"two%20words", b"%C3%BCber%2Fdrei"]


def test_a_file_with_too_few_lines_or_none_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("only one\n")
    with pytest.raises(ConfigurationError, match="expected 2 lines, found 1") as caught:
        KeyTexts(KeySet(name="k", count=2, file=file))
    assert caught.value.file == str(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyTexts(KeySet(name="k", count=2, file=tmp_path / "absent.txt"))


def test_key_sets_that_cannot_be_drawn_from_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="key set `k`: expected between 1 and"):
        check_key_sets([key_set(0)])
    with pytest.raises(ConfigurationError, match="expected an exponent"):
        check_key_sets([key_set(5, "zipf", -1.0)])


@given(st.text(max_size=20))
def test_a_quoted_key_has_nothing_that_ends_a_path_or_a_line(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate is no text that a file or pattern gives
        return
    quoted = quote_key(text)
    assert not set(quoted) & set(b' /?#&\r\n\0"<>')
