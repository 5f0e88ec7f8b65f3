"""Real-time events over several processes, readers that do not read, and a stop that waits."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from shortener.testing import API_KEY, Shortener, Starter, on_database
from systems_common.testing import wait_until

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


class Reader:
    """Reads a stream of server-sent events in a thread."""

    def __init__(self, base_url: str, query: str = "") -> None:
        self.events: list[tuple[str, Any]] = []
        self.opened, self.ended = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self._url = f"{base_url}/rest/v3/events{query}"
        threading.Thread(target=self._read, daemon=True).start()
        assert self.opened.wait(5)

    def _read(self) -> None:
        try:
            with httpx.stream(
                "GET", self._url, headers={"x-api-key": API_KEY}, timeout=20
            ) as reply:
                assert reply.headers["content-type"].startswith("text/event-stream")
                kind = ""
                for line in reply.iter_lines():
                    self.opened.set()
                    if line.startswith("event: "):
                        kind = line[7:]
                    elif line.startswith("data: "):
                        self.events.append((kind, json.loads(line[6:])))
        except httpx.HTTPError as error:
            self.error = error
        finally:
            self.ended.set()

    def codes(self, kind: str) -> list[str]:
        return [event["shortUrl"]["shortCode"] for name, event in self.events if name == kind]


@pytest.fixture(scope="module", params=["batch", "sync"])
def two_workers(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Shortener]:
    with starter(workers=2, VISITS=request.param) as running:
        yield running


def test_visits_of_any_worker_reach_every_reader(two_workers: Shortener) -> None:
    url = two_workers.process.url
    code, other = two_workers.code(), two_workers.code(maxVisits=50)
    # With several readers each worker has some, and so have the clicks below.
    readers = [Reader(url) for _ in range(4)]
    one = Reader(url, f"?topic=https://shlink.io/new-visit/{code}")
    time.sleep(0.3)  # Who listens is told to the other worker by then.
    for n in range(10):
        httpx.get(f"{url}/{code}?n={n}", headers={**BROWSER, "referer": "https://r.example/"})
        httpx.get(f"{url}/{other}")
    wait_until(
        lambda: (
            all(len(reader.codes("new-visit")) >= 20 for reader in readers)
            and len(one.codes("new-visit")) >= 10
        ),
        timeout_s=5,
        what="20 visits at every reader",
    )
    assert all(
        sorted(reader.codes("new-visit")) == sorted([code, other] * 10) for reader in readers
    )
    assert one.codes("new-visit") == [code] * 10
    event = one.events[0][1]
    assert set(event) == {"shortUrl", "visit"}
    assert event["visit"]["referer"] == "https://r.example/"
    assert event["visit"]["potentialBot"] is False
    assert re.fullmatch(rf"https://sho\.rt/{code}\?n=\d", event["visit"]["visitedUrl"])

    made = two_workers.code()
    wait_until(
        lambda: all(reader.codes("new-short-url") == [made] for reader in readers),
        timeout_s=3,
        what="the new link at every reader",
    )
    assert one.codes("new-short-url") == []

    httpx.get(f"{url}/no-such-link?x=1", headers=BROWSER)

    def orphans(reader: Reader) -> list[Any]:
        return [event["visit"] for kind, event in reader.events if kind == "new-orphan-visit"]

    wait_until(lambda: all(map(orphans, readers)), timeout_s=3, what="the orphan visit")
    orphan = orphans(readers[0])[0]
    assert orphan["type"] == "invalid_short_url"
    assert orphan["visitedUrl"] == "https://sho.rt/no-such-link?x=1"
    assert orphans(one) == []


def test_a_reader_that_does_not_read_is_dropped(shortener: Shortener) -> None:
    with socket.create_connection(("127.0.0.1", shortener.process.port)) as stuck:
        stuck.settimeout(10)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.sendall(
            f"GET /rest/v3/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\n\r\n".encode()
        )
        assert stuck.recv(4_096).startswith(b"HTTP/1.1 200")
        # An event holds the link, so these are 8 kB each, and the buffers of the kernel full soon.
        code = shortener.code(longUrl="https://example.com/" + "a" * 7_000)
        with ThreadPoolExecutor(8) as pool:
            for reply in pool.map(lambda _: shortener.client.get(f"/{code}"), range(1_700)):
                assert reply.status_code == 302
        wait_until(
            lambda: (
                "is too slow and is dropped" in shortener.process.output
                and "takes nothing and is left" in shortener.process.output
            ),
            timeout_s=12,
            what="the reader to be dropped",
        )
        assert shortener.client.get(f"/{code}").status_code == 302


def test_events_want_a_key_and_known_topics(shortener: Shortener) -> None:
    assert httpx.get(f"{shortener.process.url}/rest/v3/events").status_code == 401
    unknown = shortener.client.get("/rest/v3/events?topic=old-visit")
    assert (unknown.status_code, unknown.json()["invalidElements"]) == (400, ["topic"])


def test_a_stop_ends_streams_and_finishes_what_is_in_flight(starter: Starter) -> None:
    with starter(workers=2) as own, ThreadPoolExecutor(1) as pool:
        code = own.code(maxVisits=3)
        readers = [Reader(own.process.url) for _ in range(4)]

        async def stop_during_a_request(connection: Any) -> httpx.Response:
            async with connection.transaction():
                await connection.execute("SELECT FROM link_counter FOR UPDATE")
                slow = pool.submit(httpx.get, f"{own.process.url}/{code}", timeout=15)
                async with asyncio.timeout(5):
                    while not await connection.fetchval(
                        """SELECT count(*) FROM pg_stat_activity
                           WHERE wait_event_type = 'Lock' AND datname = current_database()"""
                    ):
                        await asyncio.sleep(0.01)
                stopping = asyncio.create_task(asyncio.to_thread(own.process.stop))
                async with asyncio.timeout(5):
                    while not all(reader.ended.is_set() for reader in readers):
                        await asyncio.sleep(0.02)
            # Only now can the redirect store its visit; the streams had ended before.
            assert await stopping == 0
            return await asyncio.wrap_future(slow)

        reply = on_database(own.database_url, stop_during_a_request)
        assert reply.status_code == 302
        assert [reader.error for reader in readers] == [None] * 4
        assert (
            own.sql(
                "SELECT total FROM link_counter JOIN link ON id = link_id WHERE code = $1", code
            )[0]["total"]
            == 1
        )
        assert "refused to gracefully stop" not in own.process.output
