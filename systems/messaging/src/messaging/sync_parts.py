"""Small parts of an answer of /sync. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["STRIPPED", "summary_of"]

STRIPPED = (
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
)
"""The state that an invited user may see."""


def summary_of(joined: int, invited: int, heroes: Sequence[str]) -> dict[str, Any]:
    """What a client needs to name a room that has no name."""
    return {
        "m.heroes": list(heroes),
        "m.joined_member_count": joined,
        "m.invited_member_count": invited,
    }
