"""What survives when something dies under load: a worker, the service, NATS, Valkey, PostgreSQL.

Whatever it is, every member is told every acknowledged message once, in the same order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from messaging.testing import PASSWORD, Messaging, User
from systems_common.testing import EmbeddedServer, wait_until

CLIENT = "/_matrix/client/v3"
TIMES = int(os.environ.get("MESSAGING_KILLS", "2"))
"""How often each is killed; 20 in an acceptance."""
# Granian takes a worker that dies within 5.5 s of its start for hopeless, and ends.
WORKER_AGE_S = 6.0
LONG = '{"room":{"timeline":{"limit":100}}}'
TOKEN = {"type": "m.login.registration_token", "token": "secret"}


@pytest.fixture(scope="module")
def running(starter: Any) -> Iterator[Messaging]:
    """Two workers, whose tokens are good at both; who registers has to show a token."""
    with starter(
        workers=2,
        REGISTRATION="token",
        REGISTRATION_TOKEN="secret",
        BASE_URL="https://chat.example.org",
    ) as service:
        yield service


class Chat:
    """Two senders and two followers in one room, who go on whatever happens."""

    def __init__(self, running: Messaging) -> None:
        self.url = running.process.url
        users = [running.user(auth=TOKEN) for _ in range(3)]
        self.room = users[0].create_room(preset="public_chat")
        for user in users[1:]:
            user.join(self.room)
        for user in users:
            user.sync()
        self.senders, self.followers = users[:2], users[1:]
        self.acknowledged: list[str] = []
        self.told: list[list[str]] = [[] for _ in self.followers]
        self.problems: list[str] = []
        self._end = threading.Event()
        self._quiet = threading.Event()
        self._lock = threading.Lock()

    def _as(self, user: User) -> User:
        mine = User(httpx.Client(timeout=5.0), user.user_id, user.token, user.device_id)
        mine.client.base_url = httpx.URL(self.url)
        mine.since = user.since
        return mine

    def _send(self, user: User) -> None:
        mine, number = self._as(user), 0
        while not self._end.is_set():
            number += 1
            body = f"{user.user_id} {number}"
            path = f"/rooms/{self.room}/send/m.room.message/{number}"
            # The same transaction again and again, until it is acknowledged.
            while not self._end.is_set():
                try:
                    reply = mine.call("PUT", path, {"msgtype": "m.text", "body": body})
                except httpx.HTTPError:
                    # A new connection, which may lead to a worker that lives.
                    mine = self._as(user)
                    time.sleep(0.01)
                    continue
                if reply.status_code == 200:
                    with self._lock:
                        self.acknowledged.append(body)
                    break
                if reply.status_code != 503:
                    self.problems.append(f"send: {reply.status_code} {reply.text}")
                time.sleep(0.02)
            time.sleep(0.005)

    def _follow(self, user: User, told: list[str]) -> None:
        mine = self._as(user)
        while True:
            is_last = self._quiet.is_set()
            try:
                reply = mine.call(
                    "GET", "/sync", since=mine.since, filter=LONG, timeout=0 if is_last else 500
                )
            except httpx.HTTPError:
                since, mine = mine.since, self._as(user)
                mine.since = since
                time.sleep(0.01)
                continue
            if reply.status_code != 200:
                if reply.status_code != 503:
                    self.problems.append(f"sync: {reply.status_code} {reply.text}")
                time.sleep(0.02)
                continue
            answer = reply.json()
            room = answer.get("rooms", {}).get("join", {}).get(self.room)
            timeline = room["timeline"] if room is not None else {"events": []}
            events = timeline["events"]
            if timeline.get("limited"):
                # More was sent while nobody could be woken than one reply holds.
                missed = self._between(mine, timeline["prev_batch"])
                if missed is None:
                    continue
                events = missed + events
            mine.since = answer["next_batch"]
            told += [e["content"]["body"] for e in events if e["type"] == "m.room.message"]
            if is_last and not events:
                return

    def _between(self, mine: User, end: str) -> list[dict[str, Any]] | None:
        """What was sent between the follower's position and ``end``; None to try again."""
        backwards: list[dict[str, Any]] = []
        start: str | None = end
        while start is not None:
            try:
                reply = mine.call(
                    "GET",
                    f"/rooms/{self.room}/messages",
                    **{"from": start, "to": mine.since, "dir": "b", "limit": 100},
                )
            except httpx.HTTPError:
                mine.client = self._as(mine).client
                return None
            if reply.status_code != 200:
                return None
            backwards += reply.json()["chunk"]
            start = reply.json().get("end")
        return backwards[::-1]

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Send and poll until the block ends; then the followers catch up."""
        senders = [threading.Thread(target=self._send, args=(u,)) for u in self.senders]
        followers = [
            threading.Thread(target=self._follow, args=(user, told))
            for user, told in zip(self.followers, self.told, strict=True)
        ]
        for thread in (*senders, *followers):
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in senders:
                thread.join(20.0)
            self._quiet.set()
            for thread in followers:
                thread.join(20.0)
        assert not any(thread.is_alive() for thread in (*senders, *followers))

    def wait_for(self, more: int) -> None:
        """Wait until that many more messages were acknowledged, and told to everybody."""
        enough = len(self.acknowledged) + more
        wait_until(
            lambda: len(self.acknowledged) >= enough, timeout_s=20.0, what="acknowledgements"
        )
        wait_until(
            lambda: all(len(told) >= enough for told in self.told), timeout_s=20.0, what="delivery"
        )

    def assert_kept(self, running: Messaging) -> None:
        """Every acknowledged message is there once, and everybody was told the same."""
        assert self.problems == []
        stored = [
            row["body"]
            for row in running.sql(
                "SELECT convert_from(content, 'UTF8')::json->>'body' AS body FROM event"
                " JOIN room ON room.no = room_no WHERE room_id = $1 AND type = 'm.room.message'"
                " ORDER BY event.seq",
                self.room,
            )
        ]
        assert len(stored) == len(set(stored))
        assert set(self.acknowledged) <= set(stored)
        assert self.told == [stored, stored]
        # Each sender's own messages are in the order in which they were sent.
        for user in self.senders:
            numbers = [int(b.split()[1]) for b in stored if b.split()[0] == user.user_id]
            assert numbers == sorted(numbers)


def test_registration_with_a_token(running: Messaging) -> None:
    body = {"username": "invited", "password": PASSWORD}
    asked = running.client.post(f"{CLIENT}/register", json=body)
    assert asked.json()["flows"] == [{"stages": ["m.login.registration_token"]}]
    for token, status in (("wrong", 401), ("secret", 200)):
        auth = {**TOKEN, "token": token}
        reply = running.client.post(f"{CLIENT}/register", json={**body, "auth": auth})
        assert reply.status_code == status, reply.text
    found = running.client.get("/.well-known/matrix/client").json()
    assert found == {"m.homeserver": {"base_url": "https://chat.example.org"}}


def test_tokens_are_good_at_any_process(running: Messaging) -> None:
    """Polls go to either of two workers; each message is told once, in order."""
    alice, bob = running.user(auth=TOKEN), running.user(auth=TOKEN)
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    bob.sync()
    told: list[str] = []
    for n in range(20):
        alice.send(room, str(n))
        # A connection of its own, so that either worker may get it.
        with httpx.Client(base_url=running.process.url, timeout=30.0) as client:
            bob.client = client
            events = bob.sync(timeout=5_000)["rooms"]["join"][room]["timeline"]["events"]
            told += [event["content"]["body"] for event in events]
    assert told == [str(n) for n in range(20)]


def kill_a_worker(running: Messaging, postgres: EmbeddedServer) -> None:
    workers = running.process.worker_pids
    victim = workers[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: victim not in (now := running.process.worker_pids) and len(now) >= len(workers),
        timeout_s=10.0,
        what="a new worker",
    )
    time.sleep(WORKER_AGE_S)


def kill_the_service(running: Messaging, postgres: EmbeddedServer) -> None:
    running.process.kill()
    running.process.start()


def kill_nats(running: Messaging, postgres: EmbeddedServer) -> None:
    running.nats.kill()
    time.sleep(0.3)
    running.nats.start()


def kill_valkey(running: Messaging, postgres: EmbeddedServer) -> None:
    running.valkey.kill()
    time.sleep(0.1)
    running.valkey.start()


def kill_postgres(running: Messaging, postgres: EmbeddedServer) -> None:
    postgres.kill()
    time.sleep(0.1)
    postgres.start()


@pytest.mark.parametrize(
    "kill", [kill_the_service, kill_nats, kill_valkey, kill_postgres, kill_a_worker]
)
def test_acknowledged_messages_are_told_once_in_order(
    running: Messaging,
    postgres: EmbeddedServer,
    kill: Callable[[Messaging, EmbeddedServer], None],
) -> None:
    chat = Chat(running)
    # A worker has to grow old first, or the server takes it for hopeless.
    times = 1 if kill is kill_a_worker and TIMES == 2 else TIMES
    with chat.going_on():
        for _ in range(times):
            chat.wait_for(10)
            kill(running, postgres)
            chat.wait_for(10)
    chat.assert_kept(running)


def test_a_stop_answers_who_waits(running: Messaging) -> None:
    user = running.user(auth=TOKEN)
    user.sync()
    answered = threading.Event()

    def wait() -> None:
        with httpx.Client(base_url=running.process.url, timeout=30.0) as client:
            mine = User(client, user.user_id, user.token, user.device_id)
            mine.ok("GET", "/sync", since=user.since, timeout=30_000)
        answered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    # Over connections of their own, until the worker that has the poll is asked.
    health = f"{running.process.url}/health"
    wait_until(lambda: httpx.get(health).json()["waiting"], timeout_s=10.0, what="the poll")
    began = time.monotonic()
    assert running.process.stop() == 0
    thread.join(5.0)
    assert answered.is_set()
    assert time.monotonic() - began < 10.0
    assert '"severity_text":"ERROR"' not in running.process.output
    running.process.start()
