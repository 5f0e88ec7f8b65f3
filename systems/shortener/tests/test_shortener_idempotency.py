"""A request that is sent again, or twice at the same time, has one effect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
from shortener.testing import Shortener

KEY = "Idempotency-Key"


def test_the_same_key_and_body_return_the_same_link(shortener: Shortener) -> None:
    def send() -> str:
        reply = shortener.client.post(
            "/rest/v3/short-urls",
            json={"longUrl": "https://example.com/once", "tags": ["a"]},
            headers={KEY: "one"},
        )
        assert reply.status_code == 200, reply.text
        return str(reply.json()["shortCode"])

    with ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(lambda _: send(), range(24)))
    assert len(codes) == 1
    made = shortener.sql("SELECT FROM link WHERE long_url = 'https://example.com/once'")
    assert len(made) == 1


def test_the_same_key_returns_the_same_slug(shortener: Shortener) -> None:
    for _ in range(2):
        reply = shortener.client.post(
            "/rest/v3/short-urls",
            json={"longUrl": "https://example.com/s", "customSlug": "again"},
            headers={KEY: "slug"},
        )
        assert (reply.status_code, reply.json()["shortCode"]) == (200, "again")


def test_the_same_key_with_another_body_is_refused(shortener: Shortener) -> None:
    replies = [
        shortener.client.post(
            "/rest/v3/short-urls", json={"longUrl": url}, headers={KEY: "changed"}
        )
        for url in ("https://example.com/1", "https://example.com/2")
    ]
    assert [reply.status_code for reply in replies] == [200, 422]
    assert replies[1].headers["content-type"] == "application/problem+json"


def test_the_same_key_with_another_password_is_refused(shortener: Shortener) -> None:
    def make(**more: str) -> httpx.Response:
        body = {"longUrl": "https://example.com/kept", **more}
        return shortener.client.post("/rest/v3/short-urls", json=body, headers={KEY: "kept"})

    code = make(password="a").json()["shortCode"]
    assert [make(password="b").status_code, make().status_code] == [422, 422]
    # That of the link was changed since; the request is still the same one.
    edit = shortener.client.patch(f"/rest/v3/short-urls/{code}", json={"password": "b"})
    assert edit.status_code == 200
    assert make(password="a").json()["shortCode"] == code


def test_another_caller_may_use_the_same_key(shortener: Shortener) -> None:
    shortener.sql("INSERT INTO api_key (digest, name) VALUES (sha256('other'), 'other')")
    codes = {
        shortener.client.post(
            "/rest/v3/short-urls",
            json={"longUrl": "https://example.com/same"},
            headers={KEY: "shared", "X-Api-Key": caller},
        ).json()["shortCode"]
        for caller in (shortener.client.headers["X-Api-Key"], "other")
    }
    assert len(codes) == 2


def test_find_if_exists_returns_the_newest_equal_link(shortener: Shortener) -> None:
    url = "https://example.com/find"
    shortener.code(longUrl=url)
    newest = shortener.code(longUrl=url, tags=["b", "a"], maxVisits=9)
    assert shortener.code(longUrl=url, findIfExists=True) == newest
    assert shortener.code(longUrl=url, findIfExists=True, tags=["a", "b"]) == newest
    other = shortener.code(longUrl=url, findIfExists=True, tags=["a"])
    assert other != newest
    assert shortener.code(longUrl=url, findIfExists=True, tags=["a"]) == other
    assert shortener.code(longUrl=url, findIfExists=True, maxVisits=9) == newest


def test_find_if_exists_with_a_slug(shortener: Shortener) -> None:
    url = "https://example.com/find-slug"
    shortener.code(longUrl=url, customSlug="found")
    assert shortener.code(longUrl=url, customSlug="found", findIfExists=True) == "found"
    taken = shortener.create(longUrl="https://example.com/x", customSlug="found", findIfExists=True)
    assert taken.status_code == 400


def test_find_if_exists_at_the_same_time_makes_one_link(shortener: Shortener) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = set(
            pool.map(
                lambda _: shortener.code(longUrl="https://example.com/race", findIfExists=True),
                range(24),
            )
        )
    assert len(codes) == 1


def test_of_many_who_want_a_slug_one_gets_it(shortener: Shortener) -> None:
    def want(number: int) -> int:
        url = f"https://example.com/want/{number}"
        return shortener.create(longUrl=url, customSlug="wanted").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(want, range(24)))
    assert sorted(statuses) == [200] + [400] * 23


def test_random_codes_are_unique_and_taken_ones_are_not_given(shortener: Shortener) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: shortener.code(shortCodeLength=4), range(300)))
    assert len(set(codes)) == 300
