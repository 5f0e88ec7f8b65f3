"""Who follows, blocks and mutes whom. Each change is one transaction with its counters, its notice
and the homes that it makes wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from systems_common.contention import tried_again
from systems_common.database import Database, transaction
from systems_common.ids import IdGenerator

from social.entities import Relationship
from social.errors import forbidden, not_found
from social.fanout import Fanout
from social.live.telling import Teller

__all__ = ["Relationships"]

_READ = """
SELECT x.id, f.target_id IS NOT NULL, coalesce(f.show_reblogs, false), coalesce(f.notify, false),
       EXISTS (SELECT FROM follow WHERE account_id = x.id AND target_id = $1),
       EXISTS (SELECT FROM block WHERE account_id = $1 AND target_id = x.id),
       EXISTS (SELECT FROM block WHERE account_id = x.id AND target_id = $1),
       m.target_id IS NOT NULL, coalesce(m.notifications, false),
       EXISTS (SELECT FROM follow_request WHERE account_id = $1 AND target_id = x.id),
       EXISTS (SELECT FROM follow_request WHERE account_id = x.id AND target_id = $1)
FROM unnest($2::bigint[]) WITH ORDINALITY AS x (id, at) JOIN account AS a ON a.id = x.id
LEFT JOIN follow AS f ON f.account_id = $1 AND f.target_id = x.id
LEFT JOIN mute AS m ON m.account_id = $1 AND m.target_id = x.id
    AND (m.expires_at IS NULL OR m.expires_at > now())
