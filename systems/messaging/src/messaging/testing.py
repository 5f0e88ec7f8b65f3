"""A messaging server for tests: real servers, a seeded database, a client (extra: testing)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from systems_common.testing import (
    Commands,
    EmbeddedServer,
    GranianService,
    granian_service,
    nats_server,
    new_database,
    on_database,
    private_folder,
    valkey_server,
)

from messaging.sessions import digest_of, new_token

__all__ = [
    "PASSWORD",
    "SERVER_NAME",
    "Messaging",
    "User",
    "command",
    "migrated_database",
    "new_database",
    "on_database",
    "start_messaging",
]

PASSWORD = "password-of-the-tests"
SERVER_NAME = "example.org"
_CLIENT = "/_matrix/client/v3"
# Every long poll is a request in flight; of those the server takes some 1,000 unless it is told.
_OPTIONS = ("--backpressure", "20000")
_numbers = itertools.count()

command = Commands("messaging")


class User:
    """Somebody who is signed in, and their device's requests."""

    def __init__(self, client: httpx.Client, user_id: str, token: str, device_id: str) -> None:
        self.client = client
        self.user_id = user_id
        self.token = token
        self.device_id = device_id
        self._txn = itertools.count(1)
        self.since: str | None = None

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        """A request below /_matrix/client/v3 (or an absolute path), as this device."""
        return self.client.request(
            method,
            path if path.startswith("/_matrix") else _CLIENT + path,
            json=body,
            params=params,
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
        )

    def ok(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The answer of a request that has to succeed."""
        reply = self.call(method, path, body, **params)
        assert reply.status_code == 200, (method, path, reply.status_code, reply.text)
        return reply.json()

    def create_room(self, **body: Any) -> str:
        """The id of a new room."""
        return str(self.ok("POST", "/createRoom", body)["room_id"])

    def send(self, room_id: str, body: str, **content: Any) -> str:
        """The id of a new message."""
        message = {"msgtype": "m.text", "body": body, **content}
        path = f"/rooms/{quote(room_id)}/send/m.room.message/{next(self._txn)}"
        return str(self.ok("PUT", path, message)["event_id"])

    def join(self, room_id: str) -> None:
        """Join a room."""
        self.ok("POST", f"/rooms/{quote(room_id)}/join", {})

    def sync(self, **params: Any) -> Any:
        """What is new since the last call."""
        if self.since is not None:
            params.setdefault("since", self.since)
        answer = self.ok("GET", "/sync", **params)
        self.since = answer["next_batch"]
        return answer


class Messaging(msgspec.Struct, frozen=True):
    """A running service and the servers behind it."""

    process: GranianService
    client: httpx.Client
    database_url: str
    nats: EmbeddedServer
    valkey: EmbeddedServer
    media: Path
    """Where its files are."""

    def user(self, name: str | None = None, **body: Any) -> User:
        """A new user who is signed in."""
        name = name or f"u{next(_numbers)}"
        reply = self.client.post(
            f"{_CLIENT}/register",
            json={
                "username": name,
                "password": PASSWORD,
                "auth": {"type": "m.login.dummy"},
                **body,
            },
        )
        assert reply.status_code == 200, reply.text
        return self._user(reply.json())

    def users(self, count: int, *, devices: int = 1) -> list[list[User]]:
        """New users, each with so many devices, made by SQL: signing up costs a scrypt each time.

        They have no password.
        """
        names = [f"@sql{next(_numbers)}:{SERVER_NAME}" for _ in range(count)]
        given = [(name, f"D{n}", new_token("sql")) for name in names for n in range(devices)]
        self.sql(
            """WITH given AS (
                   SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
                   WITH ORDINALITY AS g(user_id, device_id, digest, n)
               ), users AS (
                   INSERT INTO account (user_id, password_digest)
                   SELECT DISTINCT user_id, '' FROM given RETURNING no, user_id
               ), device AS (
                   INSERT INTO device (user_no, device_id)
                   SELECT u.no, g.device_id FROM given AS g JOIN users AS u USING (user_id)
                   RETURNING no, user_no, device_id
               )
               INSERT INTO access_token (digest, device_no)
               SELECT g.digest, d.no FROM given AS g JOIN users AS u USING (user_id)
               JOIN device AS d ON (d.user_no, d.device_id) = (u.no, g.device_id)""",
            [name for name, _, _ in given],
            [device for _, device, _ in given],
            [digest_of(token) for _, _, token in given],
        )
        made = [User(self.client, name, token, device) for name, device, token in given]
        return [made[n : n + devices] for n in range(0, len(made), devices)]

    def login(self, user: User, **body: Any) -> User:
        """Another device of a user."""
        reply = self.client.post(
            f"{_CLIENT}/login",
            json={
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": user.user_id},
                "password": PASSWORD,
                **body,
            },
        )
        assert reply.status_code == 200, reply.text
        return self._user(reply.json())

    def _user(self, given: Any) -> User:
        return User(self.client, given["user_id"], given["access_token"], given["device_id"])

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run SQL on its database."""
        return on_database(self.database_url, lambda c: c.fetch(statement, *arguments))


def migrated_database(server_url: str) -> str:
    """The name of a new database with tables and nothing in them; to be copied."""
    return command.prepared(server_url, ("migrate",))


@contextlib.contextmanager
def start_messaging(
    server_url: str, template: str, *, workers: int = 1, **env: str
) -> Iterator[Messaging]:
    """A service on a copy of the template database, with Valkey and NATS servers of its own."""
    url = new_database(server_url, template)
    settings = {
        "DATABASE_URL": url,
        "LOG_LEVEL": "warning",
        "SERVER_NAME": SERVER_NAME,
        "DB_POOL": "5",
        # Or whoever comes online ends the polls in which other things are waited for.
        "PRESENCE": "off",
        "PRESENCE_COALESCE_MS": "50",
    }
    with (
        nats_server() as nats,
        valkey_server() as valkey,
        private_folder("systems-media-") as media,
    ):
        settings |= {"NATS_URL": nats.url, "VALKEY_URL": valkey.url, "MEDIA_STORE": str(media)}
        with (
            granian_service(
                "messaging.app:app", {**settings, **env}, workers=workers, options=_OPTIONS
            ) as process,
            httpx.Client(base_url=process.url, timeout=30.0) as client,
        ):
            yield Messaging(process, client, url, nats, valkey, media)
