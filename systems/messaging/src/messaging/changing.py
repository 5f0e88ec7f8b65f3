"""Changes to a room's state, and redactions: a transaction that holds the room's lock.

These are rare beside messages, so they are written for clearness; `appending` is for speed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from messaging.authorization import Proposed, authorize
from messaging.errors import not_found
from messaging.events import check_type, encoded_content
from messaging.rooms import standing_in

__all__ = ["Change", "Changes", "tried_again"]

_LOCK = "SELECT no, room_id, seq, auth, counted, joined FROM room WHERE no = $1 FOR UPDATE"
_MOVE = """
UPDATE room SET seq = $2, auth = $3, joined = $4, xid = pg_current_xact_id() WHERE no = $1"""
_EVENT = """
INSERT INTO event (room_no, seq, ts, device_no, counted, counts, replaces, redacts, sender, type,
                   state_key, txn, content)
VALUES ($1, $2, $3, $4, $5, false, $6, $7, $8, $9, $10, $11, $12)"""
_STATE = """
INSERT INTO room_state (room_no, type, state_key, seq) VALUES ($1, $2, $3, $4)
ON CONFLICT (room_no, type, state_key)
DO UPDATE SET seq = excluded.seq, xid = pg_current_xact_id()"""
_MEMBER = """
INSERT INTO member (room_no, user_id, membership, seq) VALUES ($1, $2, $3, $4)
ON CONFLICT (room_no, user_id) DO UPDATE
SET membership = excluded.membership, seq = excluded.seq, is_forgotten = false,
    xid = pg_current_xact_id()"""
_MARK = """
INSERT INTO read_mark (room_no, user_id, seq, counted) VALUES ($1, $2, $3, $4)
ON CONFLICT (room_no, user_id) DO UPDATE SET seq = excluded.seq, counted = excluded.counted
WHERE read_mark.seq < excluded.seq"""
# `(SELECT $1)`: see reading.py.
_CURRENT = """
SELECT e.seq, e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = (SELECT $1::bigint) AND s.type = $2 AND s.state_key = $3"""
TOUCH_USERS = """
INSERT INTO user_change (user_no)
SELECT no FROM account WHERE user_id = ANY($1::text[]) ORDER BY no
ON CONFLICT (user_no) DO UPDATE SET xid = pg_current_xact_id()
RETURNING user_no"""


class Change:
    """A room whose lock is held. Numbers go up with each event that is added."""

    def __init__(self, connection: Any, row: Any) -> None:
        self.connection = connection
        self.room_no: int = row["no"]
        self.room_id: str = row["room_id"]
        self.seq: int = row["seq"]
        self.auth: int = row["auth"]
        self.counted: int = row["counted"]
        self.joined: int = row["joined"]
        self.user_nos: list[int] = []
        self._touched: list[str] = []

    async def add(
        self,
        sender: str,
        kind: str,
        content: Mapping[str, Any],
        state_key: str | None = None,
        *,
        device_no: int | None = None,
        txn: str | None = None,
        redacts: int | None = None,
        authorized: bool = False,
    ) -> int:
        """Append an event if it may happen; its number. State that would not change is left.

        Raises `MatrixError`.
        """
        check_type(kind, state_key)
        encoded = encoded_content(content)
        target = state_key if kind == "m.room.member" and state_key is not None else sender
        standing = None
        if not authorized:
            standing = await standing_in(self.connection, self.room_no, sender, target)
            authorize(Proposed(sender, kind, content, state_key), standing)
            if standing.voucher and content.get("membership") == "join":
                content = {**content, "join_authorised_via_users_server": standing.voucher}
                encoded = encoded_content(content)
        replaces = None
        if state_key is not None:
            current = await self.connection.fetchrow(_CURRENT, self.room_no, kind, state_key)
            if current is not None:
                if current["content"] == encoded:
                    return int(current["seq"])
                replaces = current["seq"]
        self.seq += 1
        arguments = (device_no, self.counted, replaces, redacts, sender, kind, state_key, txn)
        now_ms = int(time.time() * 1000)
        await self.connection.execute(_EVENT, self.room_no, self.seq, now_ms, *arguments, encoded)
        if state_key is not None:
            self.auth = self.seq
            await self.connection.execute(_STATE, self.room_no, kind, state_key, self.seq)
            if kind == "m.room.member":
                before = standing.target if standing is not None else "leave"
                await self._member(state_key, before, content["membership"])
        await self.connection.execute(_MARK, self.room_no, sender, self.seq, self.counted)
        return self.seq

    async def _member(self, user_id: str, before: str, after: str) -> None:
        await self.connection.execute(_MEMBER, self.room_no, user_id, after, self.seq)
        self.joined += (after == "join") - (before == "join")
        if before != after:
            self._touched.append(user_id)

    async def finish(self) -> None:
        """Write the room's numbers, and mark the users whose memberships changed."""
        await self.connection.execute(_MOVE, self.room_no, self.seq, self.auth, self.joined)
        if self._touched:
            rows = await self.connection.fetch(TOUCH_USERS, self._touched)
            self.user_nos = [row["user_no"] for row in rows]


class Changes:
    """Opens changes; afterwards `moved` and `touched` wake those who wait."""

    def __init__(
        self,
        database: Database,
        moved: Callable[[int], None],
        touched: Callable[[int], None],
        *,
        notify: bool,
    ) -> None:
        self.database = database
        self.moved = moved
        self.touched = touched
        self._notify = notify

    @contextlib.asynccontextmanager
    async def open(self, room_no: int) -> AsyncIterator[Change]:
        """A change of one room, committed at the end of the block."""
        async with transaction(self.database) as connection:
            row = await connection.fetchrow(_LOCK, room_no)
            if row is None:
                raise not_found("There is no such room.")
            change = Change(connection, row)
            yield change
            await change.finish()
            if self._notify:
                await self.tell(connection, [change.room_no], change.user_nos)
        self.moved(change.room_no)
        for user_no in change.user_nos:
            self.touched(user_no)

    async def tell(self, connection: Any, room_nos: list[int], user_nos: list[int]) -> None:
        """Notify of rooms that moved and users that changed, with the transaction (WAKE=notify)."""
        if not self._notify:
            return
        await connection.execute(
            "SELECT pg_notify('room_moved', no::text) FROM unnest($1::bigint[]) AS no", room_nos
        )
        await connection.execute(
            "SELECT pg_notify('user_moved', no::text) FROM unnest($1::bigint[]) AS no", user_nos
        )

    async def touch(self, connection: Any, user_ids: list[str]) -> list[int]:
        """Mark users as changed, in the transaction of that connection; their numbers."""
        rows = await connection.fetch(TOUCH_USERS, user_ids)
        user_nos = [row["user_no"] for row in rows]
        await self.tell(connection, [], user_nos)
        return user_nos

    @tried_again
    async def put_state(
        self, room_no: int, sender: str, kind: str, state_key: str, content: Mapping[str, Any]
    ) -> int:
        """Set one piece of state; the number of its event."""
        async with self.open(room_no) as change:
            seq = await change.add(sender, kind, content, state_key)
        return seq
