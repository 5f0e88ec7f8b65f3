"""Writes down what is to be pushed, behind the events and beside the requests.

A send does not wait for it and knows nothing of pushers. As the index of words does, each round
goes from one snapshot of the database to another, and the position is kept with what was written:
each event is judged once, whatever process does it and whichever dies (DECISIONS 22).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import msgspec
from systems_common.database import Database, DatabaseUnavailableError, transaction

from messaging.power import PowerLevels, power_levels_of
from messaging.push_evaluation import Surroundings, enabled_rules, matching_rule, notifies
from messaging.push_rules import Rule
from messaging.rooms import decoded

__all__ = ["PushQueue"]

log = logging.getLogger(__name__)

_GATHER_S = 0.1
_IDLE_S = 10.0
_RETRY_S = 1.0
_CHUNK = 500

_POSITION = """
SELECT seen, coalesce(target, pg_current_snapshot()::text) AS target, xid::text AS xid, room_no, seq
FROM push_position FOR UPDATE SKIP LOCKED"""
_ANY = "SELECT min(no) FROM pusher"
_CHUNK_OF_EVENTS = f"""
SELECT xid::text AS xid, room_no, seq, sender, type, state_key, content FROM event
WHERE xid >= pg_snapshot_xmin($1::text::pg_snapshot)
  AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
  AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
  AND (xid, room_no, seq) > ($3::text::xid8, $4::bigint, $5::bigint)
ORDER BY xid, room_no, seq LIMIT {_CHUNK}"""
_WHO = """
SELECT w.room_no, w.user_id, w.membership, w.seq, w.pushers,
       (SELECT content FROM account_data
        WHERE user_no = w.user_no AND room_no = 0 AND type = 'm.push_rules') AS rules,
       (SELECT content FROM event WHERE room_no = w.room_no AND seq = w.seq) AS member
FROM (
    SELECT m.room_no, m.user_id, m.membership, m.seq, p.user_no, array_agg(p.no) AS pushers
    FROM pusher AS p JOIN member AS m ON m.user_id = p.user_id
    WHERE m.room_no = ANY($1::bigint[]) AND m.membership IN ('join', 'invite')
    GROUP BY m.room_no, m.user_id, m.membership, m.seq, p.user_no
) AS w"""
_ROOMS = """
SELECT r.no, r.room_id, r.joined, r.creator,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.power_levels' AND s.state_key = '') AS power
FROM room AS r WHERE r.no = ANY($1::bigint[])"""
_ADD = """
INSERT INTO push (pusher_no, room_no, seq, tweaks)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])"""
_DUE = """
UPDATE pusher SET due_at = coalesce(due_at, now())
WHERE no IN (SELECT no FROM pusher WHERE no = ANY($1::bigint[]) ORDER BY no FOR UPDATE)"""
_MOVE = """
UPDATE push_position SET seen = $1, target = $2, xid = $3::text::xid8, room_no = $4, seq = $5"""


class PushQueue:
    """Judges events for who has pushers; `written` is called when there is something to push."""

    def __init__(self, database: Database, written: Callable[[], None]) -> None:
        self._database = database
        self._written = written
        self._is_due = asyncio.Event()
        # Whoever wrote before may have ended before it was judged.
        self._is_due.set()

    def wake(self) -> None:
        """Something was committed."""
        self._is_due.set()

    async def run(self) -> None:
        """Take what is new, ten times a second at most; until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._is_due.wait()
            except TimeoutError:
                # What a process wrote that died then is taken by one that lives.
                pass
            await asyncio.sleep(_GATHER_S)
            self._is_due.clear()
            try:
                while await self._advance():
                    pass
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("what is pushed falls behind", extra={"error": repr(error)})
                await asyncio.sleep(_RETRY_S)
                self._is_due.set()

    async def _advance(self) -> bool:
        """Judge some events; whether there are more."""
        if await self._database.fetchval(_ANY) is None:
            # Whoever makes the first pusher moves the position to there.
            return False
        async with transaction(self._database) as connection:
            at = await connection.fetchrow(_POSITION)
            if at is None:
                # Another process is at it, perhaps not as far as what was written here.
                self._is_due.set()
                return False
            seen, target = at["seen"], at["target"]
            place = (at["xid"], at["room_no"], at["seq"])
            events = await connection.fetch(_CHUNK_OF_EVENTS, seen, target, *place)
            written = await self._write(connection, events) if events else 0
            if len(events) == _CHUNK:
                last = events[-1]
                place = (last["xid"], last["room_no"], last["seq"])
                await connection.execute(_MOVE, seen, target, *place)
            else:
                await connection.execute(_MOVE, target, None, "0", 0, 0)
        if written:
            self._written()
        return len(events) == _CHUNK

    async def _write(self, connection: Any, events: Sequence[Any]) -> int:
        room_nos = sorted({event["room_no"] for event in events})
        who: dict[int, list[_Member]] = defaultdict(list)
        for row in await connection.fetch(_WHO, room_nos):
            who[row["room_no"]].append(_member(row))
        rooms = {row["no"]: row for row in await connection.fetch(_ROOMS, sorted(who))}
        pushes = []
        for event in events:
            room_no = event["room_no"]
            if room_no in who:
                judged = _judged(event, rooms[room_no]["room_id"])
                power = _power(rooms[room_no])
                for member in who[room_no]:
                    tweaks = _tweaks(event, judged, member, rooms[room_no], power)
                    if tweaks is not None:
                        pushes += [(no, room_no, event["seq"], tweaks) for no in member.pushers]
        if pushes:
            await connection.execute(_ADD, *[list(column) for column in zip(*pushes, strict=True)])
            await connection.execute(_DUE, sorted({push[0] for push in pushes}))
        return len(pushes)


class _Member(msgspec.Struct, frozen=True):
    """Somebody in a room, or invited, who has pushers."""

    user_id: str
    membership: str
    seq: int
    display_name: str | None
    rules: tuple[tuple[str, Rule], ...]
    pushers: list[int]


def _member(row: Any) -> _Member:
    named = decoded(row["member"]).get("displayname")
    return _Member(
        row["user_id"],
        row["membership"],
        row["seq"],
        named if isinstance(named, str) else None,
        enabled_rules(row["user_id"], row["rules"]),
        row["pushers"],
    )


def _power(room: Any) -> PowerLevels:
    return power_levels_of(
        None if room["power"] is None else decoded(room["power"]), room["creator"]
    )


def _judged(event: Any, room_id: str) -> dict[str, Any]:
    """An event as conditions of rules see it."""
    judged = {
        "type": event["type"],
        "sender": event["sender"],
        "room_id": room_id,
        "content": decoded(event["content"]),
    }
    return judged if event["state_key"] is None else judged | {"state_key": event["state_key"]}


def _tweaks(
    event: Any, judged: dict[str, Any], member: _Member, room: Any, power: PowerLevels
) -> bytes | None:
    """The tweaks of the rule that notifies this user of the event, None when none does."""
    user_id = member.user_id
    is_own_invite = event["type"] == "m.room.member" and event["state_key"] == user_id
    if event["sender"] == user_id or (member.membership != "join" and not is_own_invite):
        return None
    # Not of what was said before they came.
    if member.seq > event["seq"]:
        return None
    around = Surroundings(room["room_id"], room["joined"], member.display_name, power)
    rule = matching_rule(member.rules, judged, around)
    if rule is None or not notifies(rule):
        return None
    return msgspec.json.encode(
        {
            action["set_tweak"]: action.get("value", True)
            for action in rule.actions
            if isinstance(action, dict)
        }
    )
