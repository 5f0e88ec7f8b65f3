"""After a restore from a dump: transaction numbers are the old server's, and mean nothing here."""

from __future__ import annotations

from typing import Any

__all__ = ["restored"]

_STAMPED = (
    *("room", "event", "room_state", "member", "receipt", "user_change", "account_data"),
    *("device_list", "key_signature"),
)
# The first that an ordinary transaction can have; older than any that is to come.
_FIRST = "3"


async def restored(connection: Any) -> None:
    """Make all that is there old, and every token of before invalid."""
    async with connection.transaction():
        for table in _STAMPED:
            await connection.execute(f"UPDATE {table} SET xid = '{_FIRST}'::xid8")
        # Whatever it has is left; it looks at all events again.
        await connection.execute(
            "UPDATE event_text_position"
            " SET seen = '1:1:', target = NULL, xid = '0', room_no = 0, seq = 0"
        )
        # Nobody is pushed what they were pushed before.
        await connection.execute(
            "UPDATE push_position SET seen = pg_current_snapshot()::text,"
            " target = NULL, xid = '0', room_no = 0, seq = 0"
        )
        await connection.execute(
            "UPDATE epoch SET name = substr(md5(random()::text || clock_timestamp()::text), 1, 6)"
        )
