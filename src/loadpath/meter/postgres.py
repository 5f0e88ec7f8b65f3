"""What PostgreSQL's backends are doing and waiting for, by its own account.

A full connection pool shows as all of the service's backends busy while CPU is idle; a hot row as
backends that wait for a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Any, TypeAlias

import asyncpg
import numpy as np

from loadpath.errors import WouldNotRunError
from loadpath.meter.tables import Columns
from loadpath.recording.schema import POSTGRES

Row: TypeAlias = tuple[float, str, str, str, str, int]

SAMPLES_MAX = 4096
"""Samples kept between two calls of `take`; beyond that every second one is dropped."""

_QUERY = """
SELECT coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), count(*)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
GROUP BY 1, 2, 3
"""
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Killed in the middle of a query, a connection says this when it is closed.
    asyncpg.InternalClientError,
)


class PostgresActivity:
    """Samples pg_stat_activity over one connection of its own, kept for as long as it runs.

    Use it as an async context manager. Backends of Loadpath are left out. When the connection is
    lost, because the server was stopped or killed, sampling ends and `lost` says why: what was
    sampled stays. The user must be allowed to see other sessions (superuser or pg_monitor), or
    their states are empty.

    Raises `WouldNotRunError` when it cannot connect.
    """

    def __init__(
        self,
        part: str,
        *,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        interval_s: float = 0.25,
    ) -> None:
        self._part = part
        self._connect: dict[str, Any] = {
            "host": host,
            "port": port,
            "user": user,
            "password": password,
            "database": database,
        }
        self._interval_s = interval_s
        self._samples: list[list[Row]] = []
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.lost: str | None = None

    async def start(self) -> None:
        """Connect, take the first sample and begin."""
        try:
            self._connection = await asyncpg.connect(
                **self._connect,
                timeout=5,
                command_timeout=5,
                server_settings={"application_name": "loadpath"},
            )
            await self._sample(self._connection)
        except _LOST as error:
            await self.stop()
            raise WouldNotRunError(
                f"{self._part}: cannot watch PostgreSQL's backends: {_words(error)}"
            ) from error
        self._task = asyncio.create_task(self._run(self._connection), name="postgres activity")

    async def stop(self) -> None:
        """Take no more samples and disconnect. Those not taken yet can still be."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=1)
            except _LOST:
                connection.terminate()

    def take(self) -> Columns:
        """Columns of the table `postgres` since the last call."""
        samples, self._samples = self._samples, []
        rows = [row for sample in samples for row in sample]
        return {
            column.name: np.array(
                [row[place] for row in rows], dtype="O" if column.type == "text" else column.type
            )
            for place, column in enumerate(POSTGRES.columns)
        }

    async def __aenter__(self) -> PostgresActivity:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _run(self, connection: asyncpg.Connection) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + self._interval_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            try:
                await self._sample(connection)
            except _LOST as error:
                self.lost = _words(error)
                return

    async def _sample(self, connection: asyncpg.Connection) -> None:
        asked_s = time.monotonic()
        groups = await connection.fetch(_QUERY)
        at_s = (asked_s + time.monotonic()) / 2
        if len(self._samples) >= SAMPLES_MAX:
            del self._samples[1::2]
        self._samples.append([(at_s, self._part, *group) for group in groups])


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
