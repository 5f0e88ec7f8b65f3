"""Which events count as unread, and whom one mentions, by the predefined push rules. Pure.

Mentions are the intentional ones of specification v1.7, `m.mentions`; bodies are not searched for
names (DECISIONS 7). For users with rules of their own see `push_evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from messaging.accounts import is_user_id

__all__ = ["MENTIONS_MAX", "counts_as_unread", "mentioned"]

MENTIONS_MAX = 100
ROOM = "@room"
"""Stands for everybody in the room."""

_COUNTED = frozenset({"m.room.message", "m.room.encrypted", "m.call.invite"})


def counts_as_unread(kind: str, content: Mapping[str, Any]) -> bool:
    """Whether the rules notify everybody of it: of messages, but not of edits and notices."""
    if kind not in _COUNTED or content.get("msgtype") == "m.notice":
        return False
    relation = content.get("m.relates_to")
    return not (isinstance(relation, dict) and relation.get("rel_type") == "m.replace")


def mentioned(content: Mapping[str, Any], *, room_level: bool) -> list[str]:
    """The users it mentions, members or not; `ROOM` when it mentions everybody.

    `room_level`: whether the sender may mention everybody.
    """
    given = content.get("m.mentions")
    if not isinstance(given, dict) or content.get("msgtype") == "m.notice":
        return []
    named = given.get("user_ids")
    users = [u for u in named[:MENTIONS_MAX] if is_user_id(u)] if isinstance(named, list) else []
    if room_level and given.get("room") is True:
        users.append(ROOM)
    return users
