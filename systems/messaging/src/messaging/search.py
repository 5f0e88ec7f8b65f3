"""Finds events by their words, in rooms of which a user may see something, as far as they may."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from systems_common.database import Database

from messaging.errors import invalid_param
from messaging.events import Event
from messaging.filters import EventFilter, passes
from messaging.reading import rows_to_events
from messaging.rooms import Rooms
from messaging.sync_sql import EVENTS
from messaging.visibility import Stretch, sees

__all__ = ["KEYS", "Found", "Page", "Search"]

KEYS = {
    "content.body": "m.room.message",
    "content.name": "m.room.name",
    "content.topic": "m.room.topic",
}
"""What can be searched, and the type of event that has it."""
_ROUNDS_MAX = 10
_TOKEN = re.compile(r"([nr])([0-9.e+-]{1,30})_(\d{1,18})_(\d{1,18})", re.ASCII)

_ROOMS = """
SELECT m.room_no, r.room_id FROM member AS m JOIN room AS r ON r.no = m.room_no
WHERE m.user_id = $1 AND NOT m.is_forgotten ORDER BY m.room_no"""
# $2: the rooms, as words that are in the same index.
_MATCHES = """
SELECT t.room_no, t.seq, t.ts, ts_rank(t.words, q.plain) AS rank
FROM (SELECT websearch_to_tsquery('simple', $1) AS plain) AS q
JOIN event_text AS t ON t.words @@ (q.plain && $2::text::tsquery)
WHERE numnode(q.plain) > 0"""
_RECENT = f"""
SELECT room_no, seq, rank, ts::text AS place FROM ({_MATCHES}) AS m
WHERE $3::text IS NULL OR (ts, room_no, seq) < ($3::text::bigint, $4::bigint, $5::bigint)
ORDER BY ts DESC, room_no DESC, seq DESC LIMIT $6"""
_RANKED = f"""
SELECT room_no, seq, rank, rank::text AS place FROM ({_MATCHES}) AS m
WHERE $3::text IS NULL OR (rank, room_no, seq) < ($3::text::real, $4::bigint, $5::bigint)
ORDER BY rank DESC, room_no DESC, seq DESC LIMIT $6"""
_WORDS = "SELECT tsvector_to_array(to_tsvector('simple', $1))"


class Found(msgspec.Struct, frozen=True):
    """An event that matches, in a room whose id is that."""

    room_id: str
    event: Event
    rank: float


class Page(msgspec.Struct, frozen=True):
    """What was found, and where the next page begins; None: there is none."""

    found: list[Found]
    next_batch: str | None
    allowed: dict[int, tuple[Stretch, ...]]


class Search:
    """Reads what can be searched."""

    def __init__(self, database: Database, rooms: Rooms) -> None:
        self._database = database
        self._rooms = rooms

    async def words(self, term: str) -> list[str]:
        """The words of a term, for a client to mark where they stand."""
        return list(await self._database.fetchval(_WORDS, term))

    async def page(
        self,
        user_id: str,
        term: str,
        wanted: EventFilter,
        kinds: set[str],
        order: Literal["rank", "recent"],
        token: str | None,
    ) -> Page:
        """At most `wanted.bounded_limit` events with the words of `term`, of these types.

        Raises M_INVALID_PARAM for a token of another search.
        """
        letter = "r" if order == "rank" else "n"
        after = (None, 0, 0) if token is None else _after(letter, token)
        rooms = {
            row["room_no"]: row["room_id"]
            for row in await self._database.fetch(_ROOMS, user_id)
            if _takes(wanted, row["room_id"])
        }
        limit = wanted.bounded_limit
        found: list[Found] = []
        allowed: dict[int, tuple[Stretch, ...]] = {}
        scope = " | ".join(f"'#{no}'" for no in rooms)
        for _ in range(_ROUNDS_MAX if rooms else 0):
            rows = await self._database.fetch(
                _RANKED if order == "rank" else _RECENT, term, scope, *after, limit + 1
            )
            events = await self._events([(row["room_no"], row["seq"]) for row in rows])
            for row in rows:
                place = (row["room_no"], row["seq"])
                if await self._may(user_id, place, allowed) and _passes(
                    events.get(place), wanted, kinds, rooms[place[0]]
                ):
                    if len(found) == limit:
                        return Page(found, _token(letter, after), allowed)
                    found.append(Found(rooms[place[0]], events[place], row["rank"]))
                after = (row["place"], *place)
            if len(rows) <= limit:
                return Page(found, None, allowed)
        return Page(found, _token(letter, after) if rooms else None, allowed)

    async def _may(
        self, user_id: str, place: tuple[int, int], allowed: dict[int, tuple[Stretch, ...]]
    ) -> bool:
        room_no, seq = place
        if room_no not in allowed:
            rights = await self._rooms.rights(room_no, user_id)
            seen = await self._rooms.allowed(room_no, user_id, rights)
            allowed[room_no] = () if rights.is_forgotten else seen
        return sees(allowed[room_no], seq)

    async def _events(self, places: list[tuple[int, int]]) -> dict[tuple[int, int], Event]:
        if not places:
            return {}
        numbers, seqs = (list(part) for part in zip(*places, strict=True))
        events = rows_to_events(await self._database.fetch(EVENTS, numbers, seqs))
        return {(event.room_no, event.seq): event for event in events}


_After = tuple[str | None, int, int]


def _after(letter: str, token: str) -> _After:
    match = _TOKEN.fullmatch(token)
    try:
        if match is None or match[1] != letter:
            raise ValueError
        number = float(match[2])
        # What PostgreSQL can read as the number that it is compared with.
        if not (number == 0 or 1e-30 < number < 1e18):
            raise ValueError
        place = str(number) if letter == "r" else str(int(match[2]))
    except ValueError:
        raise invalid_param("That is no token of such a search.") from None
    return place, int(match[3]), int(match[4])


def _token(letter: str, after: _After) -> str:
    place, room_no, seq = after
    return f"{letter}{place}_{room_no}_{seq}"


def _takes(wanted: EventFilter, room_id: str) -> bool:
    return (wanted.rooms is None or room_id in wanted.rooms) and room_id not in wanted.not_rooms


def _passes(event: Event | None, wanted: EventFilter, kinds: set[str], room_id: str) -> bool:
    # Its words may be there a moment longer than what it said.
    if event is None or event.redacted_by is not None or event.type not in kinds:
        return False
    return passes(
        wanted,
        kind=event.type,
        sender=event.sender,
        room_id=room_id,
        has_url=b'"url"' in event.content,
    )
