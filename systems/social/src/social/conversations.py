"""Conversations: direct statuses of one thread among the same people, as each of them has it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from systems_common.database import Database

from social.accounts import Accounts
from social.entities import AccountJson, Id, StatusJson
from social.errors import not_found
from social.pages import Page, Paging, paged
from social.statuses import Reader
from social.visibility import READABLE, WANTED

__all__ = ["COLUMNS", "SOURCE", "Conversation", "ConversationPage", "Conversations"]

COLUMNS = "c.id, c.unread, c.participants, c.last_status_id"
# One whose last status may not be seen, or is not wanted any more, is not there until there is
# another one.
SOURCE = f"""FROM conversation AS c JOIN status AS s ON s.id = c.last_status_id
WHERE c.account_id = $1 AND {READABLE} AND {WANTED}"""


class Conversation(msgspec.Struct, frozen=True):
    """A conversation with the others who take part in it."""

    id: Id
    unread: bool
    accounts: list[AccountJson]
    last_status: StatusJson


class ConversationPage(msgspec.Struct, frozen=True):
    """A page of them and the last statuses between which it lies."""

    conversations: list[Conversation]
    newest: int
    oldest: int


class Conversations:
    """Conversations of one account at a time."""

    def __init__(
        self, database: Database, accounts: Accounts, reader: Reader, *, paging: Paging
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._reader = reader
        self._sql = cache(
            lambda rising: paged(COLUMNS, SOURCE, "c.last_status_id", rising=rising, paging=paging)
        )

    async def page(self, account: int, page: Page) -> ConversationPage | None:
        """A page of them, by their last statuses; None when there is nothing on it."""
        rows = await self._database.fetch(
            self._sql(page.rising), account, page.upper, page.lower, page.limit
        )
        if not rows:
            return None
        rows = sorted(rows, key=lambda row: row[3], reverse=True)
        return ConversationPage(await self._entities(account, rows), rows[0][3], rows[-1][3])

    async def one(self, account: int, identifier: int) -> Conversation | None:
        """One of them; None when it is not there for this account."""
        rows = await self._database.fetch(
            f"SELECT {COLUMNS} {SOURCE} AND c.id = $2", account, identifier
        )
        found = await self._entities(account, rows)
        return found[0] if found else None

    async def mark_read(self, account: int, identifier: int) -> Conversation:
        """Mark one as read. Raises a 404."""
        await self._database.fetch(
            "UPDATE conversation SET unread = false WHERE id = $1 AND account_id = $2",
            identifier,
            account,
        )
        found = await self.one(account, identifier)
        if found is None:
            raise not_found()
        return found

    async def delete(self, account: int, identifier: int) -> None:
        """Remove one from the list of this account; its statuses stay. Raises a 404."""
        gone = await self._database.fetchval(
            "DELETE FROM conversation WHERE id = $1 AND account_id = $2 RETURNING 1",
            identifier,
            account,
        )
        if gone is None:
            raise not_found()

    async def _entities(self, account: int, rows: Sequence[Any]) -> list[Conversation]:
        if not rows:
            return []
        # Who writes to nobody else talks to themselves.
        people = {row[0]: row[2] or [account] for row in rows}
        versions = await self._database.fetch(
            "SELECT id, version FROM account WHERE id = ANY($1::bigint[])",
            list({one for found in people.values() for one in found}),
        )
        accounts = await self._accounts.entities({row[0]: row[1] for row in versions})
        statuses = await self._reader.by_ids(account, [row[3] for row in rows])
        return [
            Conversation(
                id=str(identifier),
                unread=unread,
                accounts=[
                    msgspec.Raw(accounts[one]) for one in people[identifier] if one in accounts
                ],
                last_status=msgspec.Raw(statuses[last].body),
            )
            for identifier, unread, _, last in rows
            if last in statuses
        ]
