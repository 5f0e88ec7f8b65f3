"""What survives when something dies: the service, a worker, NATS, Valkey, PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import nats
import pytest
from nats.js.api import ConsumerConfig
from shortener.recording import DURABLE, STREAM, SUBJECT, store_batch
from shortener.testing import API_KEY, Shortener, Starter, on_database
from shortener.visits import Visit
from systems_common.database import Database
from systems_common.ids import IdGenerator
from systems_common.testing import EmbeddedServer, wait_until

TIMES = int(os.environ.get("SHORTENER_KILLS", "2"))
"""How often each is killed; `make acceptance` sets 20."""
# Granian takes a worker that dies within 5.5 s of its start for hopeless, and ends.
WORKER_AGE_S = 6.0


class Answered:
    """What clients that never stop were told, over connections of their own."""

    def __init__(self, url: str, code: str, *, status: int = 302) -> None:
        self.clicks = 0
        self.sent = 0
        self.links: list[tuple[str, str]] = []
        self.failures = 0
        self._url = url
        self._code = code
        self._status = status
        self._lock = threading.Lock()
        self._end = threading.Event()

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=10.0) as client:
            turn = 0
            while not self._end.is_set():
                turn += 1
                try:
                    self._click(client)
                    if turn % 5 == 0:
                        self._create(client, f"https://example.com/crash/{number}/{turn}")
                except httpx.HTTPError:
                    with self._lock:
                        self.failures += 1
                    self._end.wait(0.01)

    def _click(self, client: httpx.Client) -> None:
        with self._lock:
            self.sent += 1
        if client.get(f"/{self._code}").status_code == self._status:
            with self._lock:
                self.clicks += 1

    def _create(self, client: httpx.Client, url: str) -> None:
        reply = client.post(
            "/rest/v3/short-urls", json={"longUrl": url}, headers={"X-Api-Key": API_KEY}
        )
        if reply.status_code == 200:
            with self._lock:
                self.links.append((reply.json()["shortCode"], url))

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Send until the block ends."""
        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(self._run, number) for number in range(4)]
            try:
                yield
            finally:
                self._end.set()
        for future in done:
            future.result()

    def wait_for_clicks(self, more: int) -> None:
        """Wait until that many more clicks were answered."""
        enough = self.clicks + more
        wait_until(lambda: self.clicks >= enough, timeout_s=15.0, what=f"{enough} clicks")

    def assert_kept(self, running: Shortener) -> None:
        """No acknowledged link and no answered click is lost, and none is counted twice."""
        wait_until(
            lambda: running.total(self._code) >= self.clicks,
            timeout_s=15.0,
            what=f"{self.clicks} visits",
        )
        assert self.clicks <= running.total(self._code) <= self.sent
        for code, url in self.links:
            assert running.link(code)["longUrl"] == url
        running.assert_no_drift()


def answers_again(running: Shortener) -> None:
    """Within 5 s links are made, found in the database, and followed."""

    def works() -> bool:
        reply = running.create()
        return (
            reply.status_code == 200
            and running.client.get(f"/{reply.json()['shortCode']}").is_redirect
        )

    wait_until(works, timeout_s=5.0, what="the service to answer again")


def test_a_killed_service_loses_nothing_it_acknowledged(shortener: Shortener) -> None:
    answered = Answered(shortener.process.url, shortener.code())
    with answered.going_on():
        for _ in range(TIMES):
            answered.wait_for_clicks(100)
            shortener.process.kill()
            shortener.process.start()
            answers_again(shortener)
        answered.wait_for_clicks(20)
    assert answered.failures > 0
    assert answered.links
    answered.assert_kept(shortener)


