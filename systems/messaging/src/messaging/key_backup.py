"""Backups of room keys: encrypted by the client, in versions of which the newest is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from messaging.errors import MatrixError, forbidden, not_found, too_large

__all__ = ["BackedUpKey", "KeyBackups", "Place"]

_VERSIONS_MAX = 100
_KEYS_MAX = 100_000

_NUMBER = "UPDATE account SET backups_made = backups_made + 1 WHERE no = $1 RETURNING backups_made"
_CREATE = """
INSERT INTO key_backup (user_no, version, algorithm, auth_data)
SELECT $1, $2, $3, $4 FROM key_backup WHERE user_no = $1 HAVING count(*) < $5
RETURNING version"""
_FIND = """
SELECT version, algorithm, auth_data, changes, kept FROM key_backup
WHERE user_no = $1 AND ($2::bigint IS NULL OR version = $2) ORDER BY version DESC LIMIT 1"""
_CHANGE = "UPDATE key_backup SET auth_data = $3 WHERE user_no = $1 AND version = $2"
_END = "DELETE FROM key_backup WHERE user_no = $1 AND version = $2 RETURNING version"
# The specification's order: verified before not, then from the earlier message on, then passed on
# by fewer. A key that is as good as the one kept stays away.
_PUT = """
INSERT INTO backed_up_key AS k (user_no, version, room_id, session_id, first_message_index,
                                forwarded_count, is_verified, session_data)
SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[],
                             $8::bytea[])
ON CONFLICT (user_no, version, room_id, session_id) DO UPDATE
SET first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count,
    is_verified = excluded.is_verified, session_data = excluded.session_data
WHERE (NOT excluded.is_verified, excluded.first_message_index, excluded.forwarded_count)
    < (NOT k.is_verified, k.first_message_index, k.forwarded_count)
