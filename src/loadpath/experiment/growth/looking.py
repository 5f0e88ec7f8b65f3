"""Grow the databases of a service on a server of their own, and measure every statement there.

The servers are started from the data that every arm starts from, without the service: nothing
else reads or writes meanwhile, and nothing of what was driven is in them. What is left can be kept
as the data of further arms, so that the service is driven on grown data.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from loadpath.deploy import RunningDependency, Snapshot
from loadpath.deploy.dependencies import Dependencies
from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import cloned, connect
from loadpath.experiment.growth.existing import existing
from loadpath.experiment.growth.grower import GrowthRefusedError, grow, prepare
from loadpath.experiment.growth.measuring import Where, chosen, measurable, measure
from loadpath.experiment.growth.trying import attempt, trials
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.growing.families import Families, families
from loadpath.growing.plan import Refusal
from loadpath.growing.schema import Schema, quoted
from loadpath.spec import Setup
from loadpath.statements.candidates import Existing
from loadpath.statements.record import (
    AtSize,
    DatabaseRecord,
    GrowthRecord,
    IndexRecord,
    KeyRecord,
    Size,
    StatementRecord,
)
from loadpath.tap.statements import KeptStatement

_HIGHEST: Final = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_CONNECT_TIMEOUT_S: Final = 10.0
_MULTIPLIES: Final = {
    "users": "with users",
    "history": "with history",
    "both": "with users and history",
    "none": "stays",
}

ROOM_S: Final = 15.0
"""Less of a budget than this is not begun with."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at: which sizes, how many indexes are tried at most, and of which size the
    grown data shall be kept."""

    sizes: tuple[Size, ...]
    indexes: int = 0
    keep: Size | None = None


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
    snapshot = await session.snapshot(setup)
    async with started(session, setup, snapshot) as dependencies:
        kept = True
        for name, running in dependencies.running.items():
            own = measurable(statements, name)
            async with AsyncExitStack() as clones:
                one = _Database(session, setup, running, name, own, rates_per_s, wanted, clones)
                found.append(await one.look())
                kept = await one.take_the_place() and kept
        if wanted.keep is not None and kept and found:
            await dependencies.settle()
            grown = Snapshot({**snapshot.saved, **await dependencies.stop_to_keep()})
    return Looked(record=GrowthRecord(databases=tuple(found)), grown=grown)


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


@asynccontextmanager
async def connected(
    running: RunningDependency, database: str | None = None
) -> AsyncIterator[asyncpg.Connection]:
    """A connection to one database of a server."""
    connection = await connect(running, database)
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)


class _Database:
    """One database while it is looked at."""

    def __init__(
        self,
        session: Session,
        setup: Setup,
        running: RunningDependency,
        name: str,
        statements: Sequence[KeptStatement],
        rates_per_s: Mapping[tuple[str, str], float],
        wanted: Wanted,
        clones: AsyncExitStack,
    ) -> None:
        self._session = session
        self._setup = setup
        self._running = running
        self._name = name
        self._statements = statements
        self._rates_per_s = rates_per_s
        self._wanted = wanted
        self._where = Where(
            host=running.host, port=running.port, user=running.user, password=running.password
        )
        self._stack = clones
        self._clones: dict[Size, str] = {}
        self._at: list[list[AtSize]] = [[] for _ in statements]
        self._problems: list[str] = []

    async def look(self) -> DatabaseRecord:
        """Measure today's data, then each size; then try indexes."""
        record = DatabaseRecord(dependency=self._name, version=self._running.version)
        if not self._statements:
            return msgspec.structs.replace(record, problem="no statement was seen on its wire")
        async with connected(self._running) as connection:
            schema = await read_schema(connection, self._setup.growth)
            there = await existing(connection)
        if not any(table.rows for table in schema.tables):
            why = "it holds no rows to multiply: give it a seed"
            return msgspec.structs.replace(record, problem=why)
        found = families(schema, self._setup.growth)
        await self._measure(self._running.name, None)
        for size in self._wanted.sizes:
            await self._grown(size, schema, found)
        records = self._records()
        indexes = await self._indexes(records, there, schema)
        return msgspec.structs.replace(
            record,
            rows={table.name: float(table.rows) for table in schema.tables},
            bytes={table.name: table.bytes for table in schema.tables},
            sizes=tuple(self._clones),
            told=tuple(
                f"{each.table}: {_MULTIPLIES[each.multiplies]}, {each.why}"
                for each in found.members
            ),
            statements=tuple(records),
            indexes=tuple(indexes),
            keys=tuple(_keys(schema)),
            problem="" if self._clones else "; ".join(self._problems),
        )

    async def take_the_place(self) -> bool:
        """Have the clone of the wanted size stand where the service looks.

        False when there is none of that size: then all is as it was.
        """
        keep = self._clones.get(self._wanted.keep) if self._wanted.keep else None
        if not keep:
            return False
        async with connected(self._running, "postgres") as connection:
            await connection.execute(f"DROP DATABASE {quoted(self._running.name)}")
            await connection.execute(
                f"ALTER DATABASE {quoted(keep)} RENAME TO {quoted(self._running.name)}"
            )
        return True

    async def _grown(self, size: Size, schema: Schema, found: Families) -> None:
        if self._session.left_s() < ROOM_S:
            self._say(f"the budget leaves no time for {words(size)}")
            return
        with phase(self._session.emit, f"grow {self._name}, {words(size)}") as now:
            try:
                async with connected(self._running) as connection:
                    plan = await prepare(connection, schema, found, size.axis, size.times)
                if isinstance(plan, Refusal):
                    raise GrowthRefusedError(plan)
                if not plan.tables:
                    now.result = "nothing multiplies"
                    return
                clone = await self._stack.enter_async_context(
                    cloned(
                        self._running,
                        needed_bytes=plan.needed_bytes,
                        allow_writes=self._setup.allow_writes,
                    )
                )
                grown = await grow(clone, plan, self._session.emit, schema=schema)
                now.result = f"{sum(grown.rows.values()):,} rows"
            except LoadpathError as error:
                now.result = "not grown"
                self._say(f"{self._name} is not grown, {words(size)}: {error.message}")
                return
        self._clones[size] = clone.name
        await self._measure(clone.name, size)

    async def _measure(self, database: str, size: Size | None) -> None:
        count = len(self._statements)
        title = f"statements {words(size)}" if size else "statements today"
        with phase(self._session.emit, title) as now:
            measured = await measure(self._where, database, self._statements, size)
            now.result = f"{count} statement{'s' if count != 1 else ''}"
        for place, each in zip(self._at, measured, strict=True):
            place.append(each)

    def _records(self) -> list[StatementRecord]:
        return [
            StatementRecord(
                shape=each.shape,
                named=each.named,
                calls_per_s=self._rates_per_s.get((each.tap, each.shape), 0.0),
                in_transaction=each.in_transaction / each.calls,
                counts=tuple(one.count for one in chosen(each)),
                at=tuple(at),
            )
            for each, at in zip(self._statements, self._at, strict=True)
        ]

    async def _indexes(
        self, records: Sequence[StatementRecord], there: Sequence[Existing], schema: Schema
    ) -> list[IndexRecord]:
        if not self._wanted.indexes:
            return []
        found = []
        tried = trials(records, there, schema, limit=self._wanted.indexes)
        for number, trial in enumerate(tried, start=1):
            if self._session.left_s() < ROOM_S:
                self._say("the budget leaves no time for further indexes")
                break
            with phase(self._session.emit, f"index {number} of {len(tried)}") as now:
                found.append(
                    await attempt(
                        trial, self._where, self._clones[trial.size], self._statements, records
                    )
                )
                now.result = f"{trial.candidate.name}"
        return found

    def _say(self, message: str) -> None:
        self._problems.append(message)
        self._session.emit(Warned(at_s=time.time(), message=message))


def words(size: Size) -> str:
    """`4 × users`."""
    return f"{size.times} × {size.axis}"


def _keys(schema: Schema) -> Iterator[KeyRecord]:
    """Columns that count up, and how far they can."""
    for table in schema.tables:
        for column in table.columns:
            highest = _HIGHEST.get(column.type)
            if column.numbered and highest is not None and column.highest is not None:
                yield KeyRecord(
                    table=table.name,
                    column=column.name,
                    type=column.type,
                    last=int(column.highest),
                    highest=highest,
                )
