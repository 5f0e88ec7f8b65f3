"""Each process is killed while people post: nothing acknowledged is lost or doubled, and homes are
what the tables say. The web and the worker are processes of their own here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from social.testing import Social, Starter, User
from systems_common.testing import (
    EmbeddedServer,
    GranianService,
    granian_service,
    wait_until,
)


@pytest.fixture(scope="module")
def split(starter: Starter) -> Iterator[tuple[Social, GranianService]]:
    with (
        starter(ROLES="web") as social,
        granian_service("social.app:app", {**social.settings, "ROLES": "worker"}) as worker,
    ):
        yield social, worker


class Writers:
    """People who post, each until every post is acknowledged, however often it must be sent."""

    def __init__(self, social: Social, users: list[User]) -> None:
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._url = social.process.url
        self._threads = [threading.Thread(target=self._write, args=(user,)) for user in users]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)
            assert not thread.is_alive()
        assert self.failures == []

    def _write(self, user: User) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            text = f"{user.name} {number} {time.monotonic_ns()}"
            status = self._until_acknowledged(user, text)
            if status:
                self.acknowledged.append(status)

    def _until_acknowledged(self, user: User, text: str) -> str | None:
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            try:
                reply = user.client.post(
                    "/api/v1/statuses",
                    json={"status": text},
                    headers={"Idempotency-Key": text},
                )
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if reply.status_code == 200:
                return str(reply.json()["id"])
            if reply.status_code < 500:
                self.failures.append(f"{reply.status_code} {reply.text}")
                return None
            time.sleep(0.02)
        self.failures.append(f"never acknowledged: {text}")
        return None


@pytest.mark.parametrize("victim", ["web", "worker", "valkey", "nats", "postgres"])
def test_nothing_acknowledged_is_lost_or_doubled(
    split: tuple[Social, GranianService], postgres: EmbeddedServer, victim: str
) -> None:
    social, worker = split
    users = [social.user() for _ in range(3)]
    for user in users:
        for other in users:
            if other is not user:
                user.post(f"/accounts/{other.id}/follow")
        user.home()
    writers = Writers(social, users)
    time.sleep(0.3)
    servers = {"valkey": social.valkey, "nats": social.nats, "postgres": postgres}
    if victim in servers:
        servers[victim].kill()
        time.sleep(0.2)
        servers[victim].start()
    else:
        killed = social.process if victim == "web" else worker
        killed.kill()
        killed.start()
    time.sleep(0.3)
    writers.end()
    assert writers.acknowledged
    assert len(set(writers.acknowledged)) == len(writers.acknowledged)
    stored = social.sql(
        "SELECT id, text FROM status WHERE account_id = ANY($1::bigint[])",
        [user.number for user in users],
    )
    assert {str(row[0]) for row in stored} >= set(writers.acknowledged)
    assert len({row[1] for row in stored}) == len(stored)
    for user in users:
        expected = social.expected_home(user)
        wait_until(
            lambda user=user, expected=expected: user.whole_home() == expected,
            timeout_s=15.0,
            what=f"the home of {user.name} to be right after {victim} was killed",
        )
    social.assert_no_drift()
    wait_until(
        lambda: social.sql("SELECT FROM fanout") == [],
        timeout_s=15.0,
        what="nothing to be left over",
    )
