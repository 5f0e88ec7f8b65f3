"""What PostgreSQL tells this process: tokens that ended, and with WAKE=notify rooms that moved.

A notification commits with the change, and is lost only with a connection that we see breaking.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
from systems_common.database import DatabaseUnavailableError, connect

__all__ = ["listen"]

log = logging.getLogger(__name__)

_RETRY_S = 0.5
_CHECK_S = 10.0


async def listen(
    url: str, hear: Mapping[str, Callable[[str], None]], told: Callable[[bool], None]
) -> None:
    """Hand each channel's payloads on, until cancelled; `told` says whether we are listening."""
    while True:
        try:
            connection = await connect(url, name="messaging listen")
        except DatabaseUnavailableError:
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            for channel, take in hear.items():
                await connection.add_listener(channel, _hearing(take))
            told(True)
            await _until_broken(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("not listening for changes", extra={"error": str(error) or repr(error)})
        finally:
            told(False)
            connection.terminate()
        await asyncio.sleep(_RETRY_S)


def _hearing(take: Callable[[str], None]) -> Callable[[object, int, str, str], None]:
    def heard(connection: object, pid: int, channel: str, payload: str) -> None:
        take(payload)

    return heard


async def _until_broken(connection: Any) -> None:
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    while not connection.is_closed():
        try:
            async with asyncio.timeout(_CHECK_S):
                await ended.wait()
            return
        except TimeoutError:
            # A connection that is silently gone ends here.
            await connection.fetchval("SELECT 1", timeout=5.0)
