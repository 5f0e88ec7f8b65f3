"""Filters: what of /sync and /messages a client wants. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from messaging.errors import MatrixError, bad_json

__all__ = ["FILTER_BYTES_MAX", "EventFilter", "Filter", "RoomFilter", "parse_filter", "passes"]

FILTER_BYTES_MAX = 65_536
LIMIT_DEFAULT = 10
LIMIT_MAX = 100


class EventFilter(msgspec.Struct, frozen=True):
    """A filter of events, of rooms or not. `limit` is brought to at most 100."""

    limit: int | None = None
    types: list[str] | None = None
    not_types: list[str] = []
    senders: list[str] | None = None
    not_senders: list[str] = []
    rooms: list[str] | None = None
    not_rooms: list[str] = []
    contains_url: bool | None = None
    lazy_load_members: bool = False
    include_redundant_members: bool = False

    @property
    def bounded_limit(self) -> int:
        """How many events at most."""
        return LIMIT_DEFAULT if self.limit is None else max(1, min(LIMIT_MAX, self.limit))

    @property
    def takes_all(self) -> bool:
        """Whether every event passes."""
        return (
            self.types is None
            and self.senders is None
            and self.rooms is None
            and self.contains_url is None
            and not (self.not_types or self.not_senders or self.not_rooms)
        )


class RoomFilter(msgspec.Struct, frozen=True):
    """What of rooms is wanted."""

    rooms: list[str] | None = None
    not_rooms: list[str] = []
    include_leave: bool = False
    timeline: EventFilter = EventFilter()
    state: EventFilter = EventFilter()
    ephemeral: EventFilter = EventFilter()
    account_data: EventFilter = EventFilter()

    def takes(self, room_id: str) -> bool:
        """Whether anything of that room is wanted."""
        return (self.rooms is None or room_id in self.rooms) and room_id not in self.not_rooms


class Filter(msgspec.Struct, frozen=True):
    """What a client wants of /sync."""

    room: RoomFilter = RoomFilter()
    presence: EventFilter = EventFilter()
    account_data: EventFilter = EventFilter()
    event_format: str = "client"

    @property
    def takes_all(self) -> bool:
        """Whether nothing is left out: only limits, and members that are loaded lazily."""
        room = self.room
        return (
            room.rooms is None
            and not room.not_rooms
            and room.timeline.takes_all
            and room.state.takes_all
            and room.ephemeral.takes_all
            and room.account_data.takes_all
        )


def parse_filter(text: bytes | dict[str, Any]) -> Filter:
    """A filter from JSON. Raises `MatrixError`."""
    try:
        if isinstance(text, dict):
            return msgspec.convert(text, Filter)
        return msgspec.json.decode(text, type=Filter)
    except msgspec.ValidationError as error:
        raise bad_json(f"The filter is not one: {error}") from None
    except (msgspec.DecodeError, RecursionError):
        raise MatrixError(400, "M_NOT_JSON", "The filter is not JSON.") from None


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(
        text == pattern or ("*" in pattern and fnmatchcase(text, _escaped(pattern)))
        for pattern in patterns
    )


def _escaped(pattern: str) -> str:
    # Only * is special in a filter; ? and [ are to fnmatch.
    return pattern.replace("[", "[[]").replace("?", "[?]")


def passes(
    wanted: EventFilter,
    *,
    kind: str,
    sender: str,
    room_id: str | None = None,
    has_url: bool = False,
) -> bool:
    """Whether an event of that type, sender and room passes."""
    return (
        (wanted.types is None or _matches(kind, wanted.types))
        and not _matches(kind, wanted.not_types)
        and (wanted.senders is None or sender in wanted.senders)
        and sender not in wanted.not_senders
        and (room_id is None or wanted.rooms is None or room_id in wanted.rooms)
        and room_id not in wanted.not_rooms
        and (wanted.contains_url is None or wanted.contains_url == has_url)
    )
