"""Delivers what is to be pushed to the gateways that pushers name.

Whoever takes a pusher makes it due again in a minute, so that another process takes it when this
one dies; a push may then come twice, but none is lost. A gateway that fails is asked again later,
each time twice as late, and nobody else waits for it (DECISIONS 22).
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import asyncpg
import msgspec
from systems_common.database import Database, DatabaseUnavailableError, transaction
from systems_common.posting import NotPostedError, Poster

from messaging.events import event_id_of
from messaging.push_evaluation import own_rules
from messaging.rooms import decoded
from messaging.unread import Unread

__all__ = ["PushDelivery"]

log = logging.getLogger(__name__)

_AT_ONCE = 20
_IDLE_S = 5.0
_RETRY_MAX_S = 3_600
_KEPT_MAX = 100
_PRIORITY_HIGH = ("m.room.message", "m.room.encrypted", "m.call.invite", "m.room.member")

_TAKE = """
UPDATE pusher SET due_at = now() + interval '60 s'
WHERE no = ANY(ARRAY(SELECT no FROM pusher WHERE due_at <= now() ORDER BY due_at LIMIT $1
                     FOR UPDATE SKIP LOCKED))
RETURNING no, user_no, user_id, app_id, pushkey, url, content, tries,
          extract(epoch FROM made_at)::bigint AS made_s"""
_NEXT = (
    "SELECT extract(epoch FROM min(due_at) - now())::float8 FROM pusher WHERE due_at IS NOT NULL"
)
# What was read meanwhile, what is a day old and all but the newest is not pushed any more.
_DROP = f"""
DELETE FROM push AS p WHERE p.pusher_no = $1 AND (
    p.made_at < now() - interval '1 day'
    OR EXISTS (SELECT FROM read_mark AS r WHERE (r.room_no, r.user_id) = (p.room_no, $2::text)
               AND r.seq >= p.seq)
    OR p.no NOT IN (SELECT no FROM push WHERE pusher_no = $1 ORDER BY no DESC LIMIT {_KEPT_MAX}))"""
_PENDING = f"""
SELECT p.no, p.seq, p.tweaks, r.room_id, e.type, e.sender, e.state_key, e.content,
       (SELECT x.content FROM room_state AS s JOIN event AS x USING (room_no, seq)
        WHERE s.room_no = p.room_no AND s.type = 'm.room.name' AND s.state_key = '') AS named,
       (SELECT x.content FROM room_state AS s JOIN event AS x USING (room_no, seq)
        WHERE s.room_no = p.room_no AND s.type = 'm.room.canonical_alias' AND s.state_key = '')
           AS called,
       (SELECT x.content FROM room_state AS s JOIN event AS x USING (room_no, seq)
        WHERE s.room_no = p.room_no AND s.type = 'm.room.member' AND s.state_key = e.sender)
           AS sending
FROM push AS p JOIN room AS r ON r.no = p.room_no
JOIN event AS e ON (e.room_no, e.seq) = (p.room_no, p.seq)
WHERE p.pusher_no = $1 ORDER BY p.no LIMIT {_KEPT_MAX}"""
_COUNTING = """
SELECT array_agg(m.room_no) AS rooms,
       (SELECT content FROM account_data WHERE (user_no, room_no, type) = ($2, 0, 'm.push_rules'))
           AS rules
