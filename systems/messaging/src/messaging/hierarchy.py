"""The rooms of a space, and of the spaces in it: a tree that is walked depth first, each room once.

Every room is judged for itself: a space may name rooms that its members must not know of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.authorization import KNOCKING, RESTRICTED, allowed_rooms
from messaging.errors import forbidden
from messaging.rooms import decoded
from messaging.summaries import SUMMARY_COLUMNS, summary_of_room

__all__ = ["Hierarchy"]

SPACE = "m.space"
_ROOMS_MAX = 1_000
_CHILDREN_MAX = 500
_ORDER = re.compile(r"[\x20-\x7e]{1,50}")

_ROOMS = f"""
SELECT {SUMMARY_COLUMNS},
       (SELECT membership FROM member WHERE room_no = r.no AND user_id = $2) AS own
FROM room AS r WHERE r.room_id = ANY($1::text[])"""
_CHILDREN = f"""
SELECT e.state_key, e.sender, e.ts, e.content
FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = $1 AND s.type = 'm.space.child' ORDER BY s.state_key LIMIT {_CHILDREN_MAX}"""
_IN = """
SELECT r.room_id FROM room AS r JOIN member AS m ON m.room_no = r.no
WHERE r.room_id = ANY($1::text[]) AND m.user_id = $2 AND m.membership = 'join'"""


class Hierarchy:
    """Walks spaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        user_id: str,
        root: str,
        *,
        skip: int,
        limit: int,
        depth_max: int,
        suggested_only: bool,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """At most `limit` rooms behind the first `skip`, and how many to skip for the next page.

        Raises M_FORBIDDEN when the user may not know of the first room.
        """
        found: list[dict[str, Any]] = []
        rooms = await self._rooms(user_id, [root])
        if root not in rooms:
            raise forbidden("You may not see this room, or it is not there.")
        stack, seen, number = [(rooms[root], 0)], {root}, 0
        while stack and number < _ROOMS_MAX:
            row, depth = stack.pop()
            if len(found) == limit:
                return found, number
            shown = summary_of_room(row) | {"children_state": []}
            if shown.get("room_type") == SPACE:
                children = await self._children(row["no"], suggested_only=suggested_only)
                shown["children_state"] = [_stripped(child) for child in children]
                if depth < depth_max:
                    named = [child["state_key"] for child in children]
                    new = [name for name in named if name not in seen]
                    seen.update(new)
                    rooms = await self._rooms(user_id, new)
                    stack += [(rooms[name], depth + 1) for name in reversed(new) if name in rooms]
            number += 1
            if number > skip:
                found.append(shown)
        return found, None

    async def _rooms(self, user_id: str, room_ids: Sequence[str]) -> dict[str, Any]:
        """Of these rooms those that the user may know of."""
        if not room_ids:
            return {}
        rows = await self._database.fetch(_ROOMS, list(room_ids), user_id)
        rules = {row["room_id"]: _rules(row) for row in rows}
        opening = {room for content in rules.values() for room in allowed_rooms(content)}
        own: set[str] = set()
        if opening:
            own = {row["room_id"] for row in await self._database.fetch(_IN, [*opening], user_id)}

        def may_know(row: Any) -> bool:
            content = rules[row["room_id"]]
            rule = content.get("join_rule")
            if row["own"] in ("join", "invite"):
                return True
            if row["own"] == "ban":
                return False
            if rule in ("public", *KNOCKING):
                return True
            if rule in RESTRICTED and own.intersection(allowed_rooms(content)):
                return True
            return bool(summary_of_room(row)["world_readable"])

        return {row["room_id"]: row for row in rows if may_know(row)}

    async def _children(self, room_no: int, *, suggested_only: bool) -> list[Any]:
        """What a space names, in the specification's order; with no server it is taken away."""
        found = []
        for row in await self._database.fetch(_CHILDREN, room_no):
            content = decoded(row["content"])
            via = content.get("via")
            is_there = isinstance(via, list) and bool(via)
            if is_there and (not suggested_only or content.get("suggested") is True):
                order = content.get("order")
                is_ordered = isinstance(order, str) and _ORDER.fullmatch(order) is not None
                place = (not is_ordered, order if is_ordered else "", row["ts"], row["state_key"])
                found.append((place, row))
        return [row for _, row in sorted(found, key=lambda one: one[0])]


def _rules(row: Any) -> dict[str, Any]:
    return {} if row["rules"] is None else decoded(row["rules"])


def _stripped(row: Any) -> dict[str, Any]:
    return {
        "type": "m.space.child",
        "state_key": row["state_key"],
        "sender": row["sender"],
        "origin_server_ts": row["ts"],
        "content": msgspec.Raw(row["content"]),
    }
