"""What a real service asks of a real PostgreSQL and Valkey again: hits and staleness as planted."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadpath.events import discard
from loadpath.experiment.caching.statements import StatementCache
from loadpath.experiment.depth import BRIEF
from loadpath.experiment.session import open_session
from loadpath.questions.cache_gain import Gains
from loadpath.questions.cache_statements import concluded, judged, read_replies, statement_lines
from loadpath.recording import Recording, RunInfo
from loadpath.recording.runs import create_run
from loadpath.spec import load

_FILE = Path(__file__).parents[2] / "cached" / "rows.py"
_SPEC = importlib.util.spec_from_file_location("rows", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
rows: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rows)

RATE_PER_S = 300.0
WEIGHTS = {"steady": 4, "turning": 2, "moment": 1, "taken": 1, "beside": 2}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Embedded servers run as another user, who may not enter pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="lp-rows-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def recorded(home: Path) -> list[Recording]:
    shutil.copy(_FILE, home)
    operations = "".join(
        f'[operations."GET /{name}"]\nrequest = "GET /{name}?n={{n}}"\nkeys = "n"\n'
        f"weight = {weight}\n"
        for name, weight in WEIGHTS.items()
    )
    (home / "loadpath.toml").write_text(
        f"""
[service]
start = "{sys.executable} rows.py {{port}}"
ready = "GET /ready"

[dependencies.database]
kind = "postgres"
env = {{ DATABASE_URL = "postgresql://{{user}}:{{password}}@{{host}}:{{port}}/{{name}}" }}
prepare = "{sys.executable} rows.py migrate"

[dependencies.beside]
kind = "valkey"
env = {{ VALKEY_URL = "redis://:{{password}}@{{host}}:{{port}}/0" }}

[workload]
arrivals = {{ open = "{RATE_PER_S:g}/s" }}

[workload.keys.n]
count = {rows.ITEMS}

{operations}
[objective]
p99 = "1s"
staleness = "8%"
""",
        encoding="utf-8",
    )
    setup = load(home, environ={})
    run = create_run(home, RunInfo(service="rows", command=("test",), started_s=time.time()))

    async def record() -> None:
        async with open_session(run, discard) as session:
            await read_replies(session, setup, BRIEF, own_per_s=RATE_PER_S, knee_per_s=None)

    asyncio.run(record())
    return [Recording.open(path) for path in run.recordings()]


@pytest.fixture(scope="module")
def found(recorded: list[Recording]) -> dict[str, StatementCache]:
    return {each.shape: each for each in judged(recorded)}


def of(found: dict[str, StatementCache], text: str) -> StatementCache:
    (one,) = (each for shape, each in found.items() if text in shape)
    return one


def test_a_row_that_stays_is_kept_with_the_hits_that_its_keys_let_expect(
    found: dict[str, StatementCache],
) -> None:
    steady = found[rows.STEADY]
    assert (steady.verdict, steady.why) == ("yes", "")
    assert steady.digested
    # As keys are asked for: of those of one key that come within a TTL all but the first are hits.
    per_key_s = steady.per_s / rows.ITEMS
    for point in steady.points:
        expected = per_key_s * point.ttl_s / (1 + per_key_s * point.ttl_s)
        off = 4 * math.sqrt(expected * (1 - expected) / max(point.requests, 1))
        assert point.hit_ratio == pytest.approx(expected, abs=off + 0.03)
        assert point.staleness.stale == 0
        assert point.staleness.judged == point.hits


def test_a_row_that_turns_is_stale_as_it_was_planted(found: dict[str, StatementCache]) -> None:
    turning = of(found, "floor")
    for point in turning.points:
        # A hit is of any age below the TTL, and stale if a turn was in between.
        ttl, turns = point.ttl_s, rows.TURNS_S
        expected = ttl / 2 / turns if ttl <= turns else 1 - turns / 2 / ttl
        assert point.staleness.share.value == pytest.approx(expected, abs=0.15)
    assert turning.verdict != "yes"  # a tenth is stale at 0.1 s already


def test_a_row_that_is_another_at_each_read_is_not_kept(found: dict[str, StatementCache]) -> None:
    moment = of(found, "AS moment")
    assert moment.verdict == "no"
    assert moment.why == "100 % of its answers differ from the one before"
    assert all(p.staleness.share.value == 1 for p in moment.points if p.hits)


def test_what_a_transaction_reads_that_writes_is_not_asked_about(
    found: dict[str, StatementCache],
) -> None:
    assert not [shape for shape in found if "name <>" in shape or "UPDATE" in shape]


def test_commands_of_valkey_are_judged_too(found: dict[str, StatementCache]) -> None:
    (command,) = (each for each in found.values() if each.dependency == "beside")
    assert command.shape.startswith("GET item")
    assert (command.verdict, command.parameters) == ("yes", rows.ITEMS)


def test_without_a_model_it_is_told_and_not_decided(recorded: list[Recording]) -> None:
    gains = Gains(no_model="no model was fitted")
    told = concluded(judged(recorded), gains)
    assert not [each for each in told if each.verdict == "yes"]
    lines = statement_lines(told, gains)
    assert lines[0].subject == "inside it"
    assert "cannot tell: no model was fitted (" in lines[0].verdict
    assert "none stale" in lines[0].verdict


def test_no_value_is_in_what_was_written(recorded: list[Recording]) -> None:
    stored = [file for file in recorded[0].directory.rglob("*") if file.is_file()]
    assert len(stored) > 5
    assert not [file for file in stored if b"secret-" in file.read_bytes()]
