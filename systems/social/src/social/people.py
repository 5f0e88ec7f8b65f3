"""Lists of accounts: who follows, is followed, blocked, muted, favourited, shared; and search."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from systems_common.database import Database

from social.accounts import Accounts
from social.entities import AccountJson
from social.pages import Page, Paging, paged

__all__ = ["LISTS", "People"]

_UNBLOCKED = """
  AND NOT EXISTS (SELECT FROM block WHERE account_id = {who} AND target_id = $1)
  AND NOT EXISTS (SELECT FROM block WHERE account_id = $1 AND target_id = {who})"""


def _list_sql(who: str, source: str, *, unblocked: bool = False) -> tuple[str, str]:
    # The version is looked up for the accounts of the page alone; a join would tempt the planner
    # to read all there are.
    columns = f"r.id, {who}, (SELECT version FROM account WHERE id = {who})"
    return columns, source + (_UNBLOCKED.format(who=who) if unblocked else "")


# $1 the viewer, $5 what the list is of. Of the lists of others those are left out who block the
# viewer or whom the viewer blocks.
LISTS = {
    "followers": _list_sql(
        "r.account_id", "FROM follow AS r WHERE r.target_id = $5", unblocked=True
    ),
    "following": _list_sql(
        "r.target_id", "FROM follow AS r WHERE r.account_id = $5", unblocked=True
    ),
    "blocks": _list_sql(
        "r.target_id", "FROM block AS r WHERE r.account_id = $5 AND $1::bigint = $5"
    ),
    "mutes": _list_sql(
        "r.target_id",
        """FROM mute AS r WHERE r.account_id = $5 AND $1::bigint = $5
           AND (r.expires_at IS NULL OR r.expires_at > now())""",
    ),
    "follow_requests": _list_sql(
        "r.account_id", "FROM follow_request AS r WHERE r.target_id = $5 AND $1::bigint = $5"
    ),
    "favourited_by": _list_sql(
        "r.account_id", "FROM favourite AS r WHERE r.status_id = $5", unblocked=True
    ),
    "list": _list_sql(
        "r.target_id", "FROM list_member AS r WHERE r.list_id = $5 AND r.account_id = $1"
    ),
    "reblogged_by": _list_sql(
        "r.account_id", "FROM status AS r WHERE r.reblog_of_id = $5", unblocked=True
    ),
}
"""Columns (id in the list, account, its version) and source of each list."""

# Whoever looks for an account that they block by its name wants to unblock it.
_SEARCH = """
SELECT a.id, a.version FROM account AS a
WHERE lower(a.username || ' ' || a.display_name) LIKE $2
  AND NOT EXISTS (SELECT FROM block WHERE account_id = a.id AND target_id = $1)
  AND (lower(a.username) = $6
       OR NOT EXISTS (SELECT FROM block WHERE account_id = $1 AND target_id = a.id))
  AND (NOT $5 OR EXISTS (SELECT FROM follow WHERE account_id = $1 AND target_id = a.id))
ORDER BY lower(a.username) = $6 DESC, starts_with(lower(a.username), $6) DESC, a.id
LIMIT $3 OFFSET $4"""


class AccountPage(msgspec.Struct, frozen=True):
    """Encoded accounts and the ids, of the list, between which they lie."""

    accounts: list[AccountJson]
    newest: int
    oldest: int


class People:
    """Reads lists of accounts for a viewer."""

    def __init__(
        self, database: Database, accounts: Accounts, *, host: str, paging: Paging
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._host = host
        self._sql: Callable[[str, bool], str] = cache(
            lambda name, rising: paged(*LISTS[name], "r.id", rising=rising, paging=paging)
        )

    async def page(self, name: str, viewer: int | None, of: int, page: Page) -> AccountPage | None:
        """A page of a list in `LISTS`, the newest first; None when there is nothing on it."""
        rows = await self._database.fetch(
            self._sql(name, page.rising), viewer, page.upper, page.lower, page.limit, of
        )
        if not rows:
            return None
        rows = sorted(rows, key=lambda row: row[0], reverse=True)
        return AccountPage(
            await self._encoded([(row[1], row[2]) for row in rows]), rows[0][0], rows[-1][0]
        )

    async def search(
        self, viewer: int | None, text: str, *, limit: int, offset: int, following: bool
    ) -> list[AccountJson]:
        """Accounts whose name holds the text, with this host or without one; who is called exactly
        that comes first, then those whose name begins so.
        """
        wanted = text.strip().lstrip("@").lower().removesuffix(f"@{self._host.lower()}")
        if not wanted:
            return []
        escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        rows: list[Any] = await self._database.fetch(
            _SEARCH, viewer, f"%{escaped}%", limit, offset, following, wanted
        )
        return await self._encoded([(row[0], row[1]) for row in rows])

    async def _encoded(self, found: list[tuple[int, int]]) -> list[AccountJson]:
        bodies = await self._accounts.entities(dict(found))
        return [msgspec.Raw(bodies[identifier]) for identifier, _ in found if identifier in bodies]
