"""Made-up users and rooms for a new database: `python -m messaging seed`.

Users are `user-000000`, …, all with one password. User n is in a room with one other, in a room of
up to 20, and in a room of up to 100; each room begins with a few messages.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from systems_common.passwords import hashed

__all__ = ["ROOM_SIZES", "SeedError", "localpart_of_seed", "room_id_of_seed", "seed"]

ROOM_SIZES = (2, 20, 100)
_MESSAGES = 20
_encode = msgspec.json.Encoder().encode


class SeedError(Exception):
    """The database is not empty."""


def localpart_of_seed(number: int) -> str:
    """The name of a seeded user."""
    return f"user-{number:06d}"


def room_id_of_seed(size: int, number: int, server_name: str) -> str:
    """The id of a seeded room: the one of that size that user `number` is in."""
    return f"!seed-{size}-{number // size:06d}:{server_name}"


async def seed(connection: Any, *, users: int, server_name: str, password: str) -> int:
    """Fill an empty database; the number of rooms. Raises `SeedError`."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM account)"):
        raise SeedError("the database has users already; seed a new one")
    ids = [f"@{localpart_of_seed(n)}:{server_name}" for n in range(users)]
    digest = hashed(password)
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO account (user_id, password_digest) SELECT u, $2 FROM unnest($1::text[])"
            " WITH ORDINALITY AS given(u, n) ORDER BY n",
            ids,
            digest,
        )
        rooms = 0
        for size in ROOM_SIZES:
            for first in range(0, users, size):
                room_id = room_id_of_seed(size, first, server_name)
                await _add_room(connection, room_id, ids[first : first + size])
                rooms += 1
    # What the planner knows of tables that were just filled would be guesses.
    await connection.execute("ANALYZE")
    return rooms


async def _add_room(connection: Any, room_id: str, members: list[str]) -> None:
    creator = members[0]
    now_ms = int(time.time() * 1000)
    levels = {"users": {creator: 100}, "users_default": 0, "events_default": 0, "state_default": 50}
    state: list[tuple[str, str, str, dict[str, Any]]] = [
        (creator, "m.room.create", "", {"creator": creator, "room_version": "10"}),
        *((user, "m.room.member", user, {"membership": "join"}) for user in members),
        (creator, "m.room.power_levels", "", levels),
        (creator, "m.room.join_rules", "", {"join_rule": "public"}),
        (creator, "m.room.history_visibility", "", {"history_visibility": "shared"}),
        (creator, "m.room.name", "", {"name": room_id[1:].partition(":")[0]}),
    ]
    last = len(state) + _MESSAGES
    no = await connection.fetchval(
        "INSERT INTO room (room_id, version, creator, seq, auth, counted, joined)"
        " VALUES ($1, '10', $2, $3, $4, $5, $6) RETURNING no",
        room_id,
        creator,
        last,
        len(state),
        _MESSAGES,
        len(members),
    )
    events: list[tuple[Any, ...]] = [
        (no, seq, now_ms, 0, False, sender, kind, key, _encode(content))
        for seq, (sender, kind, key, content) in enumerate(state, 1)
    ]
    for n in range(_MESSAGES):
        body = {"msgtype": "m.text", "body": f"Message {n} of the seed"}
        sender = members[n % len(members)]
        seq = len(state) + n + 1
        events.append((no, seq, now_ms, n + 1, True, sender, "m.room.message", None, _encode(body)))
    await connection.copy_records_to_table(
        "event",
        records=events,
        columns=[
            *("room_no", "seq", "ts", "counted", "counts", "sender", "type", "state_key"),
            "content",
        ],
    )
    await connection.execute(
        "INSERT INTO room_state (room_no, type, state_key, seq)"
        " SELECT room_no, type, state_key, seq FROM event"
        " WHERE room_no = $1 AND state_key IS NOT NULL",
        no,
    )
    await connection.execute(
        "INSERT INTO member (room_no, user_id, membership, seq)"
        " SELECT room_no, state_key, 'join', seq FROM event"
        " WHERE room_no = $1 AND type = 'm.room.member'",
        no,
    )
    await connection.execute(
        "INSERT INTO read_mark (room_no, user_id, seq, counted)"
        " SELECT room_no, user_id, $2, $3 FROM member WHERE room_no = $1",
        no,
        last,
        _MESSAGES,
    )
