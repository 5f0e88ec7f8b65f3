"""What users report to the operator of the server, and how the operator reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from messaging.events import event_id_of
from messaging.rooms import decoded

__all__ = ["REPORT", "reports"]

REPORT = """
INSERT INTO report (room_no, seq, user_no, reason, score) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (room_no, seq, user_no)
DO UPDATE SET reason = excluded.reason, score = excluded.score, made_at = now()"""
_READ = """
SELECT p.seq, p.reason, p.score, p.made_at, a.user_id, r.room_id, e.sender, e.type, e.content
FROM report AS p JOIN account AS a ON a.no = p.user_no JOIN room AS r ON r.no = p.room_no
JOIN event AS e ON (e.room_no, e.seq) = (p.room_no, p.seq)
ORDER BY p.made_at, p.room_no, p.seq"""


async def reports(connection: Any) -> AsyncIterator[str]:
    """Every report, the oldest first: a line of JSON each."""
    async with connection.transaction():
        async for row in connection.cursor(_READ):
            shown = {
                "reported_at": row["made_at"],
                "reported_by": row["user_id"],
                "reason": row["reason"],
                "score": row["score"],
                "room_id": row["room_id"],
                "event_id": event_id_of(row["room_id"], row["seq"]),
                "sender": row["sender"],
                "type": row["type"],
                "content": decoded(row["content"]),
            }
            yield msgspec.json.encode(shown).decode()
