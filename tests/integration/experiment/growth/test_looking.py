"""Planted faults are found by what statements do on grown data; no clean twin is accused."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import asyncpg
import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from loadpath.events import discard
from loadpath.experiment.growth.database import Wanted, connected
from loadpath.experiment.growth.looking import look, started
from loadpath.experiment.growth.measuring import Where, chosen, measurable, measure
from loadpath.experiment.growth.trying import Trial, attempt
from loadpath.experiment.session import Session, open_session
from loadpath.questions.growth_figures import DatabaseGrowth, Growth, growth_of
from loadpath.questions.growth_lines import columns_of, lines_of
from loadpath.recording import RunInfo
from loadpath.recording.runs import create_run
from loadpath.report.growth_picture import render_growth
from loadpath.report.schemas import schema_of
from loadpath.spec import Setup, load
from loadpath.statements.candidates import Candidate
from loadpath.statements.record import GrowthRecord, Size, StatementRecord
from loadpath.statements.verdict import IndexVerdict, verdicts
from loadpath.tap import Taps, Window
from loadpath.tap.statements import KeptStatement

GROWING = Path(__file__).resolve().parents[3] / "growing"
sys.path.insert(0, str(GROWING))

from planted import CLEAN, FAULTY  # noqa: E402

TIMES = 40
"""Each statement is run so often."""

TRADE = """
CREATE TABLE events (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                     kind integer NOT NULL, at integer NOT NULL, said text NOT NULL);
INSERT INTO events (kind, at, said)
-- One kind in four, and all of it old: whoever looks for it from the newest on reads far.
SELECT CASE WHEN i < 20000 THEN i % 2 ELSE 2 + i % 2 END, i, repeat('e', 60)
FROM generate_series(1, 80000) i;
CREATE INDEX events_by_kind ON events (kind);
ANALYZE events
"""
NEWEST = "SELECT id, said FROM events ORDER BY at DESC LIMIT 10"
NEWEST_OF_KIND = "SELECT id, said FROM events WHERE kind = $1 ORDER BY at DESC LIMIT 10"


class Found:
    """What one session found: the growth of the shop, and an index that helps and harms."""

    record: GrowthRecord
    growth: DatabaseGrowth
    trade: IndexVerdict
    rejected: IndexVerdict
    kept: list[KeptStatement]
    files: list[bytes]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """The shop, in a folder that PostgreSQL's user may enter."""
    home = tmp_path_factory.mktemp("growing")
    home.chmod(0o755)
    shutil.copytree(GROWING, home / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    loaded = load(home / "shop", environ={})
    (database,) = loaded.service.dependencies
    assert database.seed is not None
    database = replace(database, seed=(sys.executable, *database.seed[1:]))
    return replace(loaded, service=replace(loaded.service, dependencies=(database,)))


@pytest.fixture(scope="module")
def found(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Every statement run through a tap, then at 4 × and 16 × users and history, with indexes."""
    home = tmp_path_factory.mktemp("runs")
    run = create_run(home, RunInfo(service="growing", command=(), started_s=time.time()))

    async def all_of_it() -> Found:
        got = Found()
        async with open_session(run, discard) as session:
            got.kept = await _statements(session, setup)
            got.files = [f.read_bytes() for f in session.scratch.glob("tapped/*")]
            rates = {(each.tap, each.shape): 10.0 for each in got.kept}
            sizes = tuple(Size(a, n) for a in ("users", "history") for n in (4, 16))  # type: ignore[arg-type]
            looked = await look(session, setup, got.kept, rates, Wanted(sizes=sizes, indexes=12))
            got.record = looked.record
            got.growth = growth_of(looked.record, ()).databases[0]
            got.trade, got.rejected = await _trade(session, setup)
        return got

    return asyncio.run(all_of_it())


async def _statements(session: Session, setup: Setup) -> list[KeptStatement]:
    """What a driver sends of each statement, as the taps keep it."""

    async def ask(connection: asyncpg.Connection) -> None:
        for one in (*FAULTY.values(), *CLEAN.values()):
            for n in range(TIMES):
                await connection.fetch(one.sql, *one.values(n))

    async with started(session, setup, await session.snapshot(setup)) as servers:
        return await _tapped(session, servers.running["database"], ask)


async def _tapped(session: Session, running: Any, ask: Any) -> list[KeptStatement]:
    folder = session.scratch / "tapped"
    folder.mkdir(exist_ok=True)
    window = Window(0, folder / "exchanges", folder / "connections", folder / "shapes")
    kinds = {"database": "postgres"}
    async with Taps(kinds, spawn=session.guard.spawn, keep_parameters=True) as taps:
        at = await taps.wrap("database", running.address)
        moved = replace(running, host=at.host, port=at.port)
        await taps.begin(window)
        async with connected(moved) as connection:
            await ask(connection)
        await taps.end()
        return await taps.statements()


async def _trade(session: Session, setup: Setup) -> list[IndexVerdict]:
    """An index on what one statement orders by, which lures the planner away for another: what is
    said of it where the one is asked for ten times as often as the other, and the other way."""

    async def ask(connection: asyncpg.Connection) -> None:
        for n in range(20):
            await connection.fetch(NEWEST)
            await connection.fetch(NEWEST_OF_KIND, n % 2)

    async with started(session, setup, await session.snapshot(setup)) as servers:
        running = servers.running["database"]
        async with connected(running) as connection:
            await connection.execute(TRADE)
        kept = measurable(await _tapped(session, running, ask), "database")
        where = Where(
            host=running.host, port=running.port, user=running.user, password=running.password
        )
        size = Size("users", 1)
        records = [
            StatementRecord(
                shape=each.shape,
                named=each.named,
                calls_per_s=10.0 if "kind" in each.shape else 100.0,
                in_transaction=0.0,
                counts=tuple(one.count for one in chosen(each)),
                at=(at,),
            )
            for each, at in zip(kept, await measure(where, "app", kept, size), strict=True)
        ]
        number = next(n for n, each in enumerate(kept) if "kind" not in each.shape)
        trial = Trial(Candidate(table="events", columns=("at DESC",)), number, size)
        tried = await attempt(trial, where, "app", kept, records)
    other_way = [replace(each, calls_per_s=1000.0 / each.calls_per_s) for each in records]
    return [verdicts([tried], rates)[0] for rates in (records, other_way)]


@pytest.mark.parametrize("name", FAULTY)
def test_each_planted_fault_is_named(found: Found, name: str) -> None:
    statement = next(
        s for s in found.growth.statements if _known(s.shape) == _known(FAULTY[name].sql)
    )
    assert FAULTY[name].fault in {each.kind for each in statement.findings}


def test_no_clean_twin_is_accused(found: Found) -> None:
    faulty = {_known(each.sql) for each in FAULTY.values()}
    accused = {_known(s.shape) for s in found.growth.statements if s.findings}
    assert accused == faulty


def _known(sql: str) -> str:
    """A statement without its values and parameters."""
    words = "".join(c for c in sql.upper() if c.isalpha() or c in "_*,= ")
    return " ".join(words.split())


def test_the_planted_indexes_are_the_ones_recommended(found: Found) -> None:
    recommended = {columns_of(each) for each in found.growth.indexes if each.recommended}
    assert recommended == {"remarks (note_id)", "posts (user_id, created_at DESC)"}


def test_an_index_says_what_it_takes_and_what_a_write_pays_for_it(found: Found) -> None:
    index = next(each for each in found.growth.indexes if each.record.table == "remarks")
    assert index.record.bytes > 200_000
    assert index.record.build_s > 0
    assert index.write_pages > 0
    assert index.write_wal_bytes > 0
    assert "CONCURRENTLY" in index.record.ddl


def test_an_index_that_helps_one_and_harms_another_is_a_trade_with_both_figures(
    found: Found,
) -> None:
    trade, rejected = found.trade, found.rejected
    for verdict in (trade, rejected):
        (helped,) = verdict.helped
        (harmed,) = verdict.harmed
        assert "kind" not in helped.shape
        assert helped.after < helped.before / 10
        assert "kind" in harmed.shape
        assert harmed.after > 2 * harmed.before
        assert not verdict.recommended
    # By pages a second alone: all of the table a hundred times a second, or what was four times
    # less than that as often.
    assert trade.work_after < trade.work_before / 2
    assert trade.verdict == "trade"
    assert rejected.work_after > rejected.work_before
    assert rejected.verdict == "rejected"


def test_work_is_counted_in_pages_that_a_scan_reads_in_proportion(found: Found) -> None:
    statements = found.growth.statements
    scan = next(
        s for s in statements if "remarks" in s.shape and "note_id" in s.shape and s.findings
    )
    assert scan.course is not None
    assert scan.course.pages is not None
    assert scan.course.pages.value == pytest.approx(1.0, abs=0.05)


def test_no_parameter_reaches_a_disk(found: Found) -> None:
    values = [each.values for one in found.kept for each in one.sets if len(each.values) > 16]
    assert values
    assert found.files
    assert not [v for v in values if any(v in content for content in found.files)]


def test_both_axes_are_measured_and_families_are_told(found: Found) -> None:
    (database,) = found.record.databases
    assert {(s.axis, s.times) for s in database.sizes} == {
        ("users", 4),
        ("users", 16),
        ("history", 4),
        ("history", 16),
    }
    assert any(told.startswith("users: with users") for told in database.told)


def test_figures_are_what_their_schema_says(found: Found) -> None:
    figures = msgspec.json.decode(msgspec.json.encode(Growth(databases=(found.growth,))))
    jsonschema.Draft202012Validator(schema_of("growth")).validate(figures)


def test_each_statement_has_a_picture_that_is_a_picture(found: Found) -> None:
    drawn = [render_growth(each) for each in found.growth.statements]
    assert all(drawn)
    for picture in drawn:
        assert picture is not None
        assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_lines_say_it_in_words(found: Found) -> None:
    said = [
        f"{line.subject} {line.verdict} {line.cause}"
        for line in lines_of(Growth(databases=(found.growth,)))
    ]
    assert any("index posts (user_id, created_at DESC)" in each for each in said)
    assert any(
        "CREATE INDEX CONCURRENTLY remarks_note_id_idx ON remarks (note_id);" in each
        for each in said
    )
    assert any("PostgreSQL 18" in each for each in said)
