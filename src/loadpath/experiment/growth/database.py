"""One database while it is looked at: as it is today, at each size, and with indexes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg
import msgspec

from loadpath.deploy import RunningDependency
from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import cloned, connect
from loadpath.experiment.growth.existing import existing
from loadpath.experiment.growth.grower import GrowthRefusedError, grow, prepare
from loadpath.experiment.growth.measuring import Where, chosen, measure
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


class Database:
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
        self._where = _where(running)
        self._stack = clones
        self._schema: Schema
        self._families: Families
        self._there: list[Existing] = []
        self._tried: list[IndexRecord] = []
        self._clones: dict[Size, str] = {}
        self._at: list[list[AtSize]] = [[] for _ in statements]
        self._problems: list[str] = []

    async def look(self) -> DatabaseRecord:
        """Measure today's data, then each size on a grown clone; then try indexes."""
        if await self.begin():
            for size in self._wanted.sizes:
                await self._grown(size)
            await self.try_indexes()
        return self.record()

    async def begin(self) -> bool:
        """Read what there is and measure it as it is today; whether that could be done."""
        if not self._statements:
            self._problems.append("no statement was seen on its wire")
            return False
        async with connected(self._running) as connection:
            self._schema = await read_schema(connection, self._setup.growth)
            self._there = await existing(connection)
        if not any(table.rows for table in self._schema.tables):
            self._problems.append("it holds no rows to multiply: give it a seed")
            return False
        with phase(self._session.emit, "whose rows multiply") as now:
            self._families = families(self._schema, self._setup.growth)
            roots = ", ".join(self._families.roots) or "nobody's"
            more = len(self._families.multiplying("history"))
            now.result = f"users are {roots}; {more} tables grow with their history"
        await self._measure(self._running.name, None)
        return True

    async def measure_there(self, running: RunningDependency, size: Size) -> None:
        """Measure data of that size on another server."""
        self._where = _where(running)
        self._clones[size] = running.name
        await self._measure(running.name, size)

    def record(self) -> DatabaseRecord:
        """What was found."""
        record = DatabaseRecord(dependency=self._name, version=self._running.version)
        if not self._clones:
            why = "; ".join(dict.fromkeys(self._problems)) or "nothing in it multiplies"
            return msgspec.structs.replace(record, problem=why)
        seeded = self._setup.growth.seed is not None
        return msgspec.structs.replace(
            record,
            rows={table.name: float(table.rows) for table in self._schema.tables},
            bytes={table.name: table.bytes for table in self._schema.tables},
            sizes=tuple(self._clones),
            told=tuple(
                f"{each.table}: {_MULTIPLIES[each.multiplies]}, {each.why}"
                for each in self._families.members
            )
            if not seeded
            else ("all: as [growth] seed makes them",),
            statements=tuple(self._records()),
            indexes=tuple(self._tried),
            keys=tuple(_keys(self._schema)),
            cascades=tuple(
                (each.parent, each.table) for each in self._schema.foreign_keys if each.cascades
            ),
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

    async def _grown(self, size: Size) -> None:
        schema, found = self._schema, self._families
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

    async def try_indexes(self) -> None:
        """Build what may help, one at a time, and run everything again."""
        if not self._wanted.indexes or not self._clones:
            return
        records = self._records()
        tried = trials(records, self._there, self._schema, limit=self._wanted.indexes)
        for number, trial in enumerate(tried, start=1):
            if self._session.left_s() < ROOM_S:
                self._say("the budget leaves no time for further indexes")
                break
            with phase(self._session.emit, f"index {number} of {len(tried)}") as now:
                self._tried.append(
                    await attempt(
                        trial, self._where, self._clones[trial.size], self._statements, records
                    )
                )
                now.result = f"{trial.candidate.name}"

    def _say(self, message: str) -> None:
        self._problems.append(message)
        self._session.emit(Warned(at_s=time.time(), message=message))


def _where(running: RunningDependency) -> Where:
    return Where(host=running.host, port=running.port, user=running.user, password=running.password)


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
