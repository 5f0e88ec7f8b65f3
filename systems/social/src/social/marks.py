"""What somebody puts on a status: favourite, bookmark, pin. Twice is once."""

from __future__ import annotations

from systems_common.contention import tried_again
from systems_common.database import Database, transaction
from systems_common.ids import IdGenerator

from social.errors import invalid
from social.live.telling import Teller

__all__ = ["Marks"]

PINS_MAX = 5


class Marks:
    """Writes marks; the status was read for whom they are."""

    def __init__(
        self, database: Database, ids: IdGenerator, teller: Teller, *, stored: bool
    ) -> None:
        self._database = database
        self._ids = ids
        self._teller = teller
        self._stored = stored

    async def favourite(self, account: int, status: int, owner: int) -> None:
        """Favourite a status, and tell its author."""
        notice = await self._favourite(account, status, owner)
        if notice is not None:
            self._teller.notices([(owner, notice)])

    @tried_again
    async def _favourite(self, account: int, status: int, owner: int) -> int | None:
        async with transaction(self._database) as connection:
            made = await connection.fetchval(
                """INSERT INTO favourite (id, account_id, status_id) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING RETURNING 1""",
                self._ids.next(),
                account,
                status,
            )
            if made is None:
                return None
            if self._stored:
                await connection.execute("SELECT count_status($1, 0, 0, 1)", status)
            notice: int | None = await connection.fetchval(
                "SELECT notify_account($1, $2, 2::smallint, $3)",
                owner,
                account,
                status,
            )
        return notice

    @tried_again
    async def unfavourite(self, account: int, status: int) -> None:
        """Take a favourite back, with the notice of it."""
        async with transaction(self._database) as connection:
            gone = await connection.fetchval(
                "DELETE FROM favourite WHERE account_id = $1 AND status_id = $2 RETURNING 1",
                account,
                status,
            )
            if gone is None:
                return
            if self._stored:
                await connection.execute("SELECT count_status($1, 0, 0, -1)", status)
            await connection.execute(
                "DELETE FROM notification WHERE sender_id = $1 AND status_id = $2 AND kind = 2",
                account,
                status,
            )

    @tried_again
    async def bookmark(self, account: int, status: int) -> None:
        """Bookmark a status."""
        await self._database.fetch(
            """INSERT INTO bookmark (id, account_id, status_id) VALUES ($1, $2, $3)
               ON CONFLICT DO NOTHING""",
            self._ids.next(),
            account,
            status,
        )

    async def unbookmark(self, account: int, status: int) -> None:
        """Take a bookmark away."""
        await self._database.fetch(
            "DELETE FROM bookmark WHERE account_id = $1 AND status_id = $2", account, status
        )

    @tried_again
    async def pin(self, account: int, status: int) -> None:
        """Pin a status of one's own to one's profile. Raises a 422 when it cannot be."""
        async with transaction(self._database) as connection:
            row = await connection.fetchrow(
                """SELECT visibility, reblog_of_id FROM status
                   WHERE id = $1 AND account_id = $2""",
                status,
                account,
            )
            if row is None:
                raise invalid("Someone else's post cannot be pinned")
            if row["reblog_of_id"] is not None:
                raise invalid("A boost cannot be pinned")
            if row["visibility"] == 3:
                raise invalid("Posts that are only visible to mentioned users cannot be pinned")
            # One at a time for each account, so that two at once do not both find room.
            await connection.execute("SELECT FROM account WHERE id = $1 FOR NO KEY UPDATE", account)
            there = await connection.fetchval(
                "SELECT count(*) FROM pin WHERE account_id = $1 AND status_id <> $2",
                account,
                status,
            )
            if there >= PINS_MAX:
                raise invalid("You have already pinned the maximum number of posts")
            await connection.execute(
                """INSERT INTO pin (id, account_id, status_id) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING""",
                self._ids.next(),
                account,
                status,
            )

    async def unpin(self, account: int, status: int) -> None:
        """Take a pin away."""
        await self._database.fetch(
            "DELETE FROM pin WHERE account_id = $1 AND status_id = $2", account, status
        )
