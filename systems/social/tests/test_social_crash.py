"""Each process is killed while people post, follow, block and delete: nothing acknowledged is lost
or doubled, and homes are what the tables say. The web and the worker are processes of their own."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from social.testing import Social, Starter, User
from systems_common.testing import (
    EmbeddedServer,
    GranianService,
    granian_service,
    wait_until,
)

TIMES = int(os.environ.get("SOCIAL_KILLS", "2"))
"""How often each is killed; `make acceptance` sets 20."""


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

    def wait_for(self, more: int) -> None:
        """Wait until that many more posts were acknowledged."""
        enough = len(self.acknowledged) + more
        wait_until(
            lambda: len(self.acknowledged) >= enough or self.failures != [],
            timeout_s=25.0,
            what="posts to be acknowledged",
        )

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
            # Homes of thousands of posts would take longer to compare than to fill.
            time.sleep(0.02)

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


class Restless:
    """Somebody who does things at random, and takes no for an answer; the tables say what became
    of it."""

    def __init__(self, seed: int, user: User, others: list[User]) -> None:
        self.failures: list[str] = []
        self._chance = random.Random(seed)
        self._user = user
        self._others = others
        self._posts: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._act)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30.0)
        assert not self._thread.is_alive()
        assert self.failures == []

    def _act(self) -> None:
        while not self._stop.is_set():
            other = self._chance.choice(self._others).id
            what = self._chance.choice(
                ["write", "write", "delete", "follow", "follow", "unfollow", "block", "unblock",
                 "unblock", "mute", "unmute", "home"]
            )  # fmt: skip
            try:
                match what:
                    case "write":
                        self._write()
                    case "delete":
                        if self._posts:
                            self._ask("DELETE", f"statuses/{self._posts.pop()}")
                    case "home":
                        self._ask("GET", "timelines/home")
                    case _:
                        self._ask("POST", f"accounts/{other}/{what}")
            except httpx.TransportError:
                time.sleep(0.02)
            time.sleep(0.01)

    def _write(self) -> None:
        status = self._ask("POST", "statuses", json={"status": f"by chance {time.monotonic_ns()}"})
        if "id" in status:
            self._posts.append(status["id"])

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        reply = self._user.client.request(method, f"/api/v1/{path}", **options)
        # 503 while what it needs is away, 403 where somebody blocks, 404 for a second deletion.
        if reply.status_code not in (200, 403, 404, 503):
            self.failures.append(f"{method} {path}: {reply.status_code} {reply.text}")
        return reply.json() if method != "GET" else {}


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
    restless = [social.user() for _ in range(2)]
    everybody = users + restless
    writers = Writers(social, users)
    actors = [
        Restless(seed, user, [other for other in everybody if other is not user])
        for seed, user in enumerate(restless)
    ]
    writers.wait_for(20)
    for _ in range(TIMES):
        kill(victim, social, worker, postgres)
        writers.wait_for(20)
    for actor in actors:
        actor.end()
    writers.end()
    assert len(set(writers.acknowledged)) == len(writers.acknowledged)
    stored = social.sql(
        "SELECT id, text FROM status WHERE account_id = ANY($1::bigint[])",
        [user.number for user in users],
    )
    assert {str(row[0]) for row in stored} >= set(writers.acknowledged)
    assert len({row[1] for row in stored}) == len(stored)
    for user in everybody:
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


def kill(victim: str, social: Social, worker: GranianService, postgres: EmbeddedServer) -> None:
    """SIGKILL one of them, and start it again."""
    servers = {"valkey": social.valkey, "nats": social.nats, "postgres": postgres}
    if victim in servers:
        servers[victim].kill()
        time.sleep(0.2)
        servers[victim].start()
    else:
        killed = social.process if victim == "web" else worker
        killed.kill()
        killed.start()
