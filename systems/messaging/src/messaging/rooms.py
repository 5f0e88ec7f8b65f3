"""Rooms by their ids, and what a user may do in one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.authorization import RESTRICTED, Standing, allowed_rooms
from messaging.errors import forbidden, not_found
from messaging.power import PowerLevels, power_levels_of
from messaging.visibility import EVERYTHING, Stretch, Turn, stretches

__all__ = ["Rights", "Rooms", "decoded", "standing_in"]

_REMEMBERED_MAX = 100_000

_RIGHTS = """
SELECT r.auth, r.creator, m.membership, m.is_forgotten,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.power_levels' AND s.state_key = '') AS power
FROM room AS r LEFT JOIN member AS m ON m.room_no = r.no AND m.user_id = $2
WHERE r.no = $1"""
_STANDING = """
SELECT r.creator, r.seq,
       (SELECT membership FROM member WHERE room_no = r.no AND user_id = $2) AS own,
       (SELECT membership FROM member WHERE room_no = r.no AND user_id = $3) AS target,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.power_levels' AND s.state_key = '') AS power,
       (SELECT e.content FROM room_state AS s JOIN event AS e USING (room_no, seq)
        WHERE s.room_no = r.no AND s.type = 'm.room.join_rules' AND s.state_key = '') AS rules
FROM room AS r WHERE r.no = $1"""
_IS_IN_ONE = """
SELECT EXISTS (SELECT FROM room AS r JOIN member AS m ON m.room_no = r.no
               WHERE r.room_id = ANY($1::text[]) AND m.user_id = $2 AND m.membership = 'join')"""
# Of these users, or of all members, one who is in the room.
_ONE_OF = """
SELECT user_id FROM member
WHERE room_no = $1 AND membership = 'join' AND user_id = ANY($2::text[]) LIMIT 1"""
_ANY_MEMBER = "SELECT user_id FROM member WHERE room_no = $1 AND membership = 'join' LIMIT 1"
_TURNS = """
SELECT seq, type, content FROM event
WHERE room_no = $1 AND ((type = 'm.room.history_visibility' AND state_key = '')
                     OR (type = 'm.room.member' AND state_key = $2))
