"""The service file and the flows, against a seeded service; and the commands that prepare it."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from social.seed import account_name
from social.settings import Settings, read_settings
from social.testing import Social, command, migrated_database, start_social
from systems_common.settings import SettingsError
from systems_common.testing import EmbeddedServer, granian_service, wait_until

FOLDER = Path(__file__).parent.parent
FILE: dict[str, Any] = tomllib.loads((FOLDER / "loadpath.toml").read_text())
TOKEN = FILE["service"]["env"]["SEED_TOKEN"]
ACCOUNTS = 40

flow = pytest.importorskip("loadpath.flow", reason="the flows are written for loadpath")


@pytest.fixture(scope="module")
def seeded(postgres: EmbeddedServer) -> Iterator[Social]:
    name = migrated_database(postgres.url)
    url = postgres.url.rpartition("/")[0] + "/" + name
    arguments = ("--accounts", str(ACCOUNTS), "--follows", "5", "--statuses", "200")
    done = command(url, "seed", *arguments, SEED_TOKEN=TOKEN, FANOUT_THRESHOLD="20")
    assert done.returncode == 0, done.stderr
    assert command(url, "seed").stderr.endswith("seed an empty one\n")
    with start_social(postgres.url, name) as running:
        yield running


@pytest.fixture(scope="module")
def workload() -> ModuleType:
    spec = importlib.util.spec_from_file_location("social_workload", FOLDER / "workload.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class State:
    """As much of a run's state as the flows use."""

    def __init__(self, identity: Any) -> None:
        self.identity = identity
        self.acknowledged: list[Any] = []
        self._count = 0

    def key(self, name: str) -> str:
        assert name in FILE["workload"]["keys"]
        return account_name(1)

    def unique(self, prefix: str = "") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def attempt(self, kind: str, key: str = "") -> str:
        return self.unique(f"{kind}-")

    def acknowledge(self, kind: str, **fields: Any) -> None:
        self.acknowledged.append(SimpleNamespace(kind=kind, **fields))


def follow(client: httpx.Client, headers: dict[str, str], steps: Any) -> Any:
    """Send what a flow yields; returns what the flow returns."""
    try:
        request = next(steps)
        while True:
            reply = client.request(
                request.method,
                request.path,
                headers={**headers, **dict(request.headers)},
                content=request.body,
            )
            assert reply.status_code < 400 or reply.status_code == 404, reply.text
            request = steps.send(flow.Reply(reply.status_code, reply.content))
    except StopIteration as end:
        return end.value


def test_flows_do_what_they_say_and_their_checks_hold(seeded: Social, workload: ModuleType) -> None:
    client = seeded.client
    identity: Any = flow.Identity(0)
    headers = follow(client, {}, workload.sign_in(identity))
    assert len(identity.followers) == 3
    state = State(identity)
    for name in ("home", "user", "write", "answer", "favourite", "write_and_delete"):
        follow(client, headers, getattr(workload, name)(state))
    written, deleted = state.acknowledged
    assert (written.kind, deleted.kind) == ("post", "deleted post")
    wait_until(
        lambda: follow(client, headers, workload.stands_at_home_once(written)),
        timeout_s=5.0,
        what="the post in every follower's home",
    )
    assert not follow(client, headers, workload.stands_at_home_once(deleted))
    assert follow(client, headers, workload.stands_nowhere(deleted))
    assert not follow(client, headers, workload.stands_nowhere(written))
    attempt = SimpleNamespace(token="post-1")
    assert follow(client, headers, workload.posts_made(attempt)) == 1
    seeded.assert_no_drift()


def test_a_seed_has_one_celebrity_and_counters_that_a_recount_confirms(seeded: Social) -> None:
    pulled = seeded.sql("SELECT username FROM account WHERE pulled ORDER BY id")
    assert pulled[0][0] == account_name(0)
    followers = seeded.sql(
        "SELECT count(*) FROM follow WHERE target_id = (SELECT min(id) FROM account) AND pulled"
    )
    assert followers[0][0] == ACCOUNTS - 1
    assert command(seeded.database_url, "recount").stdout == "counted\n"
    seeded.assert_no_drift()


def test_every_knob_is_a_setting_with_these_values() -> None:
    hints = get_type_hints(Settings)
    for knob in FILE["knobs"].values():
        name = knob["env"].lower()
        assert name in hints
        choices = get_args(hints[name])
        if choices:
            assert set(knob["values"]) == set(choices)
        # What the file says is the default is the service's own.
        made = read_settings(
            {
                "DATABASE_URL": "postgresql://x",
                "VALKEY_URL": "redis://x",
                "NATS_URL": "nats://x",
            }
        )
        assert str(getattr(made, name)) == knob["default"]


def test_what_is_missing_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"DATABASE_URL": "postgresql://x", "RATE_LIMIT": "5"})
    assert [line.partition(" ")[0] for line in error.value.problems] == [
        "VALKEY_URL",
        "NATS_URL",
        "VALKEY_URL",
    ]


def test_calls_beyond_the_limit_are_refused_and_all_are_counted(seeded: Social) -> None:
    with granian_service("social.app:app", {**seeded.settings, "RATE_LIMIT": "3"}) as limited:
        replies = [httpx.get(f"{limited.url}/api/v1/timelines/public") for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    remaining = [reply.headers["x-ratelimit-remaining"] for reply in replies]
    assert remaining == ["2", "1", "0", "0"]
    assert replies[3].json() == {"error": "Too many requests"}
    assert replies[0].headers["x-ratelimit-limit"] == "3"