def test_a_consumer_killed_with_visits_in_hand_counts_them_once(shortener: Shortener) -> None:
    code = shortener.code()

    async def kill_while_it_waits(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute(
                "SELECT FROM link_counter JOIN link ON id = link_id WHERE code = $1 FOR UPDATE",
                code,
            )
            for _ in range(10):
                assert shortener.client.get(f"/{code}").status_code == 302
            # The consumer has the visits, and waits for their counter.
            async with asyncio.timeout(5):
                while not await connection.fetchval(_WAITING):
                    await asyncio.sleep(0.01)
            shortener.process.kill()

    for turn in range(1, TIMES + 1):
        on_database(shortener.database_url, kill_while_it_waits)
        shortener.process.start()
        shortener.wait_for_total(code, 10 * turn, timeout_s=10.0)
    shortener.assert_no_drift()


_WAITING = """SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()"""


def test_a_stop_answers_what_is_under_way_and_keeps_it(shortener: Shortener) -> None:
    answered = Answered(shortener.process.url, shortener.code())
    with answered.going_on():
        answered.wait_for_clicks(100)
        began = time.monotonic()
        assert shortener.process.stop() == 0
        assert time.monotonic() - began < 5.0
    assert '"severity_text":"ERROR"' not in shortener.process.output
    shortener.process.start()
    answered.assert_kept(shortener)


def test_a_batch_that_was_committed_but_not_acknowledged_counts_once(shortener: Shortener) -> None:
    """As when a worker is killed between the two: here the test is that worker."""
    code = shortener.code()
    link_id = shortener.sql("SELECT id FROM link WHERE code = $1", code)[0]["id"]
    ids = IdGenerator(4_095)
    visits = [Visit(ids.next(), link_id, False, None, "test", None) for _ in range(50)]
    shortener.process.stop()
    asyncio.run(_commit_without_acknowledging(shortener, msgspec.msgpack.encode(visits)))
    stored = shortener.sql("SELECT total FROM link_counter WHERE link_id = $1", link_id)
    assert stored[0]["total"] == len(visits)
    assert asyncio.run(_waiting_messages(shortener)) == 1
    shortener.process.start()
    wait_until(
        lambda: asyncio.run(_waiting_messages(shortener)) == 0,
        timeout_s=10.0,
        what="the batch to be dealt with again",
    )
    assert shortener.total(code) == len(visits)
    shortener.assert_no_drift()


def test_a_message_that_can_never_be_stored_holds_up_nothing(shortener: Shortener) -> None:
    code = shortener.code()
    link_id = shortener.sql("SELECT id FROM link WHERE code = $1", code)[0]["id"]
    ids = IdGenerator(4_094)
    good = [Visit(ids.next(), link_id, False, None, None, None) for _ in range(3)]
    # PostgreSQL stores no NUL in a text, and no visit of a link that is not there.
    bad = Visit(ids.next(), link_id, False, "a\0b", None, None)
    elsewhere = Visit(ids.next(), 10**15, False, None, None, None)
    mixed = msgspec.msgpack.encode([good[0], bad, good[1], elsewhere, good[2]])
    asyncio.run(_publish(shortener, [b"\xc1 no visits", mixed]))
    shortener.wait_for_total(code, 3)
    wait_until(lambda: asyncio.run(_waiting_messages(shortener)) == 0, timeout_s=5.0, what="an end")
    assert "left out" in shortener.process.output
    shortener.assert_no_drift()


def test_without_nats_visits_go_to_the_database(shortener: Shortener) -> None:
    answered = Answered(shortener.process.url, shortener.code())
    with answered.going_on():
        for _ in range(TIMES):
            answered.wait_for_clicks(50)
            shortener.nats.kill()
            answered.wait_for_clicks(50)
            health = shortener.client.get("/health")
            assert (health.status_code, health.json()["checks"]["broker"] != "pass") == (200, True)
            shortener.nats.start()
            wait_until_checked(shortener, "broker")
        answered.wait_for_clicks(50)
    assert answered.failures == 0
    answered.assert_kept(shortener)


def test_without_postgres_remembered_links_lead_on_and_the_rest_says_503(
    shortener: Shortener, postgres: EmbeddedServer
) -> None:
    code, unknown = shortener.code(), shortener.code()
    answered = Answered(shortener.process.url, code)
    with answered.going_on():
        for _ in range(TIMES):
            answered.wait_for_clicks(50)
            postgres.kill()
            try:
                answered.wait_for_clicks(50)
                refused = shortener.client.get(f"/{unknown}")
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert shortener.create().status_code == 503
                assert shortener.client.get("/health").status_code == 503
            finally:
                postgres.start()
            wait_until_checked(shortener, "database")
            answers_again(shortener)
        answered.wait_for_clicks(50)
    assert shortener.client.get(f"/{unknown}").status_code == 302
    answered.assert_kept(shortener)


def wait_until_checked(running: Shortener, dependency: str) -> None:
    """Wait until the health report passes that dependency again."""
    wait_until(
        lambda: running.client.get("/health").json()["checks"][dependency] == "pass",
        timeout_s=5.0,
        what=f"the {dependency} to be used again",
    )


def test_without_valkey_redirects_read_the_database(starter: Starter) -> None:
    with starter(REDIRECT_CACHE="valkey") as running:
        answered = Answered(running.process.url, running.code())
        with answered.going_on():
            for turn in range(TIMES):
                code = running.code(longUrl="https://example.com/before")
                running.client.get(f"/{code}")
                answered.wait_for_clicks(50)
                running.valkey.kill()
                answered.wait_for_clicks(50)
                running.sql("UPDATE link SET long_url = $1 WHERE code = $2", f"{AFTER}{turn}", code)
                running.valkey.start()
                wait_until_checked(running, "cache")
                # What Valkey still held, or somebody wrote when it was back, is not led to.
                wait_until(
                    lambda code=code, turn=turn: (
                        running.client.get(f"/{code}").headers["location"] == f"{AFTER}{turn}"
                    ),
                    timeout_s=10.0,
                    what="the change",
                )
                answered.wait_for_clicks(50)
        assert answered.failures == 0
        answered.assert_kept(running)


AFTER = "https://example.com/after/"


def test_a_change_that_valkey_missed_is_not_undone_by_it(starter: Starter) -> None:
    """Valkey stopped for a moment, as under a snapshot, keeps what it held."""
    with starter(REDIRECT_CACHE="valkey") as running:
        code = running.code(longUrl="https://example.com/before")
        for _ in range(2):
            assert running.client.get(f"/{code}").headers["location"].endswith("/before")
        os.kill(running.valkey.pid, signal.SIGSTOP)
        try:
            running.sql("UPDATE link SET long_url = $1 WHERE code = $2", AFTER, code)
            wait_until(
                lambda: running.client.get(f"/{code}").headers["location"] == AFTER,
                timeout_s=10.0,
                what="the change",
            )
        finally:
            os.kill(running.valkey.pid, signal.SIGCONT)
        wait_until_checked(running, "cache")
        for _ in range(10):
            assert running.client.get(f"/{code}").headers["location"] == AFTER
            time.sleep(0.15)


@pytest.fixture(scope="module")
def two_workers(starter: Starter) -> Iterator[Shortener]:
    """Two processes, and a redirect that lasts."""
    with starter(workers=2, REDIRECT_STATUS="301") as running:
        yield running


def test_both_workers_forget_a_changed_link(two_workers: Shortener) -> None:
    code = two_workers.code(longUrl="https://example.com/old")

    def locations() -> set[str]:
        # Each request over a connection of its own, so that both workers get some.
        replies = [httpx.get(f"{two_workers.process.url}/{code}") for _ in range(12)]
        # A permanent redirect that a browser kept for good would hide all later visits.
        assert {reply.status_code for reply in replies} == {301}
        assert replies[0].headers["cache-control"] == "private, max-age=90"
        return {reply.headers["location"] for reply in replies}

    assert locations() == {"https://example.com/old"}
    two_workers.sql("UPDATE link SET long_url = 'https://example.com/new' WHERE code = $1", code)
    wait_until(
        lambda: locations() == {"https://example.com/new"},
        timeout_s=10.0,
        what="both workers to forget",
    )


def test_a_killed_worker_is_replaced_while_the_other_goes_on(two_workers: Shortener) -> None:
    answered = Answered(two_workers.process.url, two_workers.code(), status=301)
    born_s = dict.fromkeys(two_workers.process.worker_pids, -WORKER_AGE_S)
    workers = len(born_s)
    with answered.going_on():
        for _ in range(TIMES):
            answered.wait_for_clicks(60)
            victim = min(born_s, key=born_s.__getitem__)
            time.sleep(max(0.0, born_s.pop(victim) + WORKER_AGE_S - time.monotonic()))
            os.kill(victim, signal.SIGKILL)
            answered.wait_for_clicks(60)
            wait_until(
                lambda victim=victim: (
                    victim not in (now := two_workers.process.worker_pids) and len(now) >= workers
                ),
                timeout_s=10.0,
                what="a new worker",
            )
            for pid in two_workers.process.worker_pids:
                born_s.setdefault(pid, time.monotonic())
    answered.assert_kept(two_workers)


async def _commit_without_acknowledging(running: Shortener, payload: bytes) -> None:
    client = await nats.connect(running.nats.url)
    js = client.jetstream()
    # The consumer of the service, but soon impatient.
    await js.add_consumer(STREAM, ConsumerConfig(durable_name=DURABLE, ack_wait=0.5))
    await js.publish(SUBJECT, payload)
    subscription = await js.pull_subscribe_bind(durable=DURABLE, stream=STREAM)
    (message,) = await subscription.fetch(1, timeout=5)
    database = await Database.open(running.database_url, 1, name="test")
    await store_batch(database, [message.data])
    await database.close()
    await client.close()


async def _waiting_messages(running: Shortener) -> int:
    client = await nats.connect(running.nats.url)
    try:
        info: Any = await client.jetstream().stream_info(STREAM)
        return int(info.state.messages)
    finally:
        await client.close()


async def _publish(running: Shortener, payloads: list[bytes]) -> None:
    client = await nats.connect(running.nats.url)
    for payload in payloads:
        await client.jetstream().publish(SUBJECT, payload)
    await client.close()
