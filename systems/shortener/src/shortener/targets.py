"""Where a code leads, and the three ways to remember it (REDIRECT_CACHE)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from glide import ExpirySet, ExpiryType, GlideClient, GlideError
from systems_common.batching import Batcher, OverloadedError
from systems_common.database import Database

from shortener.addresses import location_of

__all__ = ["DatabaseTargets", "LocalTargets", "Target", "Targets", "ValkeyTargets"]

log = logging.getLogger(__name__)


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a redirect needs of a link. Times are Unix seconds; `limited` is: has a maxVisits."""

    link_id: int
    location: str
    valid_since_s: float | None
    valid_until_s: float | None
    limited: bool
    forward_query: bool


class Targets(Protocol):
    """A source of targets that may remember them."""

    def peek(self, code: str) -> Target | None:
        """The target, when it can be had without waiting."""
        ...

    async def find(self, code: str) -> Target | None:
        """The target, or None when there is no such code. Raises `DatabaseUnavailableError`."""
        ...

    def forget(self, code: str) -> None:
        """The link of this code was changed or deleted."""
        ...

    def forget_all(self) -> None:
        """Any link may have been changed unnoticed."""
        ...


_SELECT = """
SELECT id, long_url, valid_since, valid_until, max_visits IS NOT NULL AS limited, forward_query
FROM link WHERE code = $1 AND domain = ''"""


class DatabaseTargets:
    """REDIRECT_CACHE=off: every redirect reads its link."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def peek(self, code: str) -> Target | None:
        """Nothing is remembered."""
        return None

    async def find(self, code: str) -> Target | None:
        """Read the link."""
        row = await self._database.fetchrow(_SELECT, code)
        if row is None:
            return None
        identifier, long_url, since, until, limited, forward_query = row
        return Target(
            identifier,
            location_of(long_url),
            None if since is None else since.timestamp(),
            None if until is None else until.timestamp(),
            limited,
            forward_query,
        )

    def forget(self, code: str) -> None:
        """Nothing is remembered."""

    def forget_all(self) -> None:
        """Nothing is remembered."""


class LocalTargets:
    """REDIRECT_CACHE=local: a bounded dictionary in the process, the least recently used out first.

    Unknown codes are not remembered, so a link that was just made works at once everywhere.
    """

    def __init__(self, source: Targets, *, ttl_s: float, entries: int) -> None:
        self._source = source
        self._ttl_s = ttl_s
        self._entries = entries
        self._known: OrderedDict[str, tuple[Target, float]] = OrderedDict()
        self._changes = 0

    def peek(self, code: str) -> Target | None:
        """The target when it was remembered less than the time to live ago."""
        entry = self._known.get(code)
        if entry is None or entry[1] < time.monotonic():
            return None
        self._known.move_to_end(code)
        return entry[0]

    async def find(self, code: str) -> Target | None:
        """Ask the source and remember the answer."""
        changes = self._changes
        target = await self._source.find(code)
        # When a change was told while we asked, the answer may be the old one.
        if target is not None and changes == self._changes:
            self._known[code] = (target, time.monotonic() + self._ttl_s)
            self._known.move_to_end(code)
            if len(self._known) > self._entries:
                self._known.popitem(last=False)
        return target

    def forget(self, code: str) -> None:
        """Drop one entry."""
        self._changes += 1
        self._known.pop(code, None)

    def forget_all(self) -> None:
        """Drop all entries."""
        self._changes += 1
        self._known.clear()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Target).decode


class ValkeyTargets:
    """REDIRECT_CACHE=valkey: shared by all processes. Lookups that arrive together are one MGET.

    When Valkey fails, redirects go to the source, and Valkey is left alone for a second so that
    not every one of them waits for a time-out.
    """

    _LEFT_ALONE_S = 1.0
    _KEYS_MAX = 200
    _CALLS_MAX = 4

    def __init__(self, source: Targets, client: GlideClient, *, ttl_s: float) -> None:
        self._source = source
        self._client = client
        self._expiry = ExpirySet(ExpiryType.MILLSEC, int(ttl_s * 1000))
        self._batcher = Batcher[str, bytes | None](
            self._get, size_max=self._KEYS_MAX, calls_max=self._CALLS_MAX
        )
        self._changes = 0
        self._left_alone_until_s = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    def peek(self, code: str) -> Target | None:
        """Always has to wait."""
        return None

    async def find(self, code: str) -> Target | None:
        """Ask Valkey, then the source; Valkey is told without waiting for it."""
        asked = time.monotonic() >= self._left_alone_until_s
        if asked:
            try:
                value = await self._batcher.submit(code)
                if value is not None:
                    return _decode(value)
            except (GlideError, OverloadedError, OSError, msgspec.DecodeError) as error:
                self._fail(error)
                asked = False
        changes = self._changes
        target = await self._source.find(code)
        if target is not None and asked and changes == self._changes:
            self._run(self._client.set(_key(code), _encode(target), expiry=self._expiry))
        return target

    def forget(self, code: str) -> None:
        """Delete the key. Every process does, after its own writes, so none can put it back."""
        self._changes += 1
        self._run(self._client.delete([_key(code)]))

    def forget_all(self) -> None:
        """What was missed ends with its time to live; the keys are not this process's alone."""
        self._changes += 1

    async def _get(self, codes: list[str]) -> Sequence[bytes | None]:
        return await self._client.mget([_key(code) for code in codes])

    def _run(self, command: Any) -> None:
        task = asyncio.get_running_loop().create_task(command)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        now_s = time.monotonic()
        if now_s >= self._left_alone_until_s:
            log.warning("Valkey is left alone", extra={"error": str(error) or repr(error)})
        self._left_alone_until_s = now_s + self._LEFT_ALONE_S


def _key(code: str) -> str:
    return f"shortener:target:{code}"
