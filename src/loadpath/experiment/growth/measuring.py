"""Every statement run on one database with its own parameters, and what it did there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from loadpath.errors import WouldNotRunError
from loadpath.experiment.growth.replay import Replay, ServerError
from loadpath.statements.findings import TOO_LONG
from loadpath.statements.reading import read
from loadpath.statements.record import AtSize, Ran, Size
from loadpath.tap.statements import KeptStatement, ParameterSet

HOT: Final = 3
COLD: Final = 5
"""Sets of parameters that a statement is run with: those most often seen, and some of the rest."""

SETTLING: Final = 5
"""Runs after which PostgreSQL may settle for one plan for all values of a prepared statement."""

SLOW_S: Final = 0.25
SLOW_SETS: Final = 3
"""What takes longer is run with no more than so many sets, and not made to settle: one plan after
the other would read the whole table, and say no more."""

MEASURED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "(")
_NAME: Final = "loadpath_replay"
_TIMED_OUT: Final = "57014"
_IS_THERE_ALREADY: Final = "23505"


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect to a server."""

    host: str
    port: int
    user: str
    password: str


def chosen(statement: KeptStatement) -> tuple[ParameterSet, ...]:
    """The sets that a statement is run with: the hottest, then a spread of the colder ones."""
    sets = statement.sets
    if len(sets) <= HOT + COLD:
        return sets
    rest = sets[HOT:]
    step = len(rest) / COLD
    return (*sets[:HOT], *(rest[int((i + 0.5) * step)] for i in range(COLD)))


def measurable(statements: Sequence[KeptStatement], tap: str) -> list[KeptStatement]:
    """Those of one database that read or write rows of tables that are the service's own."""
    return [
        s
        for s in statements
        if s.tap == tap and s.shape.upper().startswith(MEASURED) and _of_the_service(s.shape)
    ]


def _of_the_service(shape: str) -> bool:
    """Not what a driver asks of the catalog, nor what touches no table."""
    statement = read(shape)
    if not statement.verb:
        return True
    tables = [name.rpartition(".")[2] for name in statement.tables]
    return bool(tables) and not any(name.startswith("pg_") for name in tables)


async def measure(
    where: Where,
    database: str,
    statements: Sequence[KeptStatement],
    size: Size | None,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> list[AtSize]:
    """Run each statement with each of its sets, once to warm up and once to be measured.

    Each run is in a transaction of its own that is rolled back: what it wrote is gone, but for what
    no rollback undoes (a sequence counts on). `told` is told how many are done. Raises
    `WouldNotRunError` when the server is lost.
    """
    found: list[AtSize] = []
    try:
        await _measure_all(where, database, statements, size, found, told)
    except (OSError, EOFError) as error:
        raise WouldNotRunError(f"the grown database was lost while it was asked: {error}") from None
    return found


async def _measure_all(
    where: Where,
    database: str,
    statements: Sequence[KeptStatement],
    size: Size | None,
    found: list[AtSize],
    told: Callable[[int], None],
) -> None:
    async with Replay(
        host=where.host,
        port=where.port,
        user=where.user,
        password=where.password,
        database=database,
    ) as replay:
        for done, statement in enumerate(statements, start=1):
            found.append(await _measure(replay, statement, size))
            told(done)
            await asyncio.sleep(0)


async def _measure(replay: Replay, statement: KeptStatement, size: Size | None) -> AtSize:
    sets = chosen(statement)
    runs: list[Ran | None] = []
    slow = False
    problem = ""
    prepared: ParameterSet | None = None
    for number, each in enumerate(sets):
        try:
            if prepared is None or each.text != prepared.text or each.types != prepared.types:
                await _prepare(replay, each, prepared is not None)
                prepared = each
                if statement.named:
                    for again in range(SETTLING):
                        slow = slow or (await _run(replay, sets[again % len(sets)])).time_s > SLOW_S
                        if slow:
                            break
            if slow and number >= SLOW_SETS:
                runs.append(None)
                continue
            warm = await _run(replay, each)
            slow = slow or warm.time_s > SLOW_S
            runs.append(await _run(replay, each))
        except ServerError as error:
            runs.append(None)
            problem = problem or _words(error)
            if error.code == _TIMED_OUT:
                # With other values it takes as long.
                runs += [None] * (len(sets) - number - 1)
                break
    if prepared is not None:
        await replay.forget(_NAME)
    return AtSize(size=size, runs=tuple(runs), problem=problem)


async def _prepare(replay: Replay, each: ParameterSet, forget: bool) -> None:
    if forget:
        await replay.forget(_NAME)
    await replay.prepare(_NAME, each.text, each.types)


async def _run(replay: Replay, each: ParameterSet) -> Ran:
    await replay.do("BEGIN")
    try:
        return await replay.run(_NAME, each.values)
    finally:
        await replay.do("ROLLBACK")


def _words(error: ServerError) -> str:
    """What went wrong, without the values that PostgreSQL quotes."""
    if error.code == _TIMED_OUT:
        return TOO_LONG
    if error.code == _IS_THERE_ALREADY:
        return "what it writes is there already"
    return f"SQLSTATE {error.code}" if error.code else error.message
