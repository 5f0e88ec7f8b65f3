"""A shortener for tests: real servers, its own database, spoken to over HTTP (extra: testing)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

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
    valkey_server,
    wait_until,
)

__all__ = [
    "API_KEY",
    "LINKS",
    "VISITS",
    "Shortener",
    "Starter",
    "command",
    "new_database",
    "on_database",
    "seeded_database",
    "start_shortener",
]

API_KEY = "key-of-the-tests"
LINKS, VISITS = 300, 900

command = Commands("shortener")


class Shortener(msgspec.Struct, frozen=True):
    """A running service, its client (with the API key) and the servers behind it."""

    process: GranianService
    client: httpx.Client
    database_url: str
    nats: EmbeddedServer
    valkey: EmbeddedServer

    def create(self, **body: Any) -> httpx.Response:
        """POST /short-urls with a made-up long URL unless one is given."""
        body.setdefault("longUrl", "https://example.com/made-up")
        return self.client.post("/rest/v3/short-urls", json=body)

    def code(self, **body: Any) -> str:
        """The code of a new link."""
        reply = self.create(**body)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["shortCode"])

    def link(self, code: str) -> Any:
        """GET /short-urls/{code}."""
        return self.client.get(f"/rest/v3/short-urls/{code}").json()

    def total(self, code: str) -> int:
        """How many visits of the link are counted."""
        return int(self.link(code)["visitsSummary"]["total"])

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run SQL on its database."""
        return on_database(self.database_url, lambda c: c.fetch(statement, *arguments))

    def wait_for_total(self, code: str, expected: int, *, timeout_s: float = 1.0) -> None:
        """Wait until that many visits are counted, at most `timeout_s`."""
        wait_until(
            lambda: self.total(code) >= expected,
            timeout_s=timeout_s,
            what=f"{expected} visits of {code}, have {self.total(code)}",
        )
        assert self.total(code) == expected

    def assert_no_drift(self) -> None:
        """Every counter equals a recount of the visits, and the tally one of the counters."""
        drifted = self.sql(
            """WITH counted AS (
                   SELECT link_id, sum(total) AS total, sum(bots) AS bots FROM (
                       SELECT link_id, total, bots FROM link_counter
                       UNION ALL SELECT link_id, total, bots FROM link_counter_slot
                   ) AS of_both GROUP BY link_id
               )
               SELECT c.link_id, c.total, c.bots, count(v.id) AS visits
               FROM counted AS c LEFT JOIN visit AS v USING (link_id)
               GROUP BY c.link_id, c.total, c.bots HAVING c.total <> count(v.id)
                   OR c.bots <> count(v.id) FILTER (WHERE v.bot)"""
        )
        assert drifted == []
        # The ids of deleted tags stay in scopes and count for nothing.
        tallies = """SELECT scope, sum(links), sum(total), sum(bots) FROM {}
            WHERE scope <= 10 OR scope IN (SELECT id FROM tag UNION ALL SELECT id FROM domain)
            GROUP BY scope HAVING (sum(links), sum(total), sum(bots)) <> (0, 0, 0) ORDER BY scope"""
        kept, recounted = tallies.format("tally"), tallies.format("recounted_tally()")
        assert self.sql(kept) == self.sql(recounted)


def seeded_database(server_url: str) -> str:
    """The name of a new database that was migrated and seeded; to be copied."""
    seeding = ("seed", "--links", str(LINKS), "--visits", str(VISITS))
    return command.prepared(server_url, ("migrate",), seeding, SEED_API_KEY=API_KEY)


class Starter(Protocol):
    """Starts a service of its own; `env` are its settings."""

    def __call__(
        self, *, workers: int = 1, **env: str
    ) -> contextlib.AbstractContextManager[Shortener]: ...


@contextlib.contextmanager
def start_shortener(
    server_url: str, template: str, *, workers: int = 1, **env: str
) -> Iterator[Shortener]:
    """A service on a copy of the template database, with Valkey and NATS servers of its own."""
    url = new_database(server_url, template)
    settings = {
        "DATABASE_URL": url,
        "LOG_LEVEL": "warning",
        "BASE_URL": "https://sho.rt",
        "DB_POOL": "5",
        "VISITS_ACK_WAIT_S": "1",
    }
    with nats_server() as nats, valkey_server() as valkey:
        settings |= {"NATS_URL": nats.url, "VALKEY_URL": valkey.url}
        with (
            granian_service("shortener.app:app", {**settings, **env}, workers=workers) as process,
            httpx.Client(
                base_url=process.url, headers={"X-Api-Key": API_KEY}, timeout=10.0
            ) as client,
        ):
            yield Shortener(process, client, url, nats, valkey)
