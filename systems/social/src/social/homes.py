"""Home timelines in Valkey: for each user the ids of the newest statuses, at most `ENTRIES_MAX`.

A home is a sorted set whose members sort as text: ids, padded, and marks, which sort after them:
`c` the home is complete down to its lowest id, `w` nothing is older than that, `b:…` somebody is
making it. What is not in Valkey is made from PostgreSQL, so losing Valkey loses nothing.

Making a home and a fan-out may meet. So who makes one first puts its mark, then reads PostgreSQL;
a fan-out adds to whatever is there, marked or complete. A status that commits after the read finds
the mark. A change of whom somebody follows deletes the home, mark and all, and who was making it
finds the mark gone and throws away what was read. So a home may hold too much, which the read of
the statuses leaves out, but never too little.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from glide import GlideClient, GlideError, Script
from systems_common.batching import Batcher, OverloadedError

from social.pages import BEYOND, Page

__all__ = ["ENTRIES_MAX", "Home", "Homes", "HomesUnavailableError", "key_of"]

log = logging.getLogger(__name__)

ENTRIES_MAX = 800
_LIFE_S = 7 * 24 * 3600
_MAKING_S = 30
_HOMES_A_CALL = 1_000
_FAILED = (GlideError, OSError, OverloadedError)

# `w` is also said when the home reaches down to the lower end of the page.
_READ = """
local found = {}
for i, key in ipairs(KEYS) do
    local at = (i - 1) * 4
    local lower, upper = ARGV[at + 1], ARGV[at + 2]
    if redis.call('ZSCORE', key, 'c') then
        local ids
        if ARGV[at + 4] == '1' then
            ids = redis.call('ZRANGE', key, lower, upper, 'BYLEX', 'LIMIT', 0, ARGV[at + 3])
        else
            ids = redis.call('ZRANGE', key, upper, lower, 'BYLEX', 'REV', 'LIMIT', 0, ARGV[at + 3])
        end
        local whole = redis.call('ZSCORE', key, 'w')
            or lower ~= '-' and '(' .. redis.call('ZRANGE', key, 0, 0)[1] <= lower
        found[i] = (whole and 'w' or 'c') .. table.concat(ids)
    else
        found[i] = ''
    end
end
return found
"""
_ADD = """
for i, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then
        local ids = ARGV[i + 1]
        for at = 1, #ids, 19 do
            redis.call('ZADD', key, 0, string.sub(ids, at, at + 18))
        end
        local over = redis.call('ZCARD', key) - ARGV[1] - 2
        if over > 0 then
            redis.call('ZREMRANGEBYRANK', key, 0, over - 1)
            redis.call('ZREM', key, 'w')
        end
    end
end
return 1
"""
_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
_FINISH = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], 0, 'c')
if ARGV[2] == '1' then redis.call('ZADD', KEYS[1], 0, 'w') end
local ids = ARGV[4]
for at = 1, #ids, 19 do
    redis.call('ZADD', KEYS[1], 0, string.sub(ids, at, at + 18))
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class HomesUnavailableError(Exception):
    """Valkey does not answer."""


class Home(msgspec.Struct, frozen=True):
    """Ids of one page; `whole`: what is not here is not in PostgreSQL either."""

    ids: list[int]
    whole: bool


class _Wanted(msgspec.Struct, frozen=True):
    account: int
    page: Page


class Homes:
    """Homes as Valkey holds them. When it fails it is left alone for a second."""

    _LEFT_ALONE_S = 1.0

    def __init__(self, client: GlideClient) -> None:
        self._client = client
        self._read, self._add, self._begin, self._finish = (
            Script(text)  # type: ignore[no-untyped-call]
            for text in (_READ, _ADD, _BEGIN, _FINISH)
        )
        self._reads = Batcher[_Wanted, Home | None](self._read_homes, size_max=100, calls_max=4)
        self._left_alone_until_s = 0.0

    @property
    def is_left_alone(self) -> bool:
        """Whether Valkey failed less than a second ago."""
        return time.monotonic() < self._left_alone_until_s

    async def read(self, account: int, page: Page) -> Home | None:
        """A page of a home; None when it is not there. Raises `HomesUnavailableError`."""
        if self.is_left_alone:
            raise HomesUnavailableError("Valkey failed just now")
        try:
            return await self._reads.submit(_Wanted(account, page))
        except _FAILED as error:
            raise self._fail(error) from error

    async def add(self, entries: Mapping[int, Sequence[int]]) -> None:
        """Add statuses to the homes of these accounts that are there. Adding twice is adding once.

        Raises `HomesUnavailableError`; some may have been added then.
        """
        accounts = list(entries)
        try:
            for start in range(0, len(accounts), _HOMES_A_CALL):
                part = accounts[start : start + _HOMES_A_CALL]
                ids = ["".join(f"{status:019d}" for status in entries[one]) for one in part]
                await self._client.invoke_script(
                    self._add, [key_of(one) for one in part], [str(ENTRIES_MAX), *ids]
                )
        except _FAILED as error:
            raise self._fail(error) from error

    async def begin(self, account: int) -> str | None:
        """Mark a home as being made; None when it is there or somebody else makes it."""
        mark = f"b:{secrets.token_hex(8)}"
        try:
            begun = await self._client.invoke_script(
                self._begin, [key_of(account)], [mark, str(_MAKING_S)]
            )
        except _FAILED as error:
            raise self._fail(error) from error
        return mark if begun else None

    async def finish(self, account: int, mark: str, ids: Sequence[int]) -> bool:
        """Fill the home that was begun with this mark; False when it was deleted meanwhile."""
        whole = "1" if len(ids) < ENTRIES_MAX else "0"
        text = "".join(f"{status:019d}" for status in ids)
        try:
            return bool(
                await self._client.invoke_script(
                    self._finish, [key_of(account)], [mark, whole, str(_LIFE_S), text]
                )
            )
        except _FAILED as error:
            raise self._fail(error) from error

    async def forget(self, accounts: Sequence[int]) -> None:
        """Delete homes. Raises `HomesUnavailableError`."""
        try:
            await self._client.delete([key_of(account) for account in accounts])
        except _FAILED as error:
            raise self._fail(error) from error

    async def _read_homes(self, wanted: list[_Wanted]) -> list[Home | None]:
        arguments: list[str] = []
        for one in wanted:
            page = one.page
            lower = "-" if page.lower < 0 else f"({page.lower:019d}"
            # Marks sort after every id.
            upper = "(:" if page.upper == BEYOND else f"({page.upper:019d}"
            arguments += [lower, upper, str(page.limit), "1" if page.rising else "0"]
        answer: Any = await self._client.invoke_script(
            self._read, [key_of(one.account) for one in wanted], list(arguments)
        )
        return [_home(found.decode()) for found in answer]

    def _fail(self, error: BaseException) -> HomesUnavailableError:
        if not self.is_left_alone:
            log.warning("Valkey is left alone", extra={"error": str(error) or repr(error)})
        self._left_alone_until_s = time.monotonic() + self._LEFT_ALONE_S
        return HomesUnavailableError(str(error) or type(error).__name__)


def _home(found: str) -> Home | None:
    if not found:
        return None
    ids = [int(found[at : at + 19]) for at in range(1, len(found), 19)]
    return Home(ids, whole=found[0] == "w")


def key_of(account: int) -> str:
    """What the home of an account is called in Valkey; the number changes with the layout."""
    return f"social:home:1:{account}"
