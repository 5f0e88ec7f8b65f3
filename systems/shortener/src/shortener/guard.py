"""Which long URLs are refused when a link is made or changed, and which hosts are banned."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

from systems_common.database import Database
from systems_common.hosts import (
    ancestors,
    clean_host,
    host_of,
    is_local_name,
    is_public,
    literal_address,
)

from shortener import problems

__all__ = [
    "LEADS_TO_BANNED",
    "BanError",
    "TargetGuard",
    "ban",
    "banned_hosts",
    "is_banned",
    "unban",
]

log = logging.getLogger(__name__)

_LOOKUP_S = 1.0
_REMEMBERED_S = 60.0
_REMEMBERED_MAX = 4_096
_LOOKUPS_AT_ONCE = 4


class BanError(Exception):
    """A ban that cannot be made or taken back."""


class TargetGuard:
    """Looks at a long URL before it is stored.

    A name that does not resolve, or not in time, is taken: the service itself never fetches a long
    URL, and making links must not depend on somebody's name server. What the name resolves to
    later is not looked at again.
    """

    def __init__(self, database: Database, *, allow_private: bool) -> None:
        self._database = database
        self._allow_private = allow_private
        # A resolver that hangs holds a thread until it gives up, so these are apart and few.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="resolve")
        self._under_way = 0
        self._known: dict[str, tuple[bool, float]] = {}

    def close(self) -> None:
        """Wait for no lookup."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, long_url: str, element: str = "longUrl") -> None:
        """Raises the problem of a URL whose host is banned, or not the public's."""
        host = host_of(long_url)
        if host is None:
            raise problems.invalid_data([element], "The host of the long URL is not valid.")
        if await is_banned(self._database, host):
            raise problems.invalid_data([element], f"Links to {host} are not taken here.")
        if not self._allow_private and not await self._may_be_public(host):
            raise problems.invalid_data(
                [element], f"Links to {host} are not taken: it is not a public address."
            )

    async def _may_be_public(self, host: str) -> bool:
        literal = literal_address(host)
        if literal is not None:
            return is_public(literal)
        if is_local_name(host):
            return False
        now_s = time.monotonic()
        known = self._known.get(host)
        if known is not None and now_s < known[1]:
            return known[0]
        addresses = await self._resolve(host)
        # One private address among public ones is how rebinding begins.
        public = all(is_public(ip_address(address)) for address in addresses)
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[host] = (public, now_s + _REMEMBERED_S)
        return public

    async def _resolve(self, host: str) -> list[str]:
        if self._under_way >= _LOOKUPS_AT_ONCE:
            log.warning("too many lookups hang; a host was not looked up", extra={"host": host})
            return []
        self._under_way += 1
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _lookup, host)
        lookup.add_done_callback(self._looked_up)
        try:
            async with asyncio.timeout(_LOOKUP_S):
                return await asyncio.shield(lookup)
        except TimeoutError:
            log.warning("a host was not looked up in time", extra={"host": host})
        except (OSError, UnicodeError) as error:
            log.debug("a host does not resolve", extra={"host": host, "error": str(error)})
        return []

    def _looked_up(self, lookup: asyncio.Future[list[str]]) -> None:
        self._under_way -= 1
        if not lookup.cancelled():
            lookup.exception()  # Whoever waited has had it; one who gave up does not want it.


def _lookup(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]


LEADS_TO_BANNED = """
EXISTS (SELECT FROM banned_host) AND (
    EXISTS (SELECT FROM banned_host WHERE host = ANY (url_hosts(link.long_url)))
    OR link.has_redirect_rules AND EXISTS (
        SELECT FROM banned_host WHERE host = ANY (ARRAY(
            SELECT unnest(url_hosts(r.long_url)) FROM redirect_rule AS r
            WHERE r.link_id = link.id))))"""
"""Whether a link, or a rule of it, leads to a banned host. Where nothing is banned it looks at one
empty table. An array, because a join may read all rules.
"""

_IS_BANNED = "SELECT EXISTS (SELECT FROM banned_host WHERE host = ANY($1::text[]))"


async def is_banned(database: Database, host: str) -> bool:
    """Whether this host, as `clean_host` writes it, or a domain that it is in is banned."""
    return bool(await database.fetchval(_IS_BANNED, ancestors(host)))


# Writing a link anew, unchanged, has every process forget it, as any other change of it does.
_TOUCH = """
UPDATE link SET long_url = long_url
WHERE url_hosts(long_url) && $1::text[]
   OR has_redirect_rules AND id IN (
       SELECT link_id FROM redirect_rule WHERE url_hosts(long_url) && $1::text[])"""


def _spellings(host: str) -> list[str]:
    # A long URL is kept as it was given, so a name of another script may stand in either form.
    try:
        return list(dict.fromkeys([host, host.encode("ascii").decode("idna").lower()]))
    except UnicodeError:
        return [host]


async def ban(connection: Any, text: str) -> str | None:
    """Ban a host with all its subdomains, over an asyncpg connection; returns it as it is kept.

    None when it is no host. Links to it that are there stop to lead on.
    """
    host = clean_host(text)
    if host is not None:
        async with connection.transaction():
            await connection.execute(
                """INSERT INTO banned_host (host) SELECT unnest($1::text[])
                   ON CONFLICT DO NOTHING""",
                _spellings(host),
            )
            await connection.execute(_TOUCH, _spellings(host), timeout=600)
    return host


async def unban(connection: Any, text: str) -> bool:
    """Take a ban back; False when there was none. Links to the host lead on again."""
    host = clean_host(text)
    spellings = _spellings(host) if host is not None else []
    async with connection.transaction():
        done: str = await connection.execute(
            "DELETE FROM banned_host WHERE host = ANY($1::text[])", spellings
        )
        if done == "DELETE 0":
            return False
        await connection.execute(_TOUCH, spellings, timeout=600)
    return True


async def banned_hosts(connection: Any) -> list[str]:
    """All that are banned, in order."""
    return [
        row["host"] for row in await connection.fetch("SELECT host FROM banned_host ORDER BY 1")
    ]