FROM member AS m WHERE m.user_id = $1 AND m.membership = 'join'"""
# And the pusher stays this process's.
_DONE = """
WITH gone AS (DELETE FROM push WHERE pusher_no = $1 AND no = $2)
UPDATE pusher SET due_at = now() + interval '60 s', tries = 0 WHERE no = $1"""
_LATER = """
UPDATE pusher SET tries = least(tries + 1, 20), due_at = now() + $2 * interval '1 s'
WHERE no = $1"""
_LOCK = "SELECT FROM pusher WHERE no = $1 FOR UPDATE"
# Its own statement, so that it sees what was written before the lock was given.
_SETTLE = """
UPDATE pusher SET due_at = CASE WHEN EXISTS (SELECT FROM push WHERE pusher_no = $1) THEN now() END
WHERE no = $1"""
_REJECTED = "DELETE FROM pusher WHERE no = $1"


class PushDelivery:
    """Asks gateways; `wake` says that there may be something to push."""

    def __init__(self, database: Database, unread: Unread, *, public_only: bool) -> None:
        self._database = database
        self._unread = unread
        self._poster = Poster(public_only=public_only)
        self._is_due = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something may be due."""
        self._is_due.set()

    def close(self) -> None:
        """Wait for no gateway."""
        self._poster.close()

    async def run(self) -> None:
        """Deliver what is due; until cancelled."""
        try:
            while True:
                pause_s = _IDLE_S
                self._is_due.clear()
                try:
                    if free := _AT_ONCE - len(self._tasks):
                        for row in await self._database.fetch(_TAKE, free):
                            task = asyncio.create_task(self._deliver(row))
                            self._tasks.add(task)
                            task.add_done_callback(self._ended)
                        next_s = await self._database.fetchval(_NEXT)
                        pause_s = min(_IDLE_S, max(0.05, next_s or _IDLE_S))
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("what is pushed waits", extra={"error": repr(error)})
                try:
                    async with asyncio.timeout(pause_s):
                        await self._is_due.wait()
                except TimeoutError:
                    # Due by its time, or left by a process that died.
                    pass
        finally:
            for task in self._tasks:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._is_due.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It is due again in a minute.
            log.warning("a pusher was left", extra={"error": repr(error)})

    async def _deliver(self, pusher: Any) -> None:
        no = pusher["no"]
        await self._database.fetch(_DROP, no, pusher["user_id"])
        rows = await self._database.fetch(_PENDING, no)
        unread = await self._count(pusher) if rows else 0
        for row in rows:
            body = _notification(pusher, row, unread)
            try:
                status, answer = await self._poster.post(pusher["url"], body)
                if status != 200:
                    raise NotPostedError(f"{pusher['url']}: status {status}")
            except NotPostedError as error:
                log.info("a gateway failed", extra={"error": str(error)})
                wait_s = min(_RETRY_MAX_S, 2 ** pusher["tries"]) * random.uniform(0.5, 1.0)
                await self._database.fetch(_LATER, no, wait_s)
                return
            if pusher["pushkey"] in _rejected(answer):
                await self._database.fetch(_REJECTED, no)
                return
            await self._database.fetch(_DONE, no, row["no"])
        async with transaction(self._database) as connection:
            await connection.execute(_LOCK, no)
            await connection.execute(_SETTLE, no)

    async def _count(self, pusher: Any) -> int:
        """The unread messages of the user, in all rooms they are in."""
        found = await self._database.fetchrow(_COUNTING, pusher["user_id"], pusher["user_no"])
        user_id = pusher["user_id"]
        own = own_rules(user_id, found["rules"])
        counts = await self._unread.read(self._database, found["rooms"] or [], user_id, own)
        return sum(unread for unread, _ in counts.values())


def _rejected(answer: bytes) -> list[Any]:
    try:
        found = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    rejected = found.get("rejected") if isinstance(found, dict) else None
    return rejected if isinstance(rejected, list) else []


def _text(content: bytes | None, name: str) -> str | None:
    value = None if content is None else decoded(content).get(name)
    return value if isinstance(value, str) and value else None


def _notification(pusher: Any, row: Any, unread: int) -> bytes:
    """What a gateway is told (Push Gateway API, specification v1.11)."""
    tweaks = msgspec.json.decode(row["tweaks"])
    data = {k: v for k, v in decoded(pusher["content"])["data"].items() if k != "url"}
    device = {
        "app_id": pusher["app_id"],
        "pushkey": pusher["pushkey"],
        "pushkey_ts": pusher["made_s"],
        "data": data,
        "tweaks": tweaks,
    }
    event_id = event_id_of(row["room_id"], row["seq"])
    told: dict[str, Any] = {
        "event_id": event_id,
        "room_id": row["room_id"],
        "counts": {"unread": unread},
        "devices": [device],
    }
    if data.get("format") != "event_id_only":
        is_high = row["type"] in _PRIORITY_HIGH or bool(tweaks.get("highlight"))
        told |= {
            "type": row["type"],
            "sender": row["sender"],
            "content": msgspec.Raw(row["content"]),
            "prio": "high" if is_high else "low",
        }
        for name, value in (
            ("sender_display_name", _text(row["sending"], "displayname")),
            ("room_name", _text(row["named"], "name")),
            ("room_alias", _text(row["called"], "alias")),
        ):
            if value is not None:
                told[name] = value
        if row["type"] == "m.room.member":
            told["user_is_target"] = row["state_key"] == pusher["user_id"]
    return msgspec.json.encode({"notification": told})
