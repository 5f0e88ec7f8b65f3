"""Grow the databases of a service on a server of their own, and measure every statement there.

The servers are started from the data that every arm starts from, without the service: nothing
else reads or writes meanwhile, and nothing of what was driven is in them. What is left can be kept
as the data of further arms, so that the service is driven on grown data.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadpath.deploy import Snapshot, prepare_data
from loadpath.deploy.dependencies import Dependencies
from loadpath.experiment.growth.database import Database, Wanted, connected
from loadpath.experiment.growth.measuring import measurable
from loadpath.experiment.growth.seeding import at_size, grown_database
from loadpath.experiment.session import Session
from loadpath.spec import Setup
from loadpath.statements.record import (
    DatabaseRecord,
    GrowthRecord,
)
from loadpath.tap.statements import KeptStatement

GIVEN: Final = (
    "it is given by URL and used by the service, and only a database that Loadpath started is "
    "copied: leave url out, and give it a seed"
)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and the grown data to deploy on; None when none was kept."""

    record: GrowthRecord
    grown: Snapshot | None


async def look(
    session: Session,
    setup: Setup,
    statements: Sequence[KeptStatement],
    rates_per_s: Mapping[tuple[str, str], float],
    wanted: Wanted,
) -> Looked:
    """Grow and measure every PostgreSQL that Loadpath started.

    `rates_per_s` by tap and shape, at the workload's own rate. A database that cannot be grown is
    told with the reason. Raises `WouldNotRunError` when the servers do not start.
    """
    found: list[DatabaseRecord] = []
    grown: Snapshot | None = None
    if setup.growth.seed is not None:
        return await _look_at_seeds(session, setup, statements, rates_per_s, wanted)
    snapshot = await session.snapshot(setup)
    async with started(session, setup, snapshot) as dependencies:
        kept = True
        for name, running in dependencies.running.items():
            own = measurable(statements, name)
            async with AsyncExitStack() as clones:
                one = Database(session, setup, running, name, own, rates_per_s, wanted, clones)
                found.append(await one.look())
                kept = await one.take_the_place() and kept
        if wanted.keep is not None and kept and found:
            await dependencies.settle()
            grown = Snapshot({**snapshot.saved, **await dependencies.stop_to_keep()})
    found += [
        DatabaseRecord(dependency=dependency.name, version="", problem=GIVEN)
        for dependency in setup.service.dependencies
        if dependency.kind == "postgres" and dependency.url is not None
    ]
    return Looked(record=GrowthRecord(databases=tuple(found)), grown=grown)


async def _look_at_seeds(
    session: Session,
    setup: Setup,
    statements: Sequence[KeptStatement],
    rates_per_s: Mapping[tuple[str, str], float],
    wanted: Wanted,
) -> Looked:
    """The same where the service's own command makes data of each size: more users, no clone."""
    name = grown_database(setup).name
    own = measurable(statements, name)
    grown: Snapshot | None = None
    async with AsyncExitStack() as unused:
        async with started(session, setup, await session.snapshot(setup)) as dependencies:
            running = dependencies.running[name]
            one = Database(session, setup, running, name, own, rates_per_s, wanted, unused)
            able = await one.begin()
        sizes = [size for size in wanted.sizes if size.axis == "users"] if able else []
        for size in sizes:
            data = await prepare_data(
                at_size(setup, size.times),
                guard=session.guard,
                emit=session.emit,
                folder=session.scratch,
            )
            async with started(session, setup, data) as dependencies:
                await one.measure_there(dependencies.running[name], size)
                if size == sizes[-1]:
                    await one.try_indexes()
            grown = data if size == wanted.keep else grown
        return Looked(record=GrowthRecord(databases=(one.record(),)), grown=grown)


@asynccontextmanager
async def started(
    session: Session, setup: Setup, snapshot: Snapshot
) -> AsyncIterator[Dependencies]:
    """The databases of a service alone, on a copy of that data."""
    own = tuple(d for d in setup.service.dependencies if d.kind == "postgres" and d.url is None)
    service = msgspec.structs.replace(setup.service, dependencies=own)
    home = Path(tempfile.mkdtemp(prefix="growth-", dir=session.scratch))
    dependencies = Dependencies(
        msgspec.structs.replace(setup, service=service),
        guard=session.guard,
        emit=session.emit,
        folder=home,
        around=(session.scratch,),
    )
    try:
        names = {dependency.name for dependency in own}
        await dependencies.start({n: s for n, s in snapshot.saved.items() if n in names})
        yield dependencies
    finally:
        await dependencies.stop()


async def with_indexes(
    session: Session, setup: Setup, snapshot: Snapshot, ddl: Mapping[str, Sequence[str]]
) -> Snapshot:
    """The same data with indexes built in it; `ddl` by dependency."""
    async with started(session, setup, snapshot) as dependencies:
        for name, running in dependencies.running.items():
            async with connected(running) as connection:
                for statement in ddl.get(name, ()):
                    await connection.execute(statement)
        await dependencies.settle()
        return Snapshot({**snapshot.saved, **await dependencies.stop_to_keep()})
