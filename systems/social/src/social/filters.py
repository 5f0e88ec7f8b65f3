"""The filters of accounts: kept, changed, and read by version for who reads statuses."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import asyncpg
import msgspec
from systems_common.database import Database, transaction
from systems_common.ids import IdGenerator

from social.entities import timestamp
from social.errors import invalid, not_found
from social.live.telling import Teller
from social.matching import Filter, FilterContext, FilteredStatus, Keyword, Rules

__all__ = ["CONTEXTS", "Change", "Filters", "KeywordChange", "RuleBook"]

CONTEXTS: Final[tuple[FilterContext, ...]] = get_args(FilterContext)
_FILTERS_MAX, _KEYWORDS_MAX, _STATUSES_MAX = 100, 200, 500
_TITLE_MAX, _KEYWORD_MAX = 256, 512
_RULES_MAX = 2_000

_READ = """
SELECT f.id, f.title, f.contexts, f.hides, extract(epoch FROM f.expires_at)::float8 AS ends_s,
       ARRAY(SELECT k.id FROM filter_keyword AS k WHERE k.filter_id = f.id ORDER BY k.id),
       ARRAY(SELECT k.keyword FROM filter_keyword AS k WHERE k.filter_id = f.id ORDER BY k.id),
       ARRAY(SELECT k.whole_word FROM filter_keyword AS k WHERE k.filter_id = f.id ORDER BY k.id),
       ARRAY(SELECT s.id FROM filter_status AS s WHERE s.filter_id = f.id ORDER BY s.id),
       ARRAY(SELECT s.status_id FROM filter_status AS s WHERE s.filter_id = f.id ORDER BY s.id)
FROM filter AS f WHERE f.account_id = $1 AND ($2::bigint IS NULL OR f.id = $2) ORDER BY f.id"""

_COUNTED = """
SELECT (SELECT count(*) FROM filter WHERE account_id = $1),
       (SELECT count(*) FROM filter_keyword AS k JOIN filter AS f ON f.id = k.filter_id
        WHERE f.account_id = $1),
       (SELECT count(*) FROM filter_status AS s JOIN filter AS f ON f.id = s.filter_id
        WHERE f.account_id = $1)"""


class KeywordChange(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword to be made, or, with an id, changed or deleted."""

    id: int | None = None
    keyword: str | None = None
    whole_word: bool | None = None
    destroy: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter is to be; what is None stays. `ends`: whether and in how many seconds it ends,
    None inside for never.
    """

    title: str | None = None
    contexts: Sequence[str] | None = None
    hides: bool | None = None
    ends: tuple[int | None] | None = None
    keywords: Sequence[KeywordChange] = ()


class RuleBook:
    """The rules of viewers, remembered by the version of their filters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, Rules] = OrderedDict()

    async def of(self, viewer: int, version: int) -> Rules:
        """The rules of a viewer, of this version or, if they changed since it was read, newer."""
        rules = self._known.get(viewer)
        if rules is None or rules.version < version:
            rows = await self._database.fetch(_READ, viewer, None)
            ends = (row["ends_s"] for row in rows)
            rules = Rules(
                version,
                [
                    (_entity(row), float("inf") if end is None else end)
                    for row, end in zip(rows, ends, strict=True)
                ],
            )
            self._known[viewer] = rules
            if len(self._known) > _RULES_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(viewer)
        return rules


