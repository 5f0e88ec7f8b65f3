"""Notifications: read, and dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, get_args

import msgspec
from systems_common.database import Database

from social.accounts import Accounts
from social.entities import Notification, NotificationType, time_of
from social.pages import Page, Paging, paged
from social.statuses import Reader

__all__ = ["COLUMNS", "KINDS", "SOURCE", "Notices"]

KINDS: Final[tuple[NotificationType, ...]] = get_args(NotificationType)
"""In the order of their numbers in the database."""

# What was told before somebody was blocked or muted is not shown either; `n.sender_id` stands where
# the rule of statuses has their author.
SOURCE = """FROM notification AS n JOIN account AS a ON a.id = n.sender_id
WHERE n.account_id = $1 AND n.kind = ANY($5::smallint[])
  AND ($6::bigint IS NULL OR n.sender_id = $6)
  AND NOT EXISTS (SELECT FROM block WHERE account_id = $1 AND target_id = n.sender_id)
  AND NOT EXISTS (SELECT FROM block WHERE account_id = n.sender_id AND target_id = $1)
  AND NOT EXISTS (SELECT FROM mute WHERE account_id = $1 AND target_id = n.sender_id
                      AND notifications AND (expires_at IS NULL OR expires_at > now()))"""
COLUMNS = "n.id, n.kind, n.sender_id, n.status_id, a.version"


class Notices:
    """Notifications of one account at a time."""

    def __init__(
        self, database: Database, accounts: Accounts, reader: Reader, *, paging: Paging
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._reader = reader
        self._sql = cache(
            lambda rising: paged(COLUMNS, SOURCE, "n.id", rising=rising, paging=paging)
        )

    async def page(
        self, account: int, page: Page, kinds: Sequence[int], sender: int | None
    ) -> list[Notification]:
        """A page of them, the newest first; those of statuses that may not be seen are left out."""
        rows = await self._database.fetch(
            self._sql(page.rising), account, page.upper, page.lower, page.limit, kinds, sender
        )
        return await self._entities(account, rows)

    async def one(self, account: int, identifier: int) -> Notification | None:
        """One of them; None when it is not there for this account."""
        found = await self.page(
            account,
            Page(identifier + 1, identifier - 1, 1),
            list(range(len(KINDS))),
            None,
        )
        return found[0] if found else None

    async def unread(self, account: int, limit: int) -> int:
        """How many are newer than the marker of the account, counted up to `limit`."""
        read = await self._database.fetchval(
            "SELECT last_read_id FROM marker WHERE account_id = $1 AND timeline = 'notifications'",
            account,
        )
        page = Page((1 << 63) - 1, -1 if read is None else read, limit)
        rows = await self._database.fetch(
            self._sql(False),
            account,
            page.upper,
            page.lower,
            page.limit,
            list(range(len(KINDS))),
            None,
        )
        return len(rows)

    async def clear(self, account: int) -> None:
        """Dismiss all of them."""
        await self._database.fetch("DELETE FROM notification WHERE account_id = $1", account)

    async def dismiss(self, account: int, identifier: int) -> bool:
        """Dismiss one; False when it is not there."""
        gone = await self._database.fetchval(
            "DELETE FROM notification WHERE account_id = $1 AND id = $2 RETURNING 1",
            account,
            identifier,
        )
        return gone is not None

    async def _entities(self, account: int, rows: Sequence[Any]) -> list[Notification]:
        accounts = await self._accounts.entities({row[2]: row[4] for row in rows})
        statuses = await self._reader.by_ids(
            account, list({row[3] for row in rows if row[3] is not None})
        )
        found = [
            Notification(
                id=str(row[0]),
                type=KINDS[row[1]],
                created_at=time_of(row[0]),
                group_key=f"ungrouped-{row[0]}",
                account=msgspec.Raw(accounts[row[2]]),
                status=msgspec.Raw(statuses[row[3]].body) if row[3] is not None else None,
            )
            for row in rows
            if row[2] in accounts and (row[3] is None or row[3] in statuses)
        ]
        return sorted(found, key=lambda one: int(one.id), reverse=True)