RETURNING xmax = 0 AS is_new"""
_READ = """
SELECT room_id, session_id, first_message_index, forwarded_count, is_verified, session_data
FROM backed_up_key"""
_DELETE = "DELETE FROM backed_up_key"
_COUNT = """
UPDATE key_backup SET changes = changes + $3, kept = kept + $4
WHERE user_no = $1 AND version = $2 RETURNING changes, kept"""


class Place(msgspec.Struct, frozen=True):
    """All keys of a backup, those of a room, or that of one session."""

    room_id: str | None = None
    session_id: str | None = None

    def where(self, user_no: int, version: int) -> tuple[str, list[Any]]:
        """The condition of its keys, and what belongs into that."""
        columns = ["user_no", "version"]
        values: list[Any] = [user_no, version]
        for column, value in (("room_id", self.room_id), ("session_id", self.session_id)):
            if value is not None:
                columns.append(column)
                values.append(value)
        named = " AND ".join(f"{column} = ${n}" for n, column in enumerate(columns, 1))
        return f" WHERE {named}", values


class BackedUpKey(msgspec.Struct, frozen=True):
    """The key of one session, as its client encrypted it."""

    room_id: str
    session_id: str
    first_message_index: int
    forwarded_count: int
    is_verified: bool
    session_data: bytes


class KeyBackups:
    """Keeps the backups of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_again
    async def create(self, user_no: int, algorithm: str, auth_data: bytes) -> str:
        """A new backup, from now on the one that is written; its version."""
        async with transaction(self._database) as connection:
            number = await connection.fetchval(_NUMBER, user_no)
            version = await connection.fetchval(
                _CREATE, user_no, number, algorithm, auth_data, _VERSIONS_MAX
            )
            if version is None:
                raise forbidden(f"A user has at most {_VERSIONS_MAX} backups; delete one first.")
        return str(version)

    async def find(self, user_no: int, version: str | None) -> dict[str, Any]:
        """A backup, or the newest, as clients see it. Raises M_NOT_FOUND."""
        row = await self._row(self._database, user_no, version)
        return {
            "algorithm": row["algorithm"],
            "auth_data": msgspec.Raw(row["auth_data"]),
            "version": str(row["version"]),
            **_state(row),
        }

    async def change(self, user_no: int, version: str, algorithm: str, auth_data: bytes) -> None:
        """Give it other data of its algorithm. Raises M_NOT_FOUND, M_INVALID_PARAM."""
        row = await self._row(self._database, user_no, version)
        if row["algorithm"] != algorithm:
            raise MatrixError(400, "M_INVALID_PARAM", "The algorithm of a backup never changes.")
        await self._database.fetch(_CHANGE, user_no, row["version"], auth_data)

    async def end(self, user_no: int, version: str) -> None:
        """Delete a backup with its keys. Raises M_NOT_FOUND."""
        if await self._database.fetchval(_END, user_no, _number(version)) is None:
            raise _nothing()

    @tried_again
    async def put(self, user_no: int, version: str, keys: Sequence[BackedUpKey]) -> dict[str, Any]:
        """Keep those keys that are better than the ones there are; the backup's new state.

        Raises M_WRONG_ROOM_KEYS_VERSION when it is not the newest backup, M_NOT_FOUND.
        """
        async with transaction(self._database) as connection:
            newest = await self._row(connection, user_no, None, lock=True)
            if str(newest["version"]) != version:
                await self._row(connection, user_no, version)
                raise MatrixError(
                    403,
                    "M_WRONG_ROOM_KEYS_VERSION",
                    "That is not the newest backup.",
                    current_version=str(newest["version"]),
                )
            # In one order, so that two of them cannot wait for each other in a circle.
            ordered = sorted(keys, key=lambda key: (key.room_id, key.session_id))
            columns = [
                [getattr(key, field) for key in ordered] for field in BackedUpKey.__struct_fields__
            ]
            rows = await connection.fetch(_PUT, user_no, newest["version"], *columns)
            added = sum(row["is_new"] for row in rows)
            if newest["kept"] + added > _KEYS_MAX:
                raise too_large(f"A backup has at most {_KEYS_MAX} keys.")
            return await self._counted(connection, user_no, newest, bool(rows), added)

    async def keys(self, user_no: int, version: str, place: Place) -> dict[str, dict[str, Any]]:
        """The keys there, by room and session. Raises M_NOT_FOUND when there is no such backup."""
        row = await self._row(self._database, user_no, version)
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        where, values = place.where(user_no, row["version"])
        for key in await self._database.fetch(_READ + where, *values):
            found[key["room_id"]][key["session_id"]] = {
                "first_message_index": key["first_message_index"],
                "forwarded_count": key["forwarded_count"],
                "is_verified": key["is_verified"],
                "session_data": msgspec.Raw(key["session_data"]),
            }
        return dict(found)

    @tried_again
    async def delete(self, user_no: int, version: str, place: Place) -> dict[str, Any]:
        """Delete the keys there; the backup's new state."""
        async with transaction(self._database) as connection:
            row = await self._row(connection, user_no, version, lock=True)
            where, values = place.where(user_no, row["version"])
            gone = await connection.fetch(_DELETE + where + " RETURNING true", *values)
            return await self._counted(connection, user_no, row, bool(gone), -len(gone))

    @staticmethod
    async def _row(reader: Any, user_no: int, version: str | None, *, lock: bool = False) -> Any:
        number = None if version is None else _number(version)
        row = await reader.fetchrow(_FIND + " FOR UPDATE" * lock, user_no, number)
        if row is None:
            raise _nothing()
        return row

    @staticmethod
    async def _counted(
        connection: Any, user_no: int, row: Any, is_changed: bool, added: int
    ) -> dict[str, Any]:
        return _state(
            await connection.fetchrow(_COUNT, user_no, row["version"], int(is_changed), added)
        )


def _state(row: Any) -> dict[str, Any]:
    return {"count": row["kept"], "etag": str(row["changes"])}


def _number(version: str) -> int:
    """Raises M_NOT_FOUND for what is no version."""
    if not (version.isascii() and version.isdigit() and len(version) < 18):
        raise _nothing()
    return int(version)


def _nothing() -> MatrixError:
    return not_found("There is no such backup.")
