"""The domains of the service, and where each sends those who found no link there."""

from __future__ import annotations

import asyncio
import logging

import msgspec
from systems_common.database import Database, DatabaseUnavailableError

from shortener.addresses import location_of

__all__ = ["Domain", "Domains"]

log = logging.getLogger(__name__)

_RETRY_S = 0.5

_SELECT = """
SELECT name, base_url_redirect, invalid_short_url_redirect, regular_404_redirect FROM domain"""


class Domain(msgspec.Struct, frozen=True):
    """A domain by its name in lower case, '' is the default one, and its redirects by the type of
    orphan visit that they are for.
    """

    name: str
    redirects: dict[str, str] = {}


class Domains:
    """All domains, in memory: there are few, and each request is for one of them.

    A host that is none of them is served as the default domain. So whatever a Host header says, it
    chooses among what is there already and never becomes part of an address.
    """

    def __init__(self, database: Database, default_host: str) -> None:
        self._database = database
        self._default_host = default_host.lower()
        self._default = Domain("")
        self._others: dict[bytes, Domain] = {}
        self._reloading: asyncio.Task[None] | None = None
        self._is_stale = False

    def of(self, host: bytes | None) -> Domain:
        """The domain that a Host header names."""
        if not host or not self._others:
            return self._default
        found = self._others.get(host)
        if found is None:
            found = self._others.get(host.lower().removesuffix(b":80").removesuffix(b":443"))
        return found or self._default

    def chosen(self, name: str | None, host: bytes | None) -> Domain:
        """The domain that a parameter `domain` names, if there is one; else that of the host."""
        return self.of(name.encode("utf-8", "surrogatepass") if name else host)

    async def load(self) -> None:
        """Read the domains. Raises `DatabaseUnavailableError`."""
        others: dict[bytes, Domain] = {}
        default = Domain("")
        for name, base, invalid, other in await self._database.fetch(_SELECT):
            given = {"base_url": base, "invalid_short_url": invalid, "regular_404": other}
            redirects = _locations(name, given)
            if name == "":
                default = Domain("", redirects)
            else:
                others[name.lower().encode("utf-8", "surrogatepass")] = Domain(name, redirects)
        others.pop(self._default_host.encode(), None)
        self._default, self._others = default, others

    def reload(self) -> None:
        """A domain was changed: read them again, in the background."""
        self._is_stale = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        while self._is_stale:
            self._is_stale = False
            try:
                await self.load()
            except DatabaseUnavailableError as error:
                log.info("domains were not read", extra={"error": str(error)})
                self._is_stale = True
                await asyncio.sleep(_RETRY_S)

    async def close(self) -> None:
        """End the reading in the background."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.wait({self._reloading})


def _locations(name: str, given: dict[str, str | None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, url in given.items():
        try:
            if url:
                found[kind] = location_of(url)
        except ValueError as error:
            # One that was written by hand must not take all domains with it.
            log.error("a redirect is no address", extra={"domain": name, "error": str(error)})
    return found
