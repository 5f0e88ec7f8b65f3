"""The commands, as a deployment calls them, and the service file's knobs and flows."""

from __future__ import annotations

import importlib.util
import itertools
import random
import shlex
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import httpx
import msgspec
import pytest
from messaging.settings import Settings
from messaging.testing import Messaging, command, on_database, start_messaging
from systems_common.testing import EmbeddedServer

FOLDER = Path(__file__).parent.parent
FILE: dict[str, Any] = tomllib.loads((FOLDER / "loadpath.toml").read_text())
USERS = 100

flow = pytest.importorskip("loadpath.flow", reason="the flows are written for loadpath")


def test_commands(empty_database: str) -> None:
    assert "0001_core" in command(empty_database, "migrate").stdout
    assert command(empty_database, "migrate").stdout == "nothing to apply\n"
    unset = command(empty_database, "seed")
    assert (unset.returncode, "SEED_PASSWORD" in unset.stderr) == (1, True)
    seeded = command(empty_database, "seed", "--users", "25", SEED_PASSWORD="x")
    assert seeded.stdout == "seeded 25 users in 16 rooms\n"
    again = command(empty_database, "seed", SEED_PASSWORD="x")
    assert (again.returncode, "users already" in again.stderr) == (1, True)
    before = on_database(empty_database, lambda c: c.fetchval("SELECT name FROM epoch"))
    assert command(empty_database, "restored").returncode == 0
    assert on_database(empty_database, lambda c: c.fetchval("SELECT name FROM epoch")) != before
    newest = on_database(empty_database, lambda c: c.fetchval("SELECT max(xid)::text FROM event"))
    assert newest == "3"
    assert command("", "migrate").returncode == 78
    assert command("postgresql://x:y@127.0.0.1:1/z", "migrate").returncode == 1


@pytest.fixture(scope="module")
def workload() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messaging_workload", FOLDER / "workload.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seeded(postgres: EmbeddedServer, starter: Any) -> Any:
    """A service whose database was seeded as the file says, with fewer users."""
    template = starter.args[1]
    env = FILE["service"]["env"]
    with start_messaging(postgres.url, template, SERVER_NAME=env["SERVER_NAME"]) as running:
        done = command(
            running.database_url,
            *("seed", "--users", str(USERS)),
            SEED_PASSWORD=env["SEED_PASSWORD"],
            SERVER_NAME=env["SERVER_NAME"],
        )
        assert done.returncode == 0, done.stderr
        yield running


class State:
    """As much of a run's state as the flows use."""

    def __init__(self, identity: Any) -> None:
        self.rng = random.Random(1)
        self.identity = identity
        self.acknowledged: list[Any] = []
        self.attempts: list[Any] = []

    def attempt(self, kind: str, key: str = "") -> str:
        assert kind == "message"
        token = f"message-{len(self.attempts)}"
        self.attempts.append(SimpleNamespace(token=token, key=key))
        return token

    def acknowledge(self, kind: str, **fields: Any) -> None:
        assert kind == "message"
        self.acknowledged.append(SimpleNamespace(**fields))


def follow(client: httpx.Client, steps: Any, headers: dict[str, str] | None = None) -> Any:
    """Send what a flow yields; returns what the flow returns."""
    try:
        request = next(steps)
        while True:
            reply = client.request(
                request.method,
                request.path,
                headers=[*request.headers, *(headers or {}).items()],
                content=request.body,
            )
            request = steps.send(flow.Reply(reply.status_code, reply.content, b""))
    except StopIteration as end:
        return end.value


def test_the_flows(seeded: Messaging, workload: ModuleType) -> None:
    client = seeded.client
    signed_in = []
    for number in (0, 1, USERS - 1):
        identity = SimpleNamespace(number=number)
        signed_in.append((State(identity), follow(client, workload.sign_in(identity))))
    (state, headers), (_, neighbor), (_, far) = signed_in
    for _ in range(6):
        follow(client, workload.send(state), headers)
    assert len(state.acknowledged) == 6
    assert len({message.room for message in state.acknowledged}) > 1
    for message in state.acknowledged:
        assert follow(client, workload.is_there(message), neighbor) is True
        changed = SimpleNamespace(**{**vars(message), "body": "other"})
        assert follow(client, workload.is_there(changed), headers) is False
    small = next(m for m in state.acknowledged if m.room.startswith("!seed-2-"))
    assert follow(client, workload.is_there(small), far) is False
    for attempt in state.attempts:
        assert follow(client, workload.times_sent(attempt), headers) == 1
    missing = SimpleNamespace(token="never", key=state.acknowledged[0].room)
    assert follow(client, workload.times_sent(missing), headers) == 0
    reader = signed_in[1][0]
    since = reader.identity.since
    follow(client, workload.sync(reader), neighbor)
    assert reader.identity.since != since
    follow(client, workload.messages(reader), neighbor)


def test_half_are_writes(workload: ModuleType) -> None:
    weights = {
        m.name: m.weight for m, _ in flow.marks(vars(workload)) if isinstance(m, flow.FlowMark)
    }
    assert sum(weights.values()) == 100
    assert weights["PUT /rooms/{room}/send"] == 50
    assert set(FILE["operations"]) < set(weights)


def test_every_knob_is_a_setting_with_that_default_and_those_values() -> None:
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    hints = get_type_hints(Settings)
    for knob in FILE["knobs"].values():
        name = knob["env"].lower()
        assert str(fields[name].default) == knob["default"]
        assert knob["default"] in knob["values"]
        if isinstance(fields[name].default, str):
            assert set(knob["values"]) == {str(value) for value in get_args(hints[name])}


def test_every_variable_is_one_the_service_reads() -> None:
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)} | {"SEED_PASSWORD"}
    given = set(FILE["service"]["env"])
    for dependency in FILE["dependencies"].values():
        given |= set(dependency["env"])
    assert given <= known
    readme = (FOLDER / "README.md").read_text()
    assert [name for name in known - {"SEED_PASSWORD"} if f"`{name}`" not in readme] == []


def test_the_service_starts_as_it_says(workload: ModuleType) -> None:
    words = shlex.split(FILE["service"]["start"].format(port=1, workers=1))
    assert words[:4] == ["granian", "--interface", "asgi", "messaging.app:app"]
    assert ("--port", "1") in itertools.pairwise(words)
    assert FILE["service"]["env"]["SEED_PASSWORD"] == workload.PASSWORD
