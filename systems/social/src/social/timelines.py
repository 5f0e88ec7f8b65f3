"""Lists of statuses: pages that are full although some of what they hold is not for the viewer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from typing import Any

import msgspec
from systems_common.batching import Batcher
from systems_common.database import Database

from social.home_sql import (
    FOLLOWED,
    LISTED,
    LISTED_REPLIES,
    home_ids_sql,
    home_page_sql,
    home_pages_sql,
    page_of_ids_sql,
)
from social.homes import ENTRIES_MAX, Home, Homes, HomesUnavailableError
from social.pages import Page, Paging, paged
from social.statuses import AT, COLUMNS, Reader, Shown

__all__ = ["Slice", "Timelines", "fill"]

_ROUNDS_MAX = 5
# Few enough that nobody waits long for the others, and more than one statement at a time, so that
# nobody has to wait for a slow one.
_PAGES_A_CALL = 16
_CALLS_MAX = 4


class Slice(msgspec.Struct, frozen=True):
    """A page as it is shown, the newest first, and the ids between which it lies."""

    statuses: list[Shown]
    newest: int
    oldest: int


class Round(msgspec.Struct, frozen=True):
    """One reading: what may be shown, in the order read; where the next begins, None at the end."""

    statuses: list[Shown]
    last: int | None


async def fill(page: Page, read: Callable[[Page], Awaitable[Round]]) -> Slice | None:
    """Read until the page is full or the list ends; None when there is nothing to show.

    A page must not be short, let alone empty, because of what was left out of it: clients take a
    short page for the end of the list.
    """
    found: list[Shown] = []
    rest = page
    last: int | None = None
    for _ in range(_ROUNDS_MAX):
        part = await read(rest)
        found += part.statuses
        last = part.last
        if last is None or len(found) >= page.limit:
            break
        rest = (
            msgspec.structs.replace(rest, lower=last)
            if page.rising
            else msgspec.structs.replace(rest, upper=last)
        )
    found = found[: page.limit]
    if page.rising:
        found.reverse()
    if not found:
        return None
    return Slice(found, found[0].id, found[-1].id)


class _HomePage(msgspec.Struct, frozen=True):
    """A page of a home whose ids are known but for those that are merged in."""

    viewer: int
    page: Page
    ids: list[int]


class Timelines:
    """Reads timelines for a viewer."""

    def __init__(
        self, database: Database, reader: Reader, homes: Homes | None, *, paging: Paging
    ) -> None:
        self._database = database
        self._reader = reader
        self._homes = homes
        self._paging = paging
        # The same texts are asked for again and again; making one costs more than a look-up.
        self._sql = cache(self._made_sql)
        self._home_sql = cache(self._made_home_sql)
        self._list_sql = cache(self._made_list_sql)
        # Pages that are asked for together are read by one statement.
        self._home_pages = {
            rising: Batcher[_HomePage, list[Any]](
                partial(self._read_home_pages, reader.pages_sql(home_pages_sql(rising=rising))),
                size_max=_PAGES_A_CALL,
                calls_max=_CALLS_MAX,
            )
            for rising in (False, True)
        }

    async def statuses(
        self,
        viewer: int | None,
        page: Page,
        source: str,
        *arguments: Any,
        key: str = "s.id",
        wanted_from: int | None = None,
    ) -> Slice | None:
        """A page of the statuses `s` of `FROM … WHERE …`; its own arguments begin at $5.

        `key` is the column of an index that has their ids in order. Those of the account
        `wanted_from` are wanted even if it is muted or blocked.
        """
        sql = self._sql(source, key, page.rising)

        async def read(part: Page) -> Round:
            rows = await self._database.fetch(
                sql, viewer, part.upper, part.lower, part.limit, *arguments
            )
            return await self._round(rows, viewer, part, wanted_from=wanted_from)

        return await fill(page, read)

    async def home(self, viewer: int, page: Page) -> Slice | None:
        """A page of the home of the viewer."""

        async def read(part: Page) -> Round:
            cached = await self._cached(viewer, part)
            return await self._home_round(viewer, part, cached)

        return await fill(page, read)

    async def of_list(self, viewer: int, list_id: int, page: Page) -> Slice | None:
        """A page of the statuses of those in a list of the viewer's."""
        sql = self._list_sql(page.rising)

        async def read(part: Page) -> Round:
            rows = await self._database.fetch(
                sql, viewer, part.upper, part.lower, part.limit, list_id
            )
            return await self._round(rows, viewer, part)

        return await fill(page, read)

    async def make_home(self, viewer: int) -> None:
        """Put a home into Valkey that is not there. Raises `HomesUnavailableError`."""
        assert self._homes is not None
        mark = await self._homes.begin(viewer)
        if mark is not None:
            rows = await self._database.fetch(
                home_ids_sql(FOLLOWED), viewer, 1 << 62, -1, ENTRIES_MAX
            )
            await self._homes.finish(viewer, mark, [row[0] for row in rows])

    async def _cached(self, viewer: int, page: Page) -> Home | None:
        if self._homes is None:
            return None
        try:
            home = await self._homes.read(viewer, page)
            if home is None:
                await self.make_home(viewer)
                home = await self._homes.read(viewer, page)
        except HomesUnavailableError:
            return None
        if home is None:
            return None
        if not home.whole and (page.rising or len(home.ids) < page.limit):
            # It ends before the page does, or begins above it.
            return None
        return home

    async def _home_round(self, viewer: int, page: Page, home: Home | None) -> Round:
        if home is None:
            rows = await self._database.fetch(
                self._home_sql(page.rising), viewer, page.upper, page.lower, page.limit
            )
            return await self._round(rows, viewer, page)
        bounded, more = page, len(home.ids) >= page.limit
        if more:
            # Below the last that Valkey gave there are others which it did not give, so what is
            # merged in must not reach further.
            last = home.ids[-1]
            bounded = (
                msgspec.structs.replace(page, upper=last + 1)
                if page.rising
                else msgspec.structs.replace(page, lower=last - 1)
            )
        asked = _HomePage(viewer, bounded, home.ids)
        rows = await self._home_pages[page.rising].submit(asked)
        found = await self._round(rows, viewer, page)
        if found.last is None and more:
            return Round(found.statuses, home.ids[-1])
        return found

    async def _read_home_pages(self, sql: str, asked: list[_HomePage]) -> list[list[Any]]:
        ids: list[int] = []
        first, last = [], []
        for one in asked:
            first.append(len(ids) + 1)
            ids += one.ids
            last.append(len(ids))
        rows = await self._database.fetch(
            sql,
            [one.viewer for one in asked],
            [one.page.upper for one in asked],
            [one.page.lower for one in asked],
            [one.page.limit for one in asked],
            ids,
            first,
            last,
        )
        found: list[list[Any]] = [[] for _ in asked]
        for row in rows:
            found[row[AT] - 1].append(row)
        return found

    async def _round(
        self, rows: Sequence[Any], viewer: int | None, page: Page, *, wanted_from: int | None = None
    ) -> Round:
        shown = await self._reader.shown(rows, viewer)
        listed = sorted((row[0] for row in rows if row[1]), reverse=not page.rising)
        statuses = [
            shown[one] for one in listed if one in shown and shown[one].is_wanted(wanted_from)
        ]
        return Round(statuses, listed[-1] if len(listed) >= page.limit else None)

    def _made_sql(self, source: str, key: str, rising: bool) -> str:
        chosen = paged(COLUMNS, source, key, rising=rising, paging=self._paging)
        return self._reader.rows_sql(chosen)

    def _made_list_sql(self, rising: bool) -> str:
        ids = home_ids_sql(LISTED, rising=rising, rule=LISTED_REPLIES)
        return self._reader.rows_sql(page_of_ids_sql(ids))

    def _made_home_sql(self, rising: bool) -> str:
        return self._reader.rows_sql(home_page_sql(rising=rising))
