"""Hears what PostgreSQL notifies of (LISTEN), over one connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from systems_common.database import DatabaseUnavailableError, connect

__all__ = ["listen"]

log = logging.getLogger(__name__)

# An InternalClientError: its word of good-bye came before its end.
_BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_RETRY_S = 0.5
_PROBE_S = 10.0


async def listen(
    url: str,
    *,
    name: str,
    channels: Mapping[str, Callable[[str], None]],
    is_told: Callable[[bool], None],
) -> None:
    """Run until cancelled; what a channel says is given to its function.

    A notification is part of the transaction that sent it. What was missed while the connection was
    down cannot be known: `is_told` hears True when it is up, False when it is not any more.
    """
    while True:
        try:
            connection = await connect(url, name=name)
        except DatabaseUnavailableError:
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            for channel, hear in channels.items():
                await connection.add_listener(channel, _hearing(hear))
            is_told(True)
            await _until_broken(connection)
        except _BROKEN as error:
            log.warning("not listening for changes", extra={"error": str(error) or repr(error)})
        finally:
            is_told(False)
            connection.terminate()
        await asyncio.sleep(_RETRY_S)


def _hearing(hear: Callable[[str], None]) -> Callable[[object, int, str, str], None]:
    def heard(connection: object, pid: int, channel: str, payload: str) -> None:
        hear(payload)

    return heard


async def _until_broken(connection: Any) -> None:
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    while not connection.is_closed():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PROBE_S):
                await ended.wait()
                return
        # A peer that vanished without a word would never be noticed by one who only listens.
        await connection.fetchval("SELECT 1", timeout=_PROBE_S)
