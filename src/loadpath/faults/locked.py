"""A lock that somebody else holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import asyncpg

from loadpath.errors import LoadpathError
from loadpath.faults.fault import Hits
from loadpath.faults.state_fault import PostgresFault

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.injection import Injection
    from loadpath.faults.words import Words

_LOOK_S = 0.02
_WAIT_FOR_LOCK = "SET LOCAL lock_timeout = '5s'"
_BLOCKED = """
SELECT pid, query_start FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND $1 = ANY (pg_blocking_pids(pid))
"""


class Locked(PostgresFault, frozen=True, kw_only=True):
    """`TARGET locked TABLE [rows CONDITION]`. A session of Loadpath's own holds the lock, so it is
    released when Loadpath ends, however it does."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("locked",)
    FORM: ClassVar[str] = "TARGET locked TABLE [rows CONDITION]"
    EXAMPLE: ClassVar[str] = "database locked link"
    SUMMARY: ClassVar[str] = (
        "Another session holds the table's ACCESS EXCLUSIVE lock, as a migration does, or (rows) "
        "the locks of the rows for which the condition holds."
    )
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = "waits"

    table: str
    rows: str = ""

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        if not words.next:
            raise words.wrong("the name of a table")
        table = words.next
        words.skip()
        rows = ""
        if words.take("rows"):
            if not words.next:
                raise words.wrong("a condition in SQL")
            rows = words.rest()
        return cls(target=target, table=table, rows=rows)

    def details(self) -> str:
        return f"{self.table} rows {self.rows}" if self.rows else self.table

    async def onset(self, injection: Injection) -> None:
        holder = await injection.stage.connect_postgres(self.target)

        async def release() -> None:
            if not holder.is_closed():
                await holder.close(timeout=5)

        injection.undo("release the lock", release)
        try:
            name = await holder.fetchval("SELECT $1::regclass::text", self.table)
            await holder.execute("BEGIN")
            await holder.execute(_WAIT_FOR_LOCK)
            if self.rows:
                found = await holder.fetch(f"SELECT 1 FROM {name} WHERE {self.rows} FOR UPDATE")
                injection.notes.append(f"{len(found)} rows locked")
            else:
                await holder.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        except asyncpg.PostgresError as error:
            raise LoadpathError(
                f"{self.target} did not give the lock on {self.table}: {error}",
                advice="Name a table of the service's database, and rows by a condition in SQL.",
            ) from None
        seen: set[tuple[int, Any]] = set()
        looker = await injection.stage.connect_postgres(self.target)

        async def let_go() -> None:
            looker.terminate()

        injection.undo("end the session that looks on", let_go)
        injection.meanwhile(_look(injection, looker, holder.get_server_pid(), seen))

    async def hits(self, injection: Injection) -> Hits:
        proof = f"{injection.gone} statements were seen to wait for the lock on {self.table}"
        return Hits(injection.gone, "; ".join([proof, *injection.notes]))


async def _look(injection: Injection, looker: Any, holder: int, seen: set[Any]) -> None:
    """Count the statements that wait for the holder's lock."""
    while True:
        for row in await looker.fetch(_BLOCKED, holder):
            seen.add((row["pid"], row["query_start"]))
        injection.gone = len(seen)
        await asyncio.sleep(_LOOK_S)
