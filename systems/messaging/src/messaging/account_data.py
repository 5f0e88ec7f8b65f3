"""Account data: the statements that read and store one piece of it. Room 0 stands for all rooms."""

from __future__ import annotations

__all__ = ["READ_DATA", "STORE_DATA"]

READ_DATA = "SELECT content FROM account_data WHERE user_no = $1 AND room_no = $2 AND type = $3"
STORE_DATA = """
INSERT INTO account_data (user_no, room_no, type, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_no, room_no, type)
DO UPDATE SET content = excluded.content, xid = pg_current_xact_id()"""
