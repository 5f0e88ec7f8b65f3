"""How much a user has not read in a room: unread events, and highlights among them.

For whom the predefined rules hold, that is a difference of two numbers (DECISIONS 7). For a user
who changed what rules do, the newest `_JUDGED_MAX` unread messages are judged by them, and what a
process found is carried on from there (DECISIONS 12).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from systems_common.database import Database

from messaging.feeds import Mark, RoomFeed, Tally
from messaging.power import power_levels_of
from messaging.push_evaluation import OwnRules, Surroundings, verdict
from messaging.rooms import decoded

__all__ = ["Unread", "surroundings"]

_JUDGED_MAX = 200

_STORED = """
SELECT w.no, r.counted - coalesce(m.counted, 0) + h.extra AS unread, h.highlights
FROM unnest($1::bigint[]) AS w(no) JOIN room AS r ON r.no = w.no
LEFT JOIN read_mark AS m ON m.room_no = w.no AND m.user_id = $2
CROSS JOIN LATERAL (
    SELECT count(*) AS highlights, count(*) FILTER (WHERE is_extra) AS extra FROM highlight
    WHERE room_no = w.no AND user_id = $2 AND seq > coalesce(m.seq, 0)) AS h"""
_COUNTED = """
SELECT w.no, h.highlights,
       (SELECT count(*) FROM event AS e WHERE e.room_no = w.no
        AND e.seq > coalesce(m.seq, 0) AND e.counts AND e.sender <> $2) + h.extra AS unread
FROM unnest($1::bigint[]) AS w(no)
LEFT JOIN read_mark AS m ON m.room_no = w.no AND m.user_id = $2
CROSS JOIN LATERAL (
    SELECT count(*) AS highlights, count(*) FILTER (WHERE is_extra) AS extra FROM highlight
    WHERE room_no = w.no AND user_id = $2 AND seq > coalesce(m.seq, 0)) AS h"""
_MARKS = """
SELECT m.seq, m.counted, h.highlights, h.extra FROM read_mark AS m CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(seq), '{}') AS highlights,
           coalesce(array_agg(seq) FILTER (WHERE is_extra), '{}') AS extra FROM highlight
    WHERE room_no = m.room_no AND user_id = m.user_id AND seq > m.seq) AS h
WHERE m.room_no = $1 AND m.user_id = $2"""
_MESSAGES = """
SELECT w.no, e.seq, e.sender, e.type, e.content FROM unnest($1::bigint[]) AS w(no)
LEFT JOIN read_mark AS m ON m.room_no = w.no AND m.user_id = $2
CROSS JOIN LATERAL (
    SELECT seq, sender, type, content, state_key FROM event
    WHERE room_no = w.no AND seq > coalesce(m.seq, 0) ORDER BY seq DESC LIMIT $3) AS e
WHERE e.state_key IS NULL AND e.sender <> $2"""
_SURROUNDINGS = """
SELECT r.no, r.room_id, r.joined, r.creator,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.power_levels' AND s.state_key = '') AS power,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.member' AND s.state_key = $2) AS member
FROM room AS r WHERE r.no = ANY($1::bigint[])"""


class Unread:
    """Reads counts, and keeps those of users with rules of their own up to date."""

    def __init__(self, database: Database, *, counted: bool) -> None:
        self._database = database
        self._is_counted = counted
        self._sql = _COUNTED if counted else _STORED

    async def read(
        self, reader: Any, room_nos: Sequence[int], user_id: str, own: OwnRules | None
    ) -> dict[int, tuple[int, int]]:
        """Unread events and highlights in these rooms. `reader`: a connection or the database."""
        if not room_nos:
            return {}
        if own is not None:
            tallies = await self._tallied(reader, room_nos, own)
            return {no: (tally.unread, tally.highlights) for no, tally in tallies.items()}
        rows = await reader.fetch(self._sql, list(room_nos), user_id)
        return {row["no"]: (max(0, row["unread"]), row["highlights"]) for row in rows}

    async def followed(
        self, room: RoomFeed, user_id: str, counted: int, own: OwnRules | None
    ) -> tuple[int, int]:
        """The same of a room that is followed, from what is remembered of it.

        `counted`: how many of its events count, up to the newest that the user is given.
        """
        if self._is_counted and own is None:
            return (await self.read(self._database, [room.no], user_id, None))[room.no]
        known = room.unread(user_id, counted)
        if known is None:
            row = await self._database.fetchrow(_MARKS, room.no, user_id)
            if row is not None:
                mark = Mark(row["seq"], row["counted"], set(row["highlights"]), set(row["extra"]))
                before = room.marks.get(user_id)
                if before is None or before.seq < mark.seq:
                    room.marks[user_id] = mark
            else:
                room.marks[user_id] = Mark(0, 0, set(), set())
            known = room.unread(user_id, counted) or (0, 0)
        if own is None:
            return known
        mark = room.marks[user_id]
        tally = room.tallies.get(user_id)
        if (
            tally is None
            or tally.rules is not own
            or tally.mark != mark.seq
            or not (self._carried_on(room, tally))
        ):
            [tally] = (await self._tallied(self._database, [room.no], own)).values()
            tally.mark, tally.upto = mark.seq, max(tally.upto, room.seq)
            room.tallies[user_id] = tally
        return tally.unread, tally.highlights

    @staticmethod
    def _carried_on(room: RoomFeed, tally: Tally) -> bool:
        """Judge what came since; False when that is not known, or may be judged otherwise now."""
        new = room.since(tally.upto)
        if new is None or any(event.state_key is not None for event in new):
            return False
        for event in new:
            tally.upto = event.seq
            if event.sender != tally.rules.user_id:
                _add(tally, event.sender, event.type, event.content)
        return True

    async def _tallied(
        self, reader: Any, room_nos: Sequence[int], own: OwnRules
    ) -> Mapping[int, Tally]:
        around = await surroundings(reader, room_nos, own.user_id)
        tallies = {no: Tally(own, each) for no, each in around.items()}
        if own.is_silent:
            return tallies
        rows: Iterable[Any] = await reader.fetch(
            _MESSAGES, list(room_nos), own.user_id, _JUDGED_MAX
        )
        messages = defaultdict(list)
        for row in rows:
            messages[row["no"]].append(row)
        for no, found in messages.items():
            tally = tallies[no]
            tally.upto = max(row["seq"] for row in found)
            for row in found:
                _add(tally, row["sender"], row["type"], row["content"])
        return tallies


def _add(tally: Tally, sender: str, kind: str, content: bytes) -> None:
    notifies, highlights = verdict(tally.rules, kind, sender, decoded(content), tally.surroundings)
    tally.unread += notifies
    tally.highlights += highlights


async def surroundings(
    reader: Any, room_nos: Sequence[int], user_id: str
) -> dict[int, Surroundings]:
    """What the user's rules may ask of these rooms. `reader`: a connection or the database."""
    rows = await reader.fetch(_SURROUNDINGS, list(room_nos), user_id)
    return {row["no"]: _surroundings(row) for row in rows}


def _surroundings(row: Any) -> Surroundings:
    power = None if row["power"] is None else decoded(row["power"])
    name = None if row["member"] is None else decoded(row["member"]).get("displayname")
    return Surroundings(
        row["room_id"],
        row["joined"],
        name if isinstance(name, str) else None,
        power_levels_of(power, row["creator"]),
    )
