"""A Loadpath that is killed while it grows a database: its own, or one on a server of the user's,
which the environment tells."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

from loadpath.deploy import Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.events import AnyEvent, GrowthProgress, discard
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import cloned, connect
from loadpath.experiment.growth.grower import grow, prepare
from loadpath.growing.families import families
from loadpath.growing.plan import Plan
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload

SETUP = Setup(
    service=Service(
        name="s",
        directory=Path(),
        start=("s",),
        dependencies=(Dependency(name="database", kind="postgres", env={}),),
    ),
    workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
)
TABLES = """
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users, said text);
INSERT INTO users SELECT n FROM generate_series(1, 100) n;
INSERT INTO notes SELECT n, n % 100 + 1, repeat('x', 200) FROM generate_series(1, 50000) n;
"""


def watch(event: AnyEvent) -> None:
    if isinstance(event, GrowthProgress):
        print("GROWING", event.step, flush=True)


async def grown(running: RunningDependency) -> None:
    connection = await connect(running)
    await connection.execute(TABLES)
    schema = await read_schema(connection)
    plan = await prepare(connection, schema, families(schema), "users", 16)
    await connection.close()
    assert isinstance(plan, Plan), plan
    async with cloned(running, allow_writes=True) as clone:
        print("CLONED", clone.name, flush=True)
        await grow(clone, plan, watch, schema=schema)
        await asyncio.sleep(3600)


async def main() -> None:
    if told := os.environ.get("THEIRS"):
        await grown(msgspec.json.decode(told, type=RunningDependency))
        return
    async with Guard() as guard:
        dependencies = Dependencies(SETUP, guard=guard, emit=discard, folder=guard.make_folder())
        await dependencies.start({})
        await grown(dependencies.running["database"])


asyncio.run(main())
