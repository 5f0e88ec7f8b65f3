"""The service file and the flows, against the running service."""

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
from shortener.seed import code_of
from shortener.settings import Settings
from shortener.testing import API_KEY, LINKS, Shortener

FOLDER = Path(__file__).parent.parent
FILE: dict[str, Any] = tomllib.loads((FOLDER / "loadpath.toml").read_text())

# The others are flows, which the file only gives objectives.
DECLARED = [operation for operation in FILE["operations"].values() if "request" in operation]

flow = pytest.importorskip("loadpath.flow", reason="the flows are written for loadpath")


@pytest.fixture(scope="module")
def workload() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shortener_workload", FOLDER / "workload.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class State:
    """As much of a run's state as the flows use."""

    def __init__(self) -> None:
        self.rng = random.Random(1)
        self.acknowledged: list[Any] = []
        self._count = 0

    def key(self, name: str) -> str:
        assert name in FILE["workload"]["keys"]
        return code_of(self.rng.randrange(LINKS))

    def unique(self, prefix: str = "") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def fresh_url(self) -> str:
        return f"https://example.com/{self.unique('fresh-')}"

    def attempt(self, kind: str, key: str = "") -> str:
        assert kind == "link"
        return self.unique(f"{kind}-")

    def acknowledge(self, kind: str, **fields: Any) -> None:
        assert kind in ("link", "deleted link")
        self.acknowledged.append(SimpleNamespace(**fields))


def follow(client: httpx.Client, steps: Any) -> Any:
    """Send what a flow yields; returns what the flow returns."""
    try:
        request = next(steps)
        while True:
            headers = [(name, value) for name, value in request.headers if name != "X-Api-Key"]
            reply = client.request(
                request.method, request.path, headers=headers, content=request.body
            )
            head = b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(
                name + b": " + value for name, value in reply.headers.raw
            )
            request = steps.send(flow.Reply(reply.status_code, reply.content, head))
    except StopIteration as end:
        return end.value


def test_a_link_that_was_made_still_holds(shortener: Shortener, workload: ModuleType) -> None:
    state = State()
    for _ in range(2):
        follow(shortener.client, workload.shorten(state))
    assert len({link.code for link in state.acknowledged}) == 2
    link = state.acknowledged[0]
    assert follow(shortener.client, workload.redirects(link)) is True
    moved = SimpleNamespace(code=link.code, url="https://example.com/elsewhere")
    assert follow(shortener.client, workload.redirects(moved)) is False
    gone = SimpleNamespace(code="never-made", url=link.url)
    assert follow(shortener.client, workload.redirects(gone)) is False


def test_a_link_that_was_deleted_leads_nowhere(shortener: Shortener, workload: ModuleType) -> None:
    state = State()
    follow(shortener.client, workload.shorten_and_delete(state))
    [gone] = state.acknowledged
    assert follow(shortener.client, workload.is_gone(gone)) is True
    assert follow(shortener.client, workload.is_gone(SimpleNamespace(code=code_of(1)))) is False


def test_an_edit_changes_the_title_and_nothing_else(
    shortener: Shortener, workload: ModuleType
) -> None:
    request = next(workload.retitle(State()))
    code = request.path.rpartition("/")[2]
    before = shortener.link(code)
    follow(shortener.client, workload.retitle(State()))
    assert shortener.link(code) == {**before, "title": "Title 1"}


def test_every_declared_operation_succeeds(shortener: Shortener) -> None:
    keys = FILE["workload"]["keys"]["link"]
    assert [keys["pattern"].format(n=n) for n in range(LINKS)] == [code_of(n) for n in range(LINKS)]
    for operation in DECLARED:
        method, path = operation["request"].split(" ", 1)
        reply = shortener.client.request(method, path.format(code=code_of(LINKS - 1)))
        assert reply.status_code in (200, 302), (operation, reply.text)


def test_the_key_is_the_same_everywhere(workload: ModuleType) -> None:
    key = FILE["service"]["env"]["SEED_API_KEY"]
    assert key == workload.API_KEY
    given = {
        name: operation["headers"]["X-Api-Key"]
        for name, operation in FILE["operations"].items()
        if operation.get("request", "").startswith("GET /rest/")
    }
    assert set(given.values()) == {key}
    assert key != API_KEY


def test_there_are_100_reads_to_a_write(workload: ModuleType) -> None:
    reads = sum(operation["weight"] for operation in DECLARED)
    writes = sum(
        mark.weight for mark, _ in flow.marks(vars(workload)) if isinstance(mark, flow.FlowMark)
    )
    assert reads / writes == 100


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
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)} | {"SEED_API_KEY"}
    given = set(FILE["service"]["env"])
    for dependency in FILE["dependencies"].values():
        given |= set(dependency["env"])
    assert given <= known


def test_the_service_starts_as_it_says() -> None:
    words = shlex.split(FILE["service"]["start"].format(port=1, workers=1))
    assert words[:4] == ["granian", "--interface", "asgi", "shortener.app:app"]
    assert ("--port", "1") in itertools.pairwise(words)
    assert ("--workers", "1") in itertools.pairwise(words)
