"""Grows a clone: tries the plan, runs it, and looks whether every constraint holds afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import asyncpg

from loadpath.deploy import RunningDependency
from loadpath.errors import InconclusiveError, WouldNotRunError
from loadpath.events import EventSink, GrowthProgress
from loadpath.experiment.growth.clone import PREFIX, connect
from loadpath.growing.families import Families
from loadpath.growing.plan import Axis, Grown, Job, Plan, Refusal, Verification
from loadpath.growing.planning import plan
from loadpath.growing.schema import Schema, literal

Work = TypeVar("Work")

_WORKERS_MAX = 4
# Below, keeping the indexes while copying costs less than building them again.
_REBUILT_FROM_ROWS = 5000
_SETTINGS = {
    # No triggers, and foreign keys are looked at once at the end instead of at every row.
    "session_replication_role": "replica",
    # A clone that is lost in a crash of the server is worth nothing anyway.
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "work_mem": "128MB",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "row_security": "off",
}
# What a failed CREATE INDEX CONCURRENTLY left: no plan uses it, yet it refuses new rows.
_FORGET = """
UPDATE pg_index SET indisready = false
WHERE indrelid = {table}::regclass AND indisready AND NOT indisvalid
"""
_SET_ASIDE = """
UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indrelid = {table}::regclass AND indislive AND indisready AND indisvalid
RETURNING indexrelid::regclass::text AS index, pg_relation_size(indexrelid) AS bytes
"""
_INVALID = """
SELECT indexrelid::regclass::text FROM pg_index
WHERE indexrelid = ANY ($1::text[]::regclass[]) AND NOT (indisvalid AND indisready) ORDER BY 1
"""


class GrowthRefusedError(InconclusiveError):
    """A database cannot be grown and keep its constraints; `refusal` names the table and why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"cannot be grown: {refusal}", advice=refusal.advice)
        self.refusal = refusal


async def prepare(
    connection: asyncpg.Connection, schema: Schema, families: Families, axis: Axis, factor: int
) -> Plan | Refusal:
    """A plan of which everything holds that can be known beforehand. Only reads.

    Where a way to make a key anew will not do, the next one is tried.
    """
    wal_bytes = await _wal_bytes(connection)
    async with connection.transaction(readonly=True):
        # Trials join tables with themselves, and most find nothing: no first row comes soon.
        await connection.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB'")
        return await _prepared(connection, schema, families, axis, factor, wal_bytes)


async def _prepared(
    connection: asyncpg.Connection,
    schema: Schema,
    families: Families,
    axis: Axis,
    factor: int,
    wal_bytes: int,
) -> Plan | Refusal:
    avoided: frozenset[tuple[str, str]] = frozenset()
    while True:
        made = plan(schema, families, axis, factor, avoided, wal_bytes=wal_bytes)
        if isinstance(made, Refusal):
            return made
        for trial in made.trials:
            try:
                async with connection.transaction():
                    if not await connection.fetch(trial.sql):
                        continue
                last = trial.refusal
            except asyncpg.PostgresError as error:
                last = Refusal(trial.refusal.table, f"{trial.refusal.why} ({error})")
            if trial.style is None or trial.style in avoided:
                return last
            avoided |= {trial.style}
            break
        else:
            return made
        again = plan(schema, families, axis, factor, avoided, wal_bytes=wal_bytes)
        if isinstance(again, Refusal):
            # What was tried last says more than that nothing is left to try.
            return last


async def grow(clone: RunningDependency, plan: Plan, emit: EventSink, *, schema: Schema) -> Grown:
    """Run a plan in a clone. It is Loadpath's own: on a server that it started, or named so.

    `schema` is what the plan was made of. Raises `GrowthRefusedError` where a constraint that
    nobody foresaw stops it or does not hold afterwards, and `WouldNotRunError` when the server
    gives up. The clone is of no use then.
    """
    if not clone.embedded and not clone.name.startswith(PREFIX):
        raise ValueError(f"{clone.name} is no clone: nothing is grown in it")
    began_s = time.monotonic()
    run = _Run(clone, plan, schema, emit)
    try:
        rows = await run.all()
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise WouldNotRunError(f"the server of the clone was lost: {error}") from error
    except asyncpg.PostgresError as error:
        raise WouldNotRunError(
            f"the database {clone.name} could not be grown: {error}",
            advice="It was a clone: the database it was made of is as it was.",
        ) from error
    return Grown(
        database=clone.name,
        axis=plan.axis,
        factor=plan.factor,
        rows=rows,
        verified=len(plan.verifications),
        seconds=time.monotonic() - began_s,
        notes=plan.notes,
    )


class _Index(NamedTuple):
    """An index that was set aside; how large it was, so that large ones are begun first."""

    bytes: int
    table: str
    sql: str