class Filters:
    """Reads and changes filters. Every change makes a new version and is told to the streams."""

    def __init__(self, database: Database, ids: IdGenerator, teller: Teller) -> None:
        self._database = database
        self._ids = ids
        self._teller = teller

    async def all(self, account: int) -> list[Filter]:
        """All filters of an account, the oldest first."""
        return [_entity(row) for row in await self._database.fetch(_READ, account, None)]

    async def one(self, account: int, identifier: int) -> Filter:
        """One of them. Raises a 404."""
        rows = await self._database.fetch(_READ, account, identifier)
        if not rows:
            raise not_found()
        return _entity(rows[0])

    async def owner_of(self, account: int, part: str, identifier: int) -> Filter:
        """The filter that has a `keyword` or a `status` with this id. Raises a 404."""
        found = await self._database.fetchval(
            f"SELECT filter_id FROM filter_{part} WHERE id = $1", identifier
        )
        return await self.one(account, -1 if found is None else found)

    async def create(self, account: int, change: Change) -> int:
        """Make a filter. Raises a 422 for what does not fit."""
        if change.title is None or change.contexts is None:
            raise invalid("Expected a title and a context")
        _check(change)
        identifier = self._ids.next()
        async with self._changing(account) as connection:
            await connection.execute(
                """INSERT INTO filter (id, account_id, title, contexts, hides, expires_at)
                   VALUES ($1, $2, $3, $4, $5, $6)""",
                identifier,
                account,
                change.title,
                list(change.contexts),
                bool(change.hides),
                _ends_at(change),
            )
            await self._change_keywords(connection, identifier, change.keywords)
        return identifier

    async def change(self, account: int, identifier: int, change: Change) -> None:
        """Change a filter. Raises a 404, or a 422 for what does not fit."""
        _check(change)
        async with self._changing(account) as connection:
            await self._own(connection, account, identifier)
            await connection.execute(
                """UPDATE filter SET title = coalesce($2, title), contexts = coalesce($3, contexts),
                       hides = coalesce($4, hides),
                       expires_at = CASE WHEN $5 THEN $6 ELSE expires_at END WHERE id = $1""",
                identifier,
                change.title,
                None if change.contexts is None else list(change.contexts),
                change.hides,
                change.ends is not None,
                _ends_at(change),
            )
            await self._change_keywords(connection, identifier, change.keywords)

    async def delete(self, account: int, identifier: int) -> None:
        """Delete a filter. Raises a 404."""
        async with self._changing(account) as connection:
            await self._own(connection, account, identifier)
            await connection.execute("DELETE FROM filter WHERE id = $1", identifier)

    async def add_status(self, account: int, identifier: int, status: int) -> int:
        """Filter a status, which was read for the account. Raises a 404 or a 422."""
        made = self._ids.next()
        async with self._changing(account) as connection:
            await self._own(connection, account, identifier)
            try:
                await connection.execute(
                    "INSERT INTO filter_status (id, filter_id, status_id) VALUES ($1, $2, $3)",
                    made,
                    identifier,
                    status,
                )
            except asyncpg.UniqueViolationError as error:
                raise invalid("Status has already been taken") from error
            except asyncpg.ForeignKeyViolationError as error:
                raise not_found() from error
        return made

    async def remove_status(self, account: int, identifier: int) -> None:
        """Take a status out of its filter. Raises a 404."""
        async with self._changing(account) as connection:
            gone = await connection.fetchval(
                """DELETE FROM filter_status AS s USING filter AS f
                   WHERE s.id = $1 AND f.id = s.filter_id AND f.account_id = $2 RETURNING 1""",
                identifier,
                account,
            )
            if gone is None:
                raise not_found()

    @contextlib.asynccontextmanager
    async def _changing(self, account: int) -> AsyncIterator[Any]:
        async with transaction(self._database) as connection:
            # The row is held until the end, so changes come one after the other.
            await connection.execute(
                "UPDATE account SET filters_version = filters_version + 1 WHERE id = $1", account
            )
            yield connection
            counted = await connection.fetchrow(_COUNTED, account)
            if any(
                n > most
                for n, most in zip(
                    counted, (_FILTERS_MAX, _KEYWORDS_MAX, _STATUSES_MAX), strict=True
                )
            ):
                raise invalid(
                    f"Expected at most {_FILTERS_MAX} filters with {_KEYWORDS_MAX} keywords and"
                    f" {_STATUSES_MAX} statuses in all"
                )
        self._teller.account(account, "filters_changed")

    async def _own(self, connection: Any, account: int, identifier: int) -> None:
        found = await connection.fetchval(
            "SELECT 1 FROM filter WHERE id = $1 AND account_id = $2", identifier, account
        )
        if found is None:
            raise not_found()

    async def _change_keywords(
        self, connection: Any, identifier: int, changes: Sequence[KeywordChange]
    ) -> None:
        for one in changes:
            if one.id is None:
                if one.keyword is None:
                    raise invalid("Keyword can't be blank")
                done = await connection.fetchval(
                    """INSERT INTO filter_keyword (id, filter_id, keyword, whole_word)
                       VALUES ($1, $2, $3, $4) RETURNING 1""",
                    self._ids.next(),
                    identifier,
                    one.keyword,
                    one.whole_word is not False,
                )
            elif one.destroy:
                done = await connection.fetchval(
                    "DELETE FROM filter_keyword WHERE id = $1 AND filter_id = $2 RETURNING 1",
                    one.id,
                    identifier,
                )
            else:
                done = await connection.fetchval(
                    """UPDATE filter_keyword SET keyword = coalesce($3, keyword),
                           whole_word = coalesce($4, whole_word)
                       WHERE id = $1 AND filter_id = $2 RETURNING 1""",
                    one.id,
                    identifier,
                    one.keyword,
                    one.whole_word,
                )
            if done is None:
                raise not_found()


def _check(change: Change) -> None:
    if change.title is not None and not change.title.strip():
        raise invalid("Title can't be blank")
    if change.title is not None and len(change.title) > _TITLE_MAX:
        raise invalid(f"Title is too long (maximum is {_TITLE_MAX} characters)")
    if change.contexts is not None and (
        not change.contexts or not set(change.contexts) <= set(CONTEXTS)
    ):
        raise invalid(f"Context must be one or more of {', '.join(CONTEXTS)}")
    for one in change.keywords:
        if one.keyword is not None and not one.keyword.strip():
            raise invalid("Keyword can't be blank")
        if one.keyword is not None and len(one.keyword) > _KEYWORD_MAX:
            raise invalid(f"Keyword is too long (maximum is {_KEYWORD_MAX} characters)")


def _ends_at(change: Change) -> datetime | None:
    if change.ends is None or change.ends[0] is None:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=change.ends[0])
    except OverflowError as error:
        raise invalid("Expires in is too long") from error


def _entity(row: Any) -> Filter:
    identifier, title, contexts, hides, ends_s, *parts = row
    keyword_ids, keywords, whole_words, status_ids, statuses = parts
    return Filter(
        id=str(identifier),
        title=title,
        context=contexts,
        expires_at=None if ends_s is None else timestamp(ends_s),
        filter_action="hide" if hides else "warn",
        keywords=[
            Keyword(str(one), keyword, whole)
            for one, keyword, whole in zip(keyword_ids, keywords, whole_words, strict=True)
        ],
        statuses=[
            FilteredStatus(str(one), str(status))
            for one, status in zip(status_ids, statuses, strict=True)
        ],
    )
