"""Writes down what is to be pushed, behind the events and beside the requests.

A send does not wait for it and knows nothing of pushers (DECISIONS 22).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.following import BETWEEN, Follower, Place
from messaging.power import PowerLevels, power_levels_of
from messaging.push_evaluation import Surroundings, enabled_rules, matching_rule, notifies
from messaging.push_rules import Rule
from messaging.rooms import decoded

__all__ = ["EVENTS", "PushQueue"]

_GATHER_S = 0.1
_CHUNK = 500

_ANY = "SELECT min(no) FROM pusher"
EVENTS = f"""
SELECT xid::text AS xid, room_no, seq, sender, type, state_key, content FROM event
WHERE {BETWEEN} LIMIT {_CHUNK}"""
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


class PushQueue(Follower):
    """Judges events for who has pushers; `written` is called when there is something to push."""

    def __init__(self, database: Database, written: Callable[[], None]) -> None:
        super().__init__(database, table="push_position", task="what is pushed", gather_s=_GATHER_S)
        self._written = written
        self._has_written = False

    async def advance(self) -> bool:
        """Judge some events; whether there are more."""
        if await self._database.fetchval(_ANY) is None:
            # Whoever makes the first pusher moves the position to there.
            return False
        self._has_written = False
        there_is_more = await super().advance()
        if self._has_written:
            self._written()
        return there_is_more

    async def _take(self, connection: Any, seen: str, target: str, place: Place) -> Place | None:
        events = await connection.fetch(EVENTS, seen, target, *place)
        self._has_written = bool(events) and await self._write(connection, events) > 0
        if len(events) < _CHUNK:
            return None
        last = events[-1]
        return last["xid"], last["room_no"], last["seq"]

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
