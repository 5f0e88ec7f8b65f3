"""Public keys of devices: kept, found, and one-time keys given to exactly one who asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import transaction

from messaging.changing import Changes
from messaging.errors import MatrixError
from messaging.sessions import Session

__all__ = ["CHANGED_SINCE", "KEY_COUNTS", "DeviceKeys", "tell_sharers"]

_KEEP = """
INSERT INTO device_key (device_no, content) VALUES ($1, $2)
ON CONFLICT (device_no) DO UPDATE SET content = excluded.content
WHERE device_key.content <> excluded.content RETURNING true"""
_UNSIGN = "DELETE FROM key_signature WHERE device_no = $1"
_ADD = """
WITH given AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::bytea[]) AS g(algorithm, key_id, content)
), kept AS (
    INSERT INTO one_time_key (device_no, algorithm, key_id, content)
    SELECT $1, algorithm, key_id, content FROM given
    ON CONFLICT DO NOTHING
)
SELECT g.key_id FROM given AS g JOIN one_time_key AS k
ON (k.device_no, k.algorithm, k.key_id) = ($1, g.algorithm, g.key_id) AND k.content <> g.content"""
_FALL_BACK = """
INSERT INTO fallback_key (device_no, algorithm, key_id, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (device_no, algorithm)
DO UPDATE SET key_id = excluded.key_id, content = excluded.content,
              is_used = fallback_key.is_used AND fallback_key.key_id = excluded.key_id"""
_COUNTS = """
SELECT algorithm, count(*) AS n FROM one_time_key WHERE device_no = $1 GROUP BY algorithm"""
_FIND = """
SELECT a.user_id, d.device_id, d.display_name, k.content
FROM account AS a JOIN device AS d ON d.user_no = a.no JOIN device_key AS k ON k.device_no = d.no
WHERE a.user_id = ANY($1::text[]) ORDER BY d.no"""
_CLAIM = """
DELETE FROM one_time_key WHERE (device_no, algorithm, key_id) = (
    SELECT k.device_no, k.algorithm, k.key_id FROM one_time_key AS k
    JOIN device AS d ON d.no = k.device_no JOIN account AS a ON a.no = d.user_no
    WHERE a.user_id = $1 AND d.device_id = $2 AND k.algorithm = $3
    ORDER BY k.key_id LIMIT 1 FOR UPDATE OF k SKIP LOCKED
) RETURNING key_id, content"""
_CLAIM_FALLBACK = """
UPDATE fallback_key AS f SET is_used = true
FROM device AS d JOIN account AS a ON a.no = d.user_no
WHERE d.no = f.device_no AND a.user_id = $1 AND d.device_id = $2 AND f.algorithm = $3
RETURNING f.key_id, f.content"""
_CHANGED = """
INSERT INTO device_list (user_id) VALUES ($1)
ON CONFLICT (user_id) DO UPDATE SET xid = pg_current_xact_id()"""
_SHARERS = """
SELECT DISTINCT o.user_id FROM member AS m JOIN member AS o ON o.room_no = m.room_no
WHERE m.user_id = $1 AND m.membership = 'join' AND o.membership = 'join'"""
CHANGED_SINCE = """
SELECT l.user_id FROM device_list AS l
WHERE l.xid >= $2::text::xid8 AND NOT pg_visible_in_snapshot(l.xid, $3::text::pg_snapshot)
  AND (l.user_id = $1 OR EXISTS (
    SELECT FROM member AS m JOIN member AS o ON o.room_no = m.room_no
    WHERE m.user_id = $1 AND m.membership = 'join'
      AND o.user_id = l.user_id AND o.membership = 'join'))
UNION
-- Whom the user signed themselves, on another device perhaps.
SELECT o.user_id FROM account AS a JOIN key_signature AS s ON s.signer_no = a.no
JOIN account AS o ON o.no = s.user_no
WHERE a.user_id = $1 AND s.user_no <> s.signer_no
  AND s.xid >= $2::text::xid8 AND NOT pg_visible_in_snapshot(s.xid, $3::text::pg_snapshot)
ORDER BY user_id"""
# Of this device: one-time keys left of each algorithm; -1: a fallback key nobody was given yet.
KEY_COUNTS = """
SELECT algorithm, count(*) AS n FROM one_time_key WHERE device_no = $1 GROUP BY algorithm
UNION ALL SELECT algorithm, -1 FROM fallback_key WHERE device_no = $1 AND NOT is_used"""

_encode = msgspec.json.Encoder().encode


async def tell_sharers(changes: Changes, connection: Any, user_id: str) -> list[int]:
    """Mark the device list as changed for all who share a room, in the connection's transaction;
    the numbers of those users."""
    await connection.execute(_CHANGED, user_id)
    rows = await connection.fetch(_SHARERS, user_id)
    return await changes.touch(connection, sorted({user_id, *(r["user_id"] for r in rows)}))


class DeviceKeys:
    """Keeps and hands out keys."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._database = changes.database

    @tried_again
    async def upload(
        self,
        session: Session,
        device_keys: Mapping[str, Any] | None,
        one_time: Sequence[tuple[str, str, bytes]],
        fallback: Sequence[tuple[str, str, bytes]],
    ) -> dict[str, int]:
        """Keep keys; how many one-time keys there are. Raises when a key's name is taken."""
        touched: list[int] = []
        async with transaction(self._database) as connection:
            if device_keys is not None and await connection.fetchval(
                _KEEP, session.device_no, _encode(device_keys)
            ):
                touched = await tell_sharers(self._changes, connection, session.user_id)
                await connection.execute(_UNSIGN, session.device_no)
            if one_time or fallback:
                touched += await self._changes.touch(connection, [session.user_id])
            if one_time:
                columns = [list(column) for column in zip(*one_time, strict=True)]
                if taken := await connection.fetchval(_ADD, session.device_no, *columns):
                    raise MatrixError(400, "M_UNKNOWN", f"There is another key {taken} already.")
            for algorithm, key_id, content in fallback:
                await connection.execute(_FALL_BACK, session.device_no, algorithm, key_id, content)
            rows = await connection.fetch(_COUNTS, session.device_no)
        for user_no in touched:
            self._changes.touched(user_no)
        return {row["algorithm"]: row["n"] for row in rows}

    async def query(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        """The keys of these devices of each user; no devices named: of all."""
        found: dict[str, dict[str, Any]] = {user: {} for user in wanted}
        for row in await self._database.fetch(_FIND, list(wanted)):
            named = wanted[row["user_id"]]
            if not named or row["device_id"] in named:
                keys = msgspec.json.decode(row["content"])
                if row["display_name"] is not None:
                    keys["unsigned"] = {"device_display_name": row["display_name"]}
                found[row["user_id"]][row["device_id"]] = keys
        return found

    @tried_again
    async def claim(self, wanted: Sequence[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
        """One key for each user, device and algorithm that has one; nobody else gets it."""
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        touched: list[int] = []
        async with transaction(self._database) as connection:
            # Before the keys, as the upload does, so that the two cannot wait in a circle.
            users = sorted({user for user, _, _ in wanted})
            touched = await self._changes.touch(connection, users)
            for user, device, algorithm in wanted:
                row = await connection.fetchrow(_CLAIM, user, device, algorithm)
                row = row or await connection.fetchrow(_CLAIM_FALLBACK, user, device, algorithm)
                if row is not None:
                    key = msgspec.Raw(row["content"])
                    found[user][device] = {f"{algorithm}:{row['key_id']}": key}
        for user_no in touched:
            self._changes.touched(user_no)
        return dict(found)

    async def changed(self, session: Session, since: Any) -> list[str]:
        """The users who share a room and whose devices changed since a snapshot."""
        rows = await self._database.fetch(
            CHANGED_SINCE, session.user_id, str(since.xmin), since.text
        )
        return [row["user_id"] for row in rows]
