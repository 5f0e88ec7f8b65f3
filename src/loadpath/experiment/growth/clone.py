"""Clones of a database: made from it as a template, marked as Loadpath's, always dropped again."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from loadpath.deploy import RunningDependency
from loadpath.errors import UnsafeTargetError, WouldNotRunError
from loadpath.experiment.growth.dropper import dropped_in_any_case
from loadpath.figures import data_size
from loadpath.growing.schema import literal, quoted

PREFIX = "loadpath_growth_"
"""What the names of clones begin with. Nothing else is ever grown in, or dropped."""

# Up to here, reading the template through the log is quicker than two checkpoints and a copy.
_SMALL_BYTES = 100_000_000
_TIMEOUT_S = 10.0
_OTHERS_TIMEOUT_S = 1.0
_OTHERS = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename::text, 'somebody')
FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' ORDER BY 1
"""
_MAINTENANCE = "postgres"


async def connect(
    running: RunningDependency, database: str | None = None, **settings: str
) -> asyncpg.Connection:
    """A connection that waits for as long as a statement takes. Raises `WouldNotRunError`."""
    try:
        return await asyncpg.connect(
            host=running.host,
            port=running.port,
            user=running.user,
            password=running.password,
            database=database or running.name,
            timeout=_TIMEOUT_S,
            server_settings={"application_name": "loadpath", **settings},
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise WouldNotRunError(
            f"cannot connect to the database {database or running.name} at {running.address}: "
            f"{error or type(error).__name__}"
        ) from error


@asynccontextmanager
async def cloned(
    running: RunningDependency, *, needed_bytes: int = 0, allow_writes: bool = False
) -> AsyncIterator[RunningDependency]:
    """A clone of a database on its own server, for as long as the context; then it is dropped.

    What is yielded is what connects to the clone. Clones that an earlier Loadpath left on that
    server are dropped first. Nothing may be connected to the database meanwhile. On a server of the
    user's it is dropped whatever ends this process.

    Raises `UnsafeTargetError` for a server of the user's without `allow_writes`, `WouldNotRunError`
    when somebody is connected, the user may not do it, or `needed_bytes` are not free.
    """
    if not running.embedded and not allow_writes:
        raise UnsafeTargetError(
            f"growing makes a clone of the database {running.name} beside it, and the server at "
            f"{running.address} is your own, given by URL",
            advice="If a clone of it may be made and grown there: --allow-writes. The database "
            "itself is only read. Otherwise leave url out, and one is started for each run.",
        )
    name = PREFIX + secrets.token_hex(6)
    async with dropped_in_any_case(running, name) as dropped:
        keeper = await connect(running, _MAINTENANCE)
        try:
            await check_room(keeper, running, needed_bytes)
            await _drop_leftovers(keeper)
            # Held for as long as this connection is: a clone whose lock is free is nobody's.
            await keeper.execute(f"SELECT pg_advisory_lock(hashtextextended({literal(name)}, 0))")
            try:
                await _create(keeper, running, name)
                yield msgspec.structs.replace(running, name=name, url="")
            finally:
                await asyncio.shield(_drop(running, name))
                dropped()
        finally:
            keeper.terminate()


async def drop_leftovers(running: RunningDependency) -> tuple[str, ...]:
    """Drop the clones on that server whose Loadpath is gone; their names."""
    connection = await connect(running, _MAINTENANCE)
    try:
        return await _drop_leftovers(connection)
    finally:
        await connection.close()


async def check_room(
    connection: asyncpg.Connection,
    running: RunningDependency,
    needed_bytes: int,
    free: Callable[[str], int] | None = None,
) -> None:
    """Raise `WouldNotRunError` unless the server's disk has so much room.

    Of a server of the user's it cannot be known: PostgreSQL does not tell.
    """
    if not running.embedded or not needed_bytes:
        return
    folder = await connection.fetchval("SHOW data_directory")
    left = (free or _free)(folder)
    if left < needed_bytes:
        raise WouldNotRunError(
            f"growing the database needs {data_size(needed_bytes)} on the disk of {folder}, and "
            f"{data_size(left)} are free",
            advice="Make room there, name a folder with more by TMPDIR, or grow by less.",
        )


def _free(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


async def _create(connection: asyncpg.Connection, running: RunningDependency, name: str) -> None:
    source = running.name
    try:
        await _wait_for_others(connection, source)
        here = await connection.fetchval("SELECT pg_database_size($1::text::name)", source)
        major = connection.get_server_version().major
        how = "WAL_LOG" if here <= _SMALL_BYTES else "FILE_COPY"
        strategy = f" STRATEGY {how}" if major >= 15 else ""
        await connection.execute(
            f"CREATE DATABASE {quoted(name)} TEMPLATE {quoted(source)}{strategy}"
        )
    except asyncpg.ObjectInUseError:
        raise _in_use(source, "somebody") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise WouldNotRunError(
            f"the database {source} cannot be cloned: {error}",
            advice=f"Its user {running.user} must own it and have CREATEDB.",
        ) from None
    except asyncpg.DiskFullError as error:
        raise WouldNotRunError(f"the database {source} cannot be cloned: {error}") from None


async def _wait_for_others(connection: asyncpg.Connection, source: str) -> None:
    """Raise when others are connected. What was closed just now may take a moment to be gone."""
    deadline_s = time.monotonic() + _OTHERS_TIMEOUT_S
    while others := await connection.fetch(_OTHERS, source):
        if time.monotonic() > deadline_s:
            raise _in_use(source, ", ".join(row[0] for row in others))
        await asyncio.sleep(0.02)


def _in_use(source: str, who: str) -> WouldNotRunError:
    return WouldNotRunError(
        f"the database {source} cannot be cloned: {who} is connected to it",
        advice="A template must have no connections. Stop what uses it, the service too.",
    )


async def _drop(running: RunningDependency, name: str) -> None:
    """Drop a clone, with whoever is still connected to it."""
    try:
        connection = await connect(running, _MAINTENANCE)
    except WouldNotRunError:
        if running.embedded:
            return  # the server is gone, and its data go with it
        raise
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
    finally:
        await connection.close()


async def _drop_leftovers(connection: asyncpg.Connection) -> tuple[str, ...]:
    dropped = []
    found = await connection.fetch(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1", PREFIX
    )
    for (name,) in found:
        key = f"hashtextextended({literal(name)}, 0)"
        if await connection.fetchval(f"SELECT pg_try_advisory_lock({key})"):
            await connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
            await connection.execute(f"SELECT pg_advisory_unlock({key})")
            dropped.append(name)
    return tuple(dropped)