ORDER BY seq"""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decoded(content: bytes) -> dict[str, Any]:
    """A content that is kept, as an object."""
    return _decode(content)


@lru_cache(maxsize=8_192)
def _levels(content: bytes | None, creator: str) -> PowerLevels:
    return power_levels_of(None if content is None else _decode(content), creator)


class Rights(msgspec.Struct, frozen=True):
    """A user in a room, as of the room's state event number `auth`. `membership` is "" for one
    who never had any."""

    auth: int
    membership: str
    is_forgotten: bool
    level: int
    power: PowerLevels


async def standing_in(connection: Any, room_no: int, sender: str, target: str) -> Standing:
    """What decides about an event of `sender`, about `target` if it is a membership."""
    row = await connection.fetchrow(_STANDING, room_no, sender, target)
    rules = {} if row["rules"] is None else _decode(row["rules"])
    rule, power = rules.get("join_rule", "invite"), _levels(row["power"], row["creator"])
    voucher = ""
    if rule in RESTRICTED and sender == target and row["own"] not in ("invite", "join", "ban"):
        is_in = await connection.fetchval(_IS_IN_ONE, allowed_rooms(rules), sender)
        voucher = await _voucher(connection, room_no, power) if is_in else ""
    return Standing(
        creator=row["creator"],
        membership=row["own"] or "leave",
        power=power,
        join_rule=rule if isinstance(rule, str) else "invite",
        target=row["target"] or "leave",
        is_empty=row["seq"] == 1,
        voucher=voucher,
    )


async def _voucher(connection: Any, room_no: int, power: PowerLevels) -> str:
    """A member who may invite; "": nobody there may."""
    needed = power.to("invite")
    named = [user for user in power.users if power.of_user(user) >= needed]
    found = await connection.fetchval(_ONE_OF, room_no, named)
    if found is None and power.levels["users_default"] >= needed:
        found = await connection.fetchval(_ANY_MEMBER, room_no)
    return found or ""


class Rooms:
    """Looks rooms up; what a user may do there is remembered until the room's state changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._rights: OrderedDict[tuple[int, str], Rights] = OrderedDict()
        self._seen: OrderedDict[tuple[int, str], tuple[int, tuple[Stretch, ...]]] = OrderedDict()

    async def number(self, room_id: str) -> int | None:
        """The number of a room, None when there is no such room."""
        found = self._numbers.get(room_id)
        # PostgreSQL takes no text with a NUL, so there is no such room.
        if found is None and "\0" not in room_id:
            found = await self._database.fetchval("SELECT no FROM room WHERE room_id = $1", room_id)
            if found is not None:
                self._numbers[room_id] = found
                _bound(self._numbers)
        return found

    async def existing(self, room_id: str) -> int:
        """The number of a room. Raises M_NOT_FOUND."""
        no = await self.number(room_id)
        if no is None:
            raise not_found("There is no such room.")
        return no

    def remembered_rights(self, room_no: int, user_id: str) -> Rights | None:
        """The rights as they were; whoever uses them must see that `auth` still is the room's."""
        return self._rights.get((room_no, user_id))

    async def rights(self, room_no: int, user_id: str) -> Rights:
        """The rights of a user in a room, as they are now."""
        row = await self._database.fetchrow(_RIGHTS, room_no, user_id)
        power = _levels(row["power"], row["creator"])
        rights = Rights(
            row["auth"],
            row["membership"] or "",
            bool(row["is_forgotten"]),
            power.of_user(user_id),
            power,
        )
        self._rights[room_no, user_id] = rights
        _bound(self._rights)
        return rights

    async def inside(self, room_id: str, user_id: str) -> int:
        """The number of a room that the user is in. Raises M_FORBIDDEN."""
        no = await self.number(room_id)
        if no is None or (await self.rights(no, user_id)).membership != "join":
            raise forbidden("You are not in this room.")
        return no

    async def readable(self, room_id: str, user_id: str) -> tuple[int, Rights, tuple[Stretch, ...]]:
        """A room of which the user may see something, and what. Raises M_FORBIDDEN."""
        no = await self.number(room_id)
        if no is None:
            raise forbidden("You are not in this room, and never were.")
        rights = await self.rights(no, user_id)
        allowed = await self.allowed(no, user_id, rights)
        if not allowed or rights.is_forgotten:
            raise forbidden("You are not in this room, and never were.")
        return no, rights, allowed

    async def allowed(self, room_no: int, user_id: str, rights: Rights) -> tuple[Stretch, ...]:
        """The events that a user may see."""
        key = (room_no, user_id)
        found = self._seen.get(key)
        if found is not None and found[0] == rights.auth:
            return found[1]
        rows = await self._database.fetch(_TURNS, room_no, user_id)
        allowed = stretches_of(rows)
        self._seen[key] = (rights.auth, allowed)
        _bound(self._seen)
        return allowed


def stretches_of(rows: list[Any]) -> tuple[Stretch, ...]:
    """What may be seen, from the state events that decide it."""
    turns = []
    for row in rows:
        content = _decode(row["content"])
        if row["type"] == "m.room.member":
            turns.append(Turn(row["seq"], membership=_text(content, "membership")))
        else:
            turns.append(Turn(row["seq"], visibility=_text(content, "history_visibility")))
    found = stretches(turns)
    # The most usual answer by far, as one object.
    return EVERYTHING if found == EVERYTHING else found


def _text(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None


def _bound(remembered: OrderedDict[Any, Any]) -> None:
    if len(remembered) > _REMEMBERED_MAX:
        remembered.popitem(last=False)
