"""What the taps count is what the servers themselves counted, exactly."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import redis.asyncio

from loadpath.deploy import Deployment, Guard, prepare_data
from loadpath.deploy.dependency import RunningDependency
from loadpath.drive import Engine, EnginePlan
from loadpath.events import discard
from loadpath.experiment.attribution import Crossing
from loadpath.experiment.attribution.reading import crossings
from loadpath.recording.schema import TABLES
from loadpath.recording.tables import read_table
from loadpath.spec import Setup, load
from loadpath.tap import Taps, Window
from loadpath.wire.statements import statement_shape

SHORTENER = Path(__file__).resolve().parents[3] / "systems" / "shortener"
PROBES = 6
QUIET_S = 1.5

STATEMENTS = """
SELECT query, calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%'
"""


def shortener() -> Setup:
    """The link shortener with few links, its cache in Valkey, and a database that counts."""
    setup = load(SHORTENER, environ={})
    service = setup.service
    dependencies = [
        msgspec.structs.replace(
            each,
            seed=("python", "-m", "shortener", "seed", "--links", "2000"),
            settings={"shared_preload_libraries": "pg_stat_statements"},
        )
        if each.kind == "postgres"
        else each
        for each in service.dependencies
    ]
    return msgspec.structs.replace(
        setup,
        service=msgspec.structs.replace(service, dependencies=tuple(dependencies)),
        knobs={"cache": "valkey"},
    )


async def statements(database: asyncpg.Connection) -> Counter[str]:
    """Calls by shape, as PostgreSQL has counted them."""
    counted: Counter[str] = Counter()
    for query, calls in await database.fetch(STATEMENTS):
        counted[alike(statement_shape(query).text)] += calls
    return counted


def alike(shape: str) -> str:
    """The shape with every constant a `$`: PostgreSQL takes TRUE for one, and numbers anew."""
    return re.sub(r"\$\d+|\bTRUE\b|\bFALSE\b", "$", shape)


async def commands(cache: Any) -> Counter[str]:
    """Calls by command, as Valkey has counted them."""
    stats: Mapping[str, Mapping[str, int]] = await cache.info("commandstats")
    return Counter(
        {name.removeprefix("cmdstat_").upper(): each["calls"] for name, each in stats.items()}
    )


async def counted_both_ways(folder: Path) -> tuple[list[Crossing], Counter[str], Counter[str]]:
    """What crossed the wires while every operation was probed, and what the servers counted."""
    setup = shortener()
    kinds = {each.name: each.kind for each in setup.service.dependencies}
    async with Guard() as guard:
        snapshot = await prepare_data(setup, guard=guard, emit=discard, folder=folder)
        async with (
            Taps(kinds, spawn=guard.spawn) as taps,
            Deployment(setup, snapshot=snapshot, guard=guard, wrap=taps.wrap) as deployment,
        ):
            plan = EnginePlan(
                host=deployment.address.host,
                port=deployment.address.port,
                workload=setup.workload,
            )
            async with Engine(plan, spawn=guard.spawn) as engine:
                running = deployment.dependencies
                database = await connect(running["database"])
                await database.execute("CREATE EXTENSION pg_stat_statements")
                cache = redis.asyncio.Redis(
                    port=running["cache"].port, password=running["cache"].password
                )
                for operation in setup.workload.operations:
                    await engine.probe(operation.name, 1)
                await asyncio.sleep(QUIET_S)
                before = await statements(database), await commands(cache)
                window = Window(
                    0, *(folder / f"{name}.parquet" for name in ("exchanges", "conns", "shapes"))
                )
                await taps.begin(window)
                for operation in setup.workload.operations:
                    await engine.probe(operation.name, PROBES)
                await asyncio.sleep(QUIET_S)
                await taps.end()
                after = await statements(database), await commands(cache)
                await database.close()
                await cache.aclose()
    shapes = read_table(window.shapes, TABLES["shapes"])
    texts = dict(zip(shapes["shape"].tolist(), shapes["text"].tolist(), strict=True))
    seen = crossings(read_table(window.exchanges, TABLES["exchanges"]), texts, kinds)
    return seen, after[0] - before[0], after[1] - before[1]


async def connect(running: RunningDependency) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=running.host,
        port=running.port,
        user=running.user,
        password=running.password,
        database=running.name,
    )


def test_the_wire_and_the_servers_count_alike() -> None:
    with tempfile.TemporaryDirectory(prefix="loadpath-test-") as folder:
        seen, by_postgres, by_valkey = asyncio.run(counted_both_ways(Path(folder)))
    on_wire = Counter(
        alike(each.shape) for each in seen if each.kind == "postgres" and not each.pushed
    )
    assert on_wire == by_postgres
    assert on_wire.total() >= 3 * PROBES
    to_cache = Counter(each.verb for each in seen if each.kind == "valkey")
    del by_valkey["INFO"]
    assert to_cache == by_valkey
    assert to_cache["MGET"] >= PROBES