ORDER BY x.at"""


class Relationships:
    """Reads and changes relationships. `stored`: counters are stored."""

    def __init__(
        self,
        database: Database,
        ids: IdGenerator,
        fanout: Fanout | None,
        teller: Teller,
        *,
        stored: bool,
    ) -> None:
        self._database = database
        self._ids = ids
        self._fanout = fanout
        self._teller = teller
        self._stored = stored

    async def read(self, viewer: int, accounts: Sequence[int]) -> list[Relationship]:
        """The relationships to these accounts, in this order; unknown ones are left out."""
        rows = await self._database.fetch(_READ, viewer, list(accounts))
        return [
            Relationship(
                id=str(row[0]),
                following=row[1],
                showing_reblogs=row[2],
                notifying=row[3],
                followed_by=row[4],
                blocking=row[5],
                blocked_by=row[6],
                muting=row[7],
                muting_notifications=row[8],
                requested=row[9],
                requested_by=row[10],
            )
            for row in rows
        ]

    async def one(self, viewer: int, account: int) -> Relationship:
        """One of them. Raises a 404."""
        found = await self.read(viewer, [account])
        if not found:
            raise not_found()
        return found[0]

    async def follow(
        self, account: int, target: int, *, reblogs: bool | None, notify: bool | None
    ) -> None:
        """Follow, or ask to when the target is locked; again: change the options given."""
        change = self._ids.next()
        changed, notice = await self._follow(change, account, target, reblogs, notify)
        if notice is not None:
            self._teller.notices([(target, notice)])
        if changed:
            await self._homes_changed(change, account)

    @tried_again
    async def _follow(
        self, change: int, account: int, target: int, reblogs: bool | None, notify: bool | None
    ) -> tuple[bool, int | None]:
        async with transaction(self._database) as connection:
            # In share mode, so that an account that is about to be pulled waits (fanout.py).
            found = await connection.fetchrow(
                "SELECT locked, pulled FROM account WHERE id = $1 FOR SHARE", target
            )
            if found is None:
                raise not_found()
            if account == target or await self._blocked(connection, account, target):
                raise forbidden()
            for table in ("follow", "follow_request"):
                changed = await connection.fetchval(
                    f"""UPDATE {table} SET show_reblogs = coalesce($3, show_reblogs),
                            notify = coalesce($4, notify)
                        WHERE account_id = $1 AND target_id = $2 RETURNING 1""",
                    account,
                    target,
                    reblogs,
                    notify,
                )
                if changed is not None:
                    if table == "follow" and reblogs is not None:
                        await self._mark(connection, change, account)
                        return True, None
                    return False, None
            options = (reblogs is not False, notify is True)
            if found["locked"]:
                await connection.execute(
                    """INSERT INTO follow_request (id, account_id, target_id, show_reblogs, notify)
                       VALUES ($1, $2, $3, $4, $5)""",
                    *(change, account, target, *options),
                )
                return False, await self._notify(connection, target, account, 4)
            return True, await self._insert_follow(connection, change, account, target, options)

    async def _insert_follow(
        self, connection: Any, change: int, account: int, target: int, options: tuple[bool, bool]
    ) -> int | None:
        made = await connection.fetchval(
            """INSERT INTO follow (id, account_id, target_id, show_reblogs, notify, pulled)
               SELECT $1, $2, $3, $4, $5, pulled FROM account WHERE id = $3
               ON CONFLICT DO NOTHING RETURNING 1""",
            *(change, account, target, *options),
        )
        if made is None:
            return None
        await self._count(connection, account, target, 1)
        await self._mark(connection, change, account)
        return await self._notify(connection, target, account, 3)

    async def unfollow(self, account: int, target: int) -> None:
        """Follow no more, and ask no more to."""
        change = self._ids.next()
        await self._unfollow(change, account, target)
        await self._homes_changed(change, account)

    @tried_again
    async def _unfollow(self, change: int, account: int, target: int) -> None:
        async with transaction(self._database) as connection:
            await self._end_follow(connection, change, account, target)

    async def _end_follow(self, connection: Any, change: int, account: int, target: int) -> None:
        await connection.execute(
            "DELETE FROM follow_request WHERE account_id = $1 AND target_id = $2", account, target
        )
        gone = await connection.fetchval(
            "DELETE FROM follow WHERE account_id = $1 AND target_id = $2 RETURNING 1",
            account,
            target,
        )
        if gone is not None:
            await self._count(connection, account, target, -1)
            await self._mark(connection, change, account)
        await connection.execute(
            "DELETE FROM notification WHERE account_id = $1 AND sender_id = $2 AND kind IN (3, 4)",
            target,
            account,
        )

    async def answer(self, account: int, asker: int, *, accept: bool) -> None:
        """Accept or reject who asked to follow. Raises a 404 when nobody did."""
        change = self._ids.next()
        notice = await self._answer(change, account, asker, accept)
        if notice is not None:
            self._teller.notices([(account, notice)])
        await self._homes_changed(change, asker)

    @tried_again
    async def _answer(self, change: int, account: int, asker: int, accept: bool) -> int | None:
        async with transaction(self._database) as connection:
            await connection.fetchrow("SELECT FROM account WHERE id = $1 FOR SHARE", account)
            asked = await connection.fetchrow(
                """DELETE FROM follow_request WHERE account_id = $1 AND target_id = $2
                   RETURNING show_reblogs, notify""",
                asker,
                account,
            )
            if asked is None:
                raise not_found()
            await connection.execute(
                "DELETE FROM notification WHERE account_id = $1 AND sender_id = $2 AND kind = 4",
                account,
                asker,
            )
            if not accept:
                return None
            return await self._insert_follow(connection, change, asker, account, tuple(asked))

    async def remove_follower(self, account: int, follower: int) -> None:
        """End the follow of somebody who follows."""
        await self.unfollow(follower, account)

    async def block(self, account: int, target: int) -> None:
        """Block; neither follows the other any more, and what was told of the target is gone."""
        change = self._ids.next()
        await self._block(change, account, target)
        await self._homes_changed(change, account, target)

    @tried_again
    async def _block(self, change: int, account: int, target: int) -> None:
        async with transaction(self._database) as connection:
            await self._check(connection, account, target)
            await connection.execute(
                """INSERT INTO block (id, account_id, target_id) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING""",
                change,
                account,
                target,
            )
            # In the same order whoever blocks whom, so that two who block each other do not
            # wait for each other.
            for one, other in sorted([(account, target), (target, account)]):
                await self._end_follow(connection, change, one, other)
            await connection.execute(
                "DELETE FROM notification WHERE account_id = $1 AND sender_id = $2",
                account,
                target,
            )

    async def unblock(self, account: int, target: int) -> None:
        """Block no more."""
        await self._database.fetch(
            "DELETE FROM block WHERE account_id = $1 AND target_id = $2", account, target
        )

    @tried_again
    async def mute(
        self, account: int, target: int, *, notifications: bool, duration_s: int
    ) -> None:
        """Mute, for `duration_s` seconds or, with 0, until undone."""
        async with transaction(self._database) as connection:
            await self._check(connection, account, target)
            await connection.execute(
                """INSERT INTO mute (id, account_id, target_id, notifications, expires_at)
                   VALUES ($1, $2, $3, $4,
                           CASE WHEN $5 > 0 THEN now() + make_interval(secs => $5) END)
                   ON CONFLICT (account_id, target_id) DO UPDATE
                   SET notifications = EXCLUDED.notifications, expires_at = EXCLUDED.expires_at""",
                self._ids.next(),
                account,
                target,
                notifications,
                duration_s,
            )

    async def unmute(self, account: int, target: int) -> None:
        """Mute no more."""
        await self._database.fetch(
            "DELETE FROM mute WHERE account_id = $1 AND target_id = $2", account, target
        )

    async def _check(self, connection: Any, account: int, target: int) -> None:
        if await connection.fetchval("SELECT 1 FROM account WHERE id = $1", target) is None:
            raise not_found()
        if account == target:
            raise forbidden()

    async def _blocked(self, connection: Any, account: int, target: int) -> bool:
        found = await connection.fetchval(
            """SELECT 1 FROM block WHERE account_id = $1 AND target_id = $2
               UNION ALL SELECT 1 FROM block WHERE account_id = $2 AND target_id = $1 LIMIT 1""",
            account,
            target,
        )
        return found is not None

    async def _count(self, connection: Any, account: int, target: int, by: int) -> None:
        if self._stored:
            await connection.execute(
                "SELECT count_account($1, 0, 0, $3), count_account($2, 0, $3, 0)",
                account,
                target,
                by,
            )

    async def _notify(self, connection: Any, of: int, by: int, kind: int) -> int | None:
        notice: int | None = await connection.fetchval(
            "SELECT notify_account($1, $2, $3::smallint, NULL)", of, by, kind
        )
        return notice

    async def _mark(self, connection: Any, change: int, account: int) -> None:
        if self._fanout is not None:
            await connection.execute(
                """INSERT INTO stale_home (account_id, change_id) VALUES ($1, $2)
                   ON CONFLICT (account_id) DO UPDATE SET change_id = EXCLUDED.change_id""",
                account,
                change,
            )

    async def _homes_changed(self, change: int, *accounts: int) -> None:
        if self._fanout is not None:
            await self._fanout.homes_changed(change, *accounts)
        for account in accounts:
            self._teller.account(account, "follows")
