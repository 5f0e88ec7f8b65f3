"""GET /{code} under every knob: where it leads, what it counts, when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from shortener.testing import Shortener, Starter, on_database
from systems_common.testing import wait_until

CACHES = ("off", "local", "valkey")
MODES = ("sync", "batch", "slotted")
SOON_S = 10.0
"""Far below the minute for which a link is remembered, however busy the machine is."""


@pytest.fixture(scope="module", params=[(c, v) for c in CACHES for v in MODES], ids="-".join)
def any_mode(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Shortener]:
    """One service for each combination of REDIRECT_CACHE and VISITS."""
    cache, visits = request.param
    with starter(REDIRECT_CACHE=cache, VISITS=visits) as running:
        yield running


def test_a_click_leads_on_and_is_counted_within_a_second(any_mode: Shortener) -> None:
    code = any_mode.code(longUrl="https://example.com/Ä?x=1#end")
    for _ in range(3):
        reply = any_mode.client.get(f"/{code}")
        assert (reply.status_code, reply.content) == (302, b"")
        assert reply.headers["location"] == "https://example.com/%C3%84?x=1#end"
        assert reply.headers["cache-control"] == "private, max-age=0"
    any_mode.wait_for_total(code, 3)
    any_mode.assert_no_drift()


def test_clicks_that_come_together_are_all_counted(any_mode: Shortener) -> None:
    hot, other = any_mode.code(), any_mode.code()
    clicks = [hot, hot, hot, other] * 25
    before = sum(row["total"] for row in any_mode.sql("SELECT total FROM link_counter"))
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda code: any_mode.client.get(f"/{code}").status_code, clicks))
    assert statuses == [302] * 100
    any_mode.wait_for_total(hot, 75)
    any_mode.wait_for_total(other, 25)
    after = sum(row["total"] for row in any_mode.sql("SELECT total FROM link_counter"))
    assert after - before == 100
    any_mode.assert_no_drift()


def test_max_visits_is_exact_among_clicks_that_compete(any_mode: Shortener) -> None:
    code = any_mode.code(maxVisits=2)
    with ThreadPoolExecutor(5) as pool:

        async def click_while_locked(connection: Any) -> list[Future[httpx.Response]]:
            async with connection.transaction():
                await connection.execute(
                    """SELECT FROM link_counter JOIN link ON id = link_id WHERE code = $1
                       FOR UPDATE OF link_counter""",
                    code,
                )
                clicks = [pool.submit(any_mode.client.get, f"/{code}") for _ in range(5)]
                # All five now see a counter of 0, and wait for its row.
                async with asyncio.timeout(5):
                    while await connection.fetchval(_WAITING) < len(clicks):
                        await asyncio.sleep(0.01)
            return clicks

        clicks = on_database(any_mode.database_url, click_while_locked)
        statuses = [click.result().status_code for click in clicks]
    assert sorted(statuses) == [302, 302, 404, 404, 404]
    assert any_mode.total(code) == 2


_WAITING = """SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()"""


def test_a_link_works_between_its_dates_only(any_mode: Shortener) -> None:
    now = datetime.now(UTC)
    past, future = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    for dates, status in (
        ({"validSince": past, "validUntil": future}, 302),
        ({"validSince": future}, 404),
        ({"validUntil": past}, 404),
    ):
        code = any_mode.code(**dates)
        assert any_mode.client.get(f"/{code}").status_code == status
        # Once more, now that it may be remembered.
        assert any_mode.client.get(f"/{code}").status_code == status


def test_a_link_ends_while_it_is_remembered(any_mode: Shortener) -> None:
    code = any_mode.code(validUntil=(datetime.now(UTC) + timedelta(seconds=1.0)).isoformat())
    assert any_mode.client.get(f"/{code}").status_code == 302
    wait_until(
        lambda: any_mode.client.get(f"/{code}").status_code == 404,
        timeout_s=10.0,
        what="the link to end",
    )


def test_a_change_made_elsewhere_is_seen_long_before_a_link_is_forgotten(
    any_mode: Shortener,
) -> None:
    code = any_mode.code(longUrl="https://example.com/old")
    assert any_mode.client.get(f"/{code}").headers["location"] == "https://example.com/old"
    any_mode.sql("UPDATE link SET long_url = 'https://example.com/new' WHERE code = $1", code)
    wait_until(
        lambda: any_mode.client.get(f"/{code}").headers["location"].endswith("/new"),
        timeout_s=SOON_S,
        what="the new target",
    )
    any_mode.sql("DELETE FROM link WHERE code = $1", code)
    wait_until(
        lambda: any_mode.client.get(f"/{code}").status_code == 404,
        timeout_s=SOON_S,
        what="the link to be gone",
    )
    # Visits that were still on their way when it went do not hold up those of others.
    other = any_mode.code()
    any_mode.client.get(f"/{other}")
    any_mode.wait_for_total(other, 1)
    any_mode.assert_no_drift()


def test_a_link_works_at_once_although_its_code_was_asked_for_before(any_mode: Shortener) -> None:
    assert any_mode.client.get("/not-yet").status_code == 404
    any_mode.code(customSlug="not-yet")
    assert any_mode.client.get("/not-yet").status_code == 302


def test_a_query_is_forwarded_unless_the_link_says_no(shortener: Shortener) -> None:
    plain = shortener.code(longUrl="https://example.com/p#f")
    asking = shortener.code(longUrl="https://example.com/p?a=1")
    closed = shortener.code(longUrl="https://example.com/p", forwardQuery=False)
    for code, location in (
        (plain, "https://example.com/p?b=%202&c#f"),
        (asking, "https://example.com/p?a=1&b=%202&c"),
        (closed, "https://example.com/p"),
    ):
        assert shortener.client.get(f"/{code}?b=%202&c").headers["location"] == location


def test_a_head_request_tells_the_target_and_counts_nothing(shortener: Shortener) -> None:
    code = shortener.code(longUrl="https://example.com/h", maxVisits=1)
    reply = shortener.client.head(f"/{code}")
    assert (reply.status_code, reply.headers["location"]) == (302, "https://example.com/h")
    assert shortener.client.get(f"/{code}").status_code == 302
    shortener.wait_for_total(code, 1)


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/a%00b",
        "/%ff%fe",
        "/%0d%0aset-cookie:a=b",
        "/" + "x" * 5_000,
        "/%F0%9F%98%80",
        "/'",
    ],
)
def test_an_odd_path_is_not_found(shortener: Shortener, path: str) -> None:
    reply = shortener.client.send(
        httpx.Request("GET", httpx.URL(shortener.process.url).copy_with(raw_path=path.encode()))
    )
    assert reply.status_code == 404
    assert "set-cookie" not in reply.headers


def test_only_get_and_head_redirect(shortener: Shortener) -> None:
    code = shortener.code()
    assert shortener.client.post(f"/{code}").status_code == 405