class _Run:
    """One plan being run. Several connections share a snapshot, so that copies are of what was
    there before and never of copies."""

    def __init__(
        self, clone: RunningDependency, plan: Plan, schema: Schema, emit: EventSink
    ) -> None:
        self.clone = clone
        self.plan = plan
        self.schema = schema
        self.emit = emit
        self.after = {each.table: each.rows_after for each in plan.tables}
        self.copied = {each.table: each.rows for each in plan.tables}
        self.workers = max(1, min(_WORKERS_MAX, os.cpu_count() or 1))
        self.connections: list[asyncpg.Connection] = []

    async def all(self) -> dict[str, int]:
        """Every step, in order; the rows of each grown table."""
        try:
            for _ in range(self.workers + 1):
                self.connections.append(await connect(self.clone, **_SETTINGS))
            control = self.connections[0]
            if control.get_server_version().major >= 17:
                for connection in self.connections:
                    await connection.execute("SET event_triggers = off")
            for statement in self.plan.before:
                await control.execute(statement)
            aside = await self._set_aside(control)
            await self._copy(control)
            await self._each(aside, self._rebuild)
            invalid = await control.fetch(_INVALID, [each.sql for each in aside])
            if invalid:
                raise _refused(self.clone.name, f"not valid after growing: {invalid[0][0]}")
            for statement in self.plan.after:
                await control.execute(statement)
            for view in self.schema.views:
                self._tell(view.name, "refreshing")
                await control.execute(f"REFRESH MATERIALIZED VIEW {view.sql}")
                await control.execute(f"ANALYZE {view.sql}")
            await self._each([each.table for each in self.plan.tables], self._tidy)
            await self._each(self.plan.verifications, self._verify)
            return await self._count(control)
        finally:
            for connection in self.connections:
                connection.terminate()

    async def _set_aside(self, control: asyncpg.Connection) -> list[_Index]:
        """Have large tables copied without their indexes; those, the largest first.

        What is changed is the clone's own catalog, as CREATE INDEX CONCURRENTLY does it. Whoever is
        no superuser may not, and copies with indexes.
        """
        if await control.fetchval("SHOW is_superuser") != "on":
            return []
        found = []
        for each in self.plan.tables:
            for part in self.schema.table(each.table).partitions:
                await control.execute(_FORGET.format(table=literal(part.sql)))
                if each.rows_after < _REBUILT_FROM_ROWS:
                    continue
                rows = await control.fetch(_SET_ASIDE.format(table=literal(part.sql)))
                found += [_Index(row["bytes"], each.table, row["index"]) for row in rows]
        return sorted(found, reverse=True)

    async def _copy(self, control: asyncpg.Connection) -> None:
        shared = control.transaction(isolation="repeatable_read", readonly=True)
        await shared.start()
        snapshot = await control.fetchval("SELECT pg_export_snapshot()")

        async def copy(connection: asyncpg.Connection, job: Job) -> None:
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                try:
                    status = await connection.execute(job.sql)
                except asyncpg.IntegrityConstraintViolationError as error:
                    raise _refused(job.table, _violated(error)) from error
                except asyncpg.DataError as error:
                    raise _refused(job.table, f"its copies are not accepted: {error}") from error
            self.copied[job.table] += int(status.rpartition(" ")[2])
            self._tell(job.table, "copying", self.copied[job.table])

        try:
            await self._each(self.plan.jobs, copy)
        finally:
            if not control.is_closed():
                await shared.rollback()

    async def _rebuild(self, connection: asyncpg.Connection, index: _Index) -> None:
        self._tell(index.table, "indexing")
        try:
            await connection.execute(f"REINDEX INDEX {index.sql}")
        except asyncpg.IntegrityConstraintViolationError as error:
            raise _refused(index.table, _violated(error)) from error

    async def _tidy(self, connection: asyncpg.Connection, name: str) -> None:
        self._tell(name, "tidying up")
        await connection.execute(f"VACUUM (ANALYZE) {self.schema.table(name).sql}")

    async def _verify(self, connection: asyncpg.Connection, asked: Verification) -> None:
        self._tell(asked.table, "checking")
        broken = await connection.fetchval(asked.sql)
        if broken:
            raise _refused(asked.table, f"{broken:,} rows break the {asked.what}")

    async def _count(self, control: asyncpg.Connection) -> dict[str, int]:
        rows = {}
        for each in self.plan.tables:
            whole = self.schema.table(each.table).whole
            rows[each.table] = await control.fetchval(f"SELECT count(*) FROM {whole}")
            if rows[each.table] != each.rows_after:
                raise _refused(
                    each.table,
                    f"expected {each.rows_after:,} rows after growing, got {rows[each.table]:,}",
                )
        return rows

    async def _each(
        self, work: Sequence[Work], do: Callable[[asyncpg.Connection, Work], Awaitable[None]]
    ) -> None:
        """Do something with every one, in order, as many at a time as there are workers."""
        left = iter(work)

        async def worker(connection: asyncpg.Connection) -> None:
            for one in left:
                await do(connection, one)

        try:
            async with asyncio.TaskGroup() as group:
                for connection in self.connections[1:]:
                    group.create_task(worker(connection))
        except* (GrowthRefusedError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as all:
            raise all.exceptions[0] from None

    def _tell(self, table: str, step: str, rows: int | None = None) -> None:
        total = self.after.get(table, 0)
        self.emit(
            GrowthProgress(
                at_s=time.time(),
                table=table,
                step=step,
                rows=total if rows is None else rows,
                total_rows=total,
            )
        )


def _refused(table: str, why: str) -> GrowthRefusedError:
    return GrowthRefusedError(Refusal(table, why))


def _violated(error: asyncpg.PostgresError) -> str:
    named = getattr(error, "constraint_name", None)
    return f"its copies violate {named}: {error}" if named else f"its copies are refused: {error}"


async def _wal_bytes(connection: asyncpg.Connection) -> int:
    """How much of its write-ahead log the server keeps before it reuses it."""
    return int(
        await connection.fetchval(
            "SELECT pg_size_bytes(current_setting('max_wal_size')) "
            "+ pg_size_bytes(current_setting('wal_keep_size', true))"
        )
    )
