"""A social platform for tests: real servers, its own database, HTTP (extra: testing)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import httpx
import msgspec
from systems_common.ids import IdGenerator
from systems_common.testing import (
    Commands,
    EmbeddedServer,
    GranianService,
    free_port,
    granian_service,
    nats_server,
    new_database,
    on_database,
    private_folder,
    valkey_server,
)
from systems_common.testing.conformance import Conformance

from social import __version__
from social.api import ENDPOINTS
from social.counting import DRIFT
from social.polls import RECOUNT
from social.tokens import digest_of
from social.web.openapi import openapi

__all__ = [
    "Social",
    "Starter",
    "User",
    "command",
    "http_client",
    "migrated_database",
    "new_database",
    "on_database",
    "start_social",
]

_numbers = itertools.count()
_ids = IdGenerator(4_000)
_APP_ID = 7

command = Commands("social")

_described = Conformance(openapi(ENDPOINTS, title="Social", version=__version__))


def http_client(url: str, **headers: str) -> httpx.Client:
    """A client that fails where an answer is not what the service says of itself."""

    def check(reply: httpx.Response) -> None:
        kind = reply.headers.get("content-type", "")
        body = reply.read() if kind.startswith("application/json") else b""
        request = reply.request
        if request.method != "HEAD":
            breach = _described.breach(
                request.method, request.url.path, reply.status_code, kind, body
            )
            assert breach is None, breach

    return httpx.Client(
        base_url=url, headers=headers, timeout=20.0, event_hooks={"response": [check]}
    )


class User:
    """An account of a test, and a client with its token."""

    def __init__(self, url: str, identifier: int, name: str, token: str) -> None:
        self.id = str(identifier)
        self.number = identifier
        self.name = name
        self.token = token
        self.client = http_client(url, Authorization=f"Bearer {token}")

    def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The decoded answer; fails when its status is another one."""
        reply = self.client.request(method, path, **options)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    def get(self, path: str, **params: Any) -> Any:
        """GET of a path below /api/v1."""
        return self.call("GET", f"/api/v1{path}", params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST to a path below /api/v1."""
        return self.call("POST", f"/api/v1{path}", json=dict(body or {}))

    def write(self, text: str, **more: Any) -> Any:
        """A new status."""
        return self.post("/statuses", {"status": text, **more})

    def home(self, **params: Any) -> list[str]:
        """Ids of a page of the home."""
        return [one["id"] for one in self.get("/timelines/home", **params)]

    def whole_home(self) -> list[str]:
        """Ids of the whole home, page by page."""
        found = page = self.home(limit=40)
        while page:
            page = self.home(limit=40, max_id=page[-1])
            found = found + page
        return found


# By what the README says, and not by what the service asks the database.
_EXPECTED_HOME = """
WITH mine AS (SELECT target_id, show_reblogs FROM follow WHERE account_id = $1
              UNION ALL SELECT $1::bigint, true),
hidden AS (SELECT target_id FROM block WHERE account_id = $1
           UNION SELECT account_id FROM block WHERE target_id = $1
           UNION SELECT target_id FROM mute WHERE account_id = $1)
SELECT s.id FROM status AS s JOIN mine AS m ON m.target_id = s.account_id
LEFT JOIN status AS o ON o.id = s.reblog_of_id
WHERE s.visibility < 3
  AND s.account_id NOT IN (SELECT * FROM hidden)
  AND (o.id IS NULL OR m.show_reblogs AND o.account_id NOT IN (SELECT * FROM hidden)
       AND (o.visibility < 2 OR o.account_id = $1
            OR o.visibility = 2 AND o.account_id IN (SELECT target_id FROM mine)))
  AND (s.in_reply_to_account_id IS NULL OR s.account_id = $1
       OR s.in_reply_to_account_id = s.account_id
       OR s.in_reply_to_account_id IN (SELECT target_id FROM mine))
ORDER BY s.id DESC"""


class Social(msgspec.Struct, frozen=True):
    """A running service, a client without a token and the servers behind it."""

    process: GranianService
    client: httpx.Client
    database_url: str
    nats: EmbeddedServer
    valkey: EmbeddedServer
    settings: dict[str, str]

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run SQL on its database."""
        return on_database(self.database_url, lambda c: c.fetch(statement, *arguments))

    def user(self, name: str = "", *, scopes: str = "read write follow") -> User:
        """A new account with a token, made by SQL: registering costs a scrypt each time."""
        identifier = _ids.next()
        name = name or f"user_{next(_numbers)}"
        self.sql("INSERT INTO account (id, username) VALUES ($1, $2)", identifier, name)
        return User(self.process.url, identifier, name, self.token(identifier, scopes))

    def token(self, account: int | None, scopes: str) -> str:
        """A new token, made by SQL."""
        text = f"token-{_ids.next()}"
        self.sql(
            """WITH made AS (
                   INSERT INTO app (id, name, redirect_uris, scopes, client_id, secret_digest)
                   VALUES ($1, 'Test', '{}', 'read write follow', 'test', '')
                   ON CONFLICT DO NOTHING)
               INSERT INTO token (id, digest, app_id, account_id, scopes)
               VALUES ($2, $3, $1, $4, $5)""",
            _APP_ID,
            _ids.next(),
            digest_of(text),
            account,
            scopes,
        )
        return text

    def expected_home(self, viewer: User) -> list[str]:
        """Ids of what stands at home, as the tables have it, by the plainest statement."""
        return [str(row[0]) for row in self.sql(_EXPECTED_HOME, viewer.number)]

    def assert_no_drift(self) -> None:
        """Every stored counter equals a recount."""
        assert self.sql(DRIFT) == []
        assert self.sql(RECOUNT) == []


def migrated_database(server_url: str) -> str:
    """The name of a new database with tables and nothing in them; to be copied."""
    return command.prepared(server_url, ("migrate",))


class Starter(Protocol):
    """Starts a service of its own; `env` are its settings."""

    def __call__(
        self, *, workers: int = 1, **env: str
    ) -> contextlib.AbstractContextManager[Social]: ...


@contextlib.contextmanager
def start_social(
    server_url: str, template: str, *, workers: int = 1, **env: str
) -> Iterator[Social]:
    """A service on a copy of the template database, with Valkey and NATS servers of its own.

    `{port}` in a setting is the port that it listens on.
    """
    url = new_database(server_url, template)
    settings = {
        "DATABASE_URL": url,
        "LOG_LEVEL": "warning",
        "BASE_URL": "https://social.example",
        "DB_POOL": "5",
        "FANOUT_ACK_WAIT_S": "1",
    }
    port = free_port()
    with (
        nats_server() as nats,
        valkey_server() as valkey,
        private_folder("systems-media-") as media,
    ):
        settings |= {
            "NATS_URL": nats.url,
            "VALKEY_URL": valkey.url,
            "MEDIA_STORE": str(media),
            "STREAMING_URL": f"ws://127.0.0.1:{port}",
        }
        settings |= {name: value.replace("{port}", str(port)) for name, value in env.items()}
        with (
            granian_service(
                "social.app:app", settings, workers=workers, port=port, options=("--ws",)
            ) as process,
            http_client(process.url) as client,
        ):
            yield Social(process, client, url, nats, valkey, settings)
