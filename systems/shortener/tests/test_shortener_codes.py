"""CODES: the permutation is one, and every source gives codes that nobody else has."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shortener.code_sources import HashCodes, hash_code
from shortener.permutation import ALPHABET, code_of_number, number_of_code, space
from shortener.testing import Shortener, Starter

KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)


@given(keys, st.integers(1, 12), st.data())
def test_a_number_can_be_had_back_from_its_code(
    key: bytes, length: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, space(length) - 1))
    code = code_of_number(key, number, length)
    assert re.fullmatch(r"[0-9A-Za-z]+", code)
    assert len(code) == length
    assert number_of_code(key, code) == number


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_code_of_a_length_is_given_exactly_once(length: int) -> None:
    count = min(space(length), 62**2)
    codes = {code_of_number(KEY, number, length) for number in range(count)}
    assert len(codes) == count


def test_codes_tell_neither_order_nor_number() -> None:
    """Of numbers in order, as far as 20,000 of them show: digits are even, neighbors unrelated."""
    count = 20_000
    codes = [code_of_number(KEY, number, 5) for number in range(count)]
    expected = count / 62
    for place in range(5):
        found = [0] * 62
        for code in codes:
            found[ALPHABET.index(code[place])] += 1
        # Chi-squared with 61 degrees of freedom: 125 is passed once in a million.
        assert sum((n - expected) ** 2 / expected for n in found) < 125
    ordered = sum(one < other for one, other in itertools.pairwise(codes))
    # Half of them, give or take five standard deviations (of runs up and down: √(n/12)).
    assert abs(ordered - count / 2) < 5 * (count / 12) ** 0.5
    shared = sum(
        sum(a == b for a, b in zip(one, other, strict=True))
        for one, other in itertools.pairwise(codes)
    )
    assert abs(shared - 5 * count / 62) < 5 * (5 * count / 62) ** 0.5


@given(keys, keys)
def test_another_key_is_another_permutation(key: bytes, other: bytes) -> None:
    ours = [code_of_number(key, number, 5) for number in range(8)]
    theirs = [code_of_number(other, number, 5) for number in range(8)]
    assert (ours == theirs) is (key == other)


@given(st.text(max_size=50), st.integers(4, 32))
def test_a_hash_depends_on_the_address_and_the_key(url: str, length: int) -> None:
    code = hash_code(KEY, url, length)
    assert re.fullmatch(r"[0-9A-Za-z]+", code)
    assert len(code) == length
    assert hash_code(KEY, url, length) == code
    if length > 8:
        assert hash_code(bytes(32), url, length) != code
        assert hash_code(KEY, url + "x", length) != code
        assert asyncio.run(HashCodes(KEY).propose(None, url, length, 1)) != code


@pytest.mark.parametrize("count", [200_000])
def test_random_and_hashed_codes_collide_as_often_as_chance_has_it(count: int) -> None:
    """10 million of each are measured by bench/codes.py."""
    hashed = {hash_code(KEY, f"https://example.com/{number}", 5) for number in range(count)}
    expected = count**2 / (2 * space(5))
    assert abs(count - len(hashed) - expected) < 6 * expected**0.5


@pytest.fixture(scope="module", params=["permuted", "hash"])
def any_codes(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Shortener]:
    """Two workers for each of CODES that is not the default."""
    with starter(workers=2, CODES=request.param, VISITS="sync") as running:
        yield running


def test_codes_made_at_the_same_time_by_two_workers_are_all_different(
    any_codes: Shortener,
) -> None:
    urls = [f"https://example.com/{number % 40}" for number in range(160)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda url: any_codes.code(longUrl=url), urls))
    assert len(set(codes)) == len(urls)
    for code, url in zip(codes, urls, strict=True):
        assert len(code) == 5
        assert any_codes.link(code)["longUrl"] == url


def test_a_code_that_somebody_chose_is_passed_over(any_codes: Shortener) -> None:
    key = any_codes.sql("SELECT key FROM code_key")[0]["key"]
    next_number = any_codes.sql("SELECT nextval('code_number')")[0]["nextval"]
    url = "https://example.com/contested"
    # Those that the workers would come to next, of either kind.
    for number in range(next_number, next_number + 64):
        any_codes.code(customSlug=code_of_number(key, number + 1, 5))
    any_codes.code(customSlug=hash_code(key, url, 5))
    codes = [any_codes.code(longUrl=url) for _ in range(100)]
    assert len(set(codes)) == 100
    assert {any_codes.link(code)["longUrl"] for code in codes} == {url}


def test_a_length_that_is_asked_for_is_given(any_codes: Shortener) -> None:
    assert len(any_codes.code(shortCodeLength=9)) == 9
