"""What is told of a room to who is not in it: its name, its size, who may join."""

from __future__ import annotations

from typing import Any

from messaging.rooms import decoded

__all__ = ["SUMMARY_COLUMNS", "summary_of_room"]

_STATES = {
    "name": "m.room.name",
    "topic": "m.room.topic",
    "avatar": "m.room.avatar",
    "alias": "m.room.canonical_alias",
    "rules": "m.room.join_rules",
    "visibility": "m.room.history_visibility",
    "made": "m.room.create",
}
SUMMARY_COLUMNS = "r.no, r.room_id, r.joined" + "".join(
    f""",
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = '{kind}' AND s.state_key = '') AS {name}"""
    for name, kind in _STATES.items()
)
"""For SELECT from `room AS r`."""


def summary_of_room(row: Any) -> dict[str, Any]:
    """A row of these columns as clients see it."""

    def text(column: str, key: str) -> str | None:
        if row[column] is None:
            return None
        value = decoded(row[column]).get(key)
        return value if isinstance(value, str) else None

    shown = {
        "room_id": row["room_id"],
        "num_joined_members": row["joined"],
        "world_readable": text("visibility", "history_visibility") == "world_readable",
        "guest_can_join": False,
        "name": text("name", "name"),
        "topic": text("topic", "topic"),
        "avatar_url": text("avatar", "url"),
        "canonical_alias": text("alias", "alias"),
        "join_rule": text("rules", "join_rule"),
        "room_type": text("made", "type"),
    }
    return {key: value for key, value in shown.items() if value is not None}
