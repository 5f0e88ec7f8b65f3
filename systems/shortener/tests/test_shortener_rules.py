"""Codes, addresses, dates and pages: what needs no server."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shortener.addresses import LONG_URL_LENGTH_MAX, check_long_url, location_of, with_query
from shortener.codes import RESERVED, clean_slug, random_code
from shortener.drafts import moment_of
from shortener.schemas import PAGE_ITEMS_MAX, paging
from shortener.visits import browser_of


@given(st.integers(4, 32))
def test_a_random_code_has_its_length_and_base_62(length: int) -> None:
    assert re.fullmatch(r"[0-9A-Za-z]+", random_code(length))
    assert len(random_code(length)) == length


def test_every_digit_is_about_as_likely() -> None:
    counts: dict[str, int] = {}
    for _ in range(6_200):
        for digit in random_code(10):
            counts[digit] = counts.get(digit, 0) + 1
    assert len(counts) == 62
    # 1,000 expected of each; seven standard deviations either way.
    assert 778 < min(counts.values()) <= max(counts.values()) < 1_222


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("plain", "plain"),
        ("  two words ", "two-words"),
        ("a/b/c", "a-b-c"),
        ("Größe", "Größe"),
        ("x" * 256, None),
        ("", None),
        ("//", None),
        ("a?b", None),
        ("a#b", None),
        ("a%62", None),
        ("a\0b", None),
        *((name, None) for name in sorted(RESERVED)),
    ],
)
def test_slugs(text: str, slug: str | None) -> None:
    assert clean_slug(text) == slug


@given(st.text())
def test_a_slug_can_always_be_asked_for(text: str) -> None:
    slug = clean_slug(text)
    assert slug is None or (slug.isprintable() and not set(slug) & set("/?#% "))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/a@b?b=c#d",
        "https://[::1]/",
        "https://例え.jp/パス",
        "HTTPS://EXAMPLE.COM/",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert check_long_url(f" {url} ") == url


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://0x8080808:8080/a?b#c", "http://8.8.8.8:8080/a?b#c"),
        ("http://8.526344/8.526344", "http://8.8.8.8/8.526344"),
        ("HTTP://010.8.8.8", "HTTP://8.8.8.8"),
        ("http://⑧.8.8.8/", "http://8.8.8.8/"),
        ("http://8.8.8.8./", "http://8.8.8.8/"),
        ("https://[2001:4860:4860:0::8888]:443/", "https://[2001:4860:4860::8888]:443/"),
        ("https://8.8.8.8.example/", "https://8.8.8.8.example/"),
    ],
)
def test_an_ip_address_is_kept_in_its_usual_form(url: str, kept: str) -> None:
    assert check_long_url(url) == kept
    assert check_long_url(kept) == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https://",
        "https:///path",
        "javascript:alert(1)",
        "data:text/html,hi",
        "file:///etc/passwd",
        "https://example.com/a b",
        "https://example.com/\r\nx: y",
        "https://example.com/\x00",
        "https://example.com:99999/",
        "https://[::1/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://bank.example%40@example.com/",
        "https://@example.com/",
        "https://example.com/" + "x" * LONG_URL_LENGTH_MAX,
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    assert check_long_url(url) is None


@given(st.text(max_size=40), st.text(max_size=20))
def test_a_location_is_always_one_header_value(path: str, query: str) -> None:
    url = check_long_url(f"https://example.com/{path}")
    if url is not None:
        location = with_query(location_of(url), query)
        assert location.isascii()
        assert location.isprintable()
        assert " " not in location


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://e.com/", "https://e.com/?q=1"),
        ("https://e.com/?a", "https://e.com/?a&q=1"),
        ("https://e.com/#f?x", "https://e.com/?q=1#f?x"),
    ],
)
def test_a_query_goes_before_the_fragment(location: str, expected: str) -> None:
    assert with_query(location, "q=1") == expected


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05 02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("now", None),
        ("", None),
    ],
)
def test_moments(text: str, moment: datetime | None) -> None:
    assert moment_of(text) == moment


@given(st.none() | st.integers(), st.none() | st.integers())
def test_pages_stay_within_bounds(page: int | None, items: int | None) -> None:
    number, length = paging(page, items, default_items=10)
    assert number >= 1
    assert 1 <= length <= PAGE_ITEMS_MAX
    assert (number - 1) * length < 2**63


@pytest.mark.parametrize(
    ("header", "bot"),
    [
        (b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", False),
        (b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari/604.1", False),
        (b"", False),
        (b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        (b"curl/8.5.0", True),
        (b"facebookexternalhit/1.1", True),
        (b"Mozilla/5.0 CUBOT_X18_Plus Chrome/90", False),
    ],
)
def test_who_is_a_bot(header: bytes, bot: bool) -> None:
    assert browser_of(header).bot is bot
