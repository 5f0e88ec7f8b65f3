"""REDIRECT_CACHE=valkey: targets remembered in Valkey, shared by all processes."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from glide import ExpirySet, ExpiryType, GlideClient, GlideError
from systems_common.batching import Batcher, OverloadedError
from systems_common.database import DatabaseUnavailableError

from shortener.remembering import SingleFlight, UnknownKeys
from shortener.targets import Target, Targets

__all__ = ["Remembered", "ValkeyTargets", "is_due"]

log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What stands in Valkey. `expires_s` is Unix time; reading the target had taken `read_s`."""

    target: Target
    expires_s: float
    read_s: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


def is_due(found: Remembered, now_s: float, chance: float) -> bool:
    """Whether who found this should read it anew already; `chance` is in (0, 1].

    Probabilistic early expiration (Vattani, Chierichetti and Lowenstein 2015, β = 1): the likelier
    the nearer the end is and the longer a read takes. So a hot key is read anew by about one
    request before it ends, where otherwise every process would read it at the same time after.
    """
    return now_s - found.read_s * math.log(chance) >= found.expires_s


class ValkeyTargets:
    """Lookups that arrive together are one MGET; keys without a link are kept in the process.

    When Valkey fails, redirects go to the source, and Valkey is left alone for a second so that
    not every one of them waits for a time-out.
    """

    _LEFT_ALONE_S = 1.0
    _KEYS_MAX = 200
    _CALLS_MAX = 4
    _UNDELETED_MAX = 10_000

    def __init__(
        self,
        source: Targets,
        client: GlideClient,
        *,
        ttl_s: float,
        unknown: UnknownKeys,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._flights = SingleFlight(_Timed(source, self._took), self._keep)
        self._client = client
        self._ttl_s = ttl_s
        self._expiry = ExpirySet(ExpiryType.MILLSEC, int(ttl_s * 1000))
        self._unknown = unknown
        self._chance = chance
        self._batcher = Batcher[str, bytes | None](
            self._get, size_max=self._KEYS_MAX, calls_max=self._CALLS_MAX
        )
        self._left_alone_until_s = 0.0
        self._read_s = 0.001
        # Keys that Valkey was away for when they changed.
        self._undeleted: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    def peek(self, key: str) -> Target | None:
        """Always has to wait."""
        return None

    async def find(self, key: str) -> Target | None:
        """Ask Valkey, then the source; Valkey is told without waiting for it."""
        if key in self._unknown:
            return None
        if key in self._undeleted:
            self._run(self._delete(key))
        elif time.monotonic() >= self._left_alone_until_s:
            try:
                value = await self._batcher.submit(key)
                if value is not None:
                    found = _decode(value)
                    if is_due(found, time.time(), 1.0 - self._chance()):
                        self._run(self._refresh(key))
                    return found.target
            except (GlideError, OverloadedError, OSError, msgspec.DecodeError) as error:
                self._fail(error)
        return await self._flights.find(key)

    def forget(self, key: str) -> None:
        """Delete the key. Every process does, after its own writes, so none can put it back."""
        self._flights.forget(key)
        self._unknown.forget(key)
        self._run(self._delete(key))

    def changes_are_told(self, told: bool) -> None:
        """What was missed ends with its time to live; the keys are not this process's alone."""
        self._flights.forget_all()
        self._unknown.changes_are_told(told)

    def _keep(self, key: str, target: Target | None) -> None:
        if target is None:
            self._unknown.add(key)
        elif self._may_write(key):
            found = Remembered(target, time.time() + self._ttl_s, self._read_s)
            self._run(self._client.set(_key(key), _encode(found), expiry=self._expiry))

    def _may_write(self, key: str) -> bool:
        # Who is not told of changes might write down what others have just deleted.
        return (
            self._unknown.told
            and key not in self._undeleted
            and time.monotonic() >= self._left_alone_until_s
        )

    async def _refresh(self, key: str) -> None:
        try:
            await self._flights.find(key)
        except DatabaseUnavailableError as error:
            log.info("a target was not read anew", extra={"error": str(error)})

    async def _delete(self, key: str) -> None:
        try:
            await self._client.delete([_key(key)])
        except (GlideError, OSError) as error:
            # Valkey may come back with what it held, so this key is not asked for until deleted.
            self._undeleted[key] = None
            if len(self._undeleted) > self._UNDELETED_MAX:
                self._undeleted.popitem(last=False)
            self._fail(error)
        else:
            self._undeleted.pop(key, None)

    def _took(self, read_s: float) -> None:
        self._read_s = read_s

    async def _get(self, keys: list[str]) -> Sequence[bytes | None]:
        return await self._client.mget([_key(key) for key in keys])

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


class _Timed:
    """A source that tells how long its reads take."""

    def __init__(self, source: Targets, took: Callable[[float], None]) -> None:
        self._source = source
        self._took = took
        self.peek = source.peek
        self.forget = source.forget
        self.changes_are_told = source.changes_are_told

    async def find(self, key: str) -> Target | None:
        began_s = time.monotonic()
        target = await self._source.find(key)
        self._took(time.monotonic() - began_s)
        return target


def _key(key: str) -> str:
    # The number changes with the layout of `Remembered`.
    return f"shortener:target:2:{key}"
