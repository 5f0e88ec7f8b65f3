"""Hears of new, changed and deleted links, and of domains, from PostgreSQL (LISTEN)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import asyncpg
from systems_common.database import DatabaseUnavailableError, connect

from shortener.domains import Domains
from shortener.targets import Targets

__all__ = ["listen_for_changes"]

log = logging.getLogger(__name__)

_RETRY_S = 0.5
_PROBE_S = 10.0


async def listen_for_changes(url: str, targets: Targets, domains: Domains) -> None:
    """Run until cancelled, over one connection of its own.

    The notification is part of the transaction that changed the link. What was missed while the
    connection was down cannot be known, so when it is up again everything is forgotten.
    """

    def link_changed(connection: object, pid: int, channel: str, key: str) -> None:
        targets.forget(key)

    def domain_changed(connection: object, pid: int, channel: str, payload: str) -> None:
        domains.reload()

    while True:
        try:
            connection = await connect(url, name="shortener listen")
        except DatabaseUnavailableError:
            await asyncio.sleep(_RETRY_S)
            continue
        try:
            await connection.add_listener("link_changed", link_changed)
            await connection.add_listener("domain_changed", domain_changed)
            targets.changes_are_told(True)
            domains.reload()
            await _until_broken(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("not listening for changes", extra={"error": str(error) or repr(error)})
        finally:
            targets.changes_are_told(False)
            connection.terminate()
        await asyncio.sleep(_RETRY_S)


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
