"""Accounts, devices and their tokens in the database."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from systems_common.database import Database, transaction

from messaging.errors import MatrixError
from messaging.sessions import Session, Tokens, digest_of, new_token

__all__ = [
    "Account",
    "Accounts",
    "device_json",
    "is_user_id",
    "localpart_of",
    "user_id_of",
    "valid_localpart",
]

_LOCALPART = re.compile(r"[a-z0-9._=/+\-]+")
_ID_BYTES_MAX = 255
_LETTERS = string.ascii_uppercase

_NEW_TOKEN = """
INSERT INTO access_token (digest, refresh_digest, device_no, expires_at, replaces)
VALUES ($1, $2, $3, $4, $5)"""
_DEVICE = """
INSERT INTO device (user_no, device_id, display_name) VALUES ($1, $2, $3)
ON CONFLICT (user_no, device_id) DO UPDATE
SET display_name = coalesce(device.display_name, excluded.display_name)
RETURNING no"""


class Account(msgspec.Struct, frozen=True):
    """What is kept of a user."""

    no: int
    user_id: str
    password_digest: str
    display_name: str | None
    avatar_url: str | None


def valid_localpart(text: str) -> bool:
    """Whether it may be the part of a new user id before the colon."""
    return _LOCALPART.fullmatch(text) is not None


def user_id_of(localpart: str, server_name: str) -> str:
    """`@localpart:server`. Raises M_INVALID_USERNAME."""
    user_id = f"@{localpart}:{server_name}"
    if not valid_localpart(localpart) or len(user_id) > _ID_BYTES_MAX:
        raise MatrixError(
            400,
            "M_INVALID_USERNAME",
            "A user name has only a-z, 0-9 and . _ = - / +, and at most 255 characters in all.",
        )
    return user_id


def localpart_of(user_id: str) -> str:
    """The part between @ and the colon."""
    return user_id[1:].partition(":")[0]


def is_user_id(text: object) -> bool:
    """Whether it looks like `@localpart:server`."""
    return (
        isinstance(text, str)
        and text.startswith("@")
        and ":" in text
        and len(text.encode("utf-8", "replace")) <= _ID_BYTES_MAX
        and "\0" not in text
    )


def device_json(row: Any) -> dict[str, Any]:
    """A device as its owner sees it."""
    # Where and when a device was last seen is not kept.
    return {
        "device_id": row["device_id"],
        "display_name": row["display_name"],
        "last_seen_ip": None,
        "last_seen_ts": None,
    }


class Accounts:
    """What signing up, in and out does to the tables."""

    def __init__(
        self, database: Database, token_lifetime_s: int, ended: Callable[[bytes], None]
    ) -> None:
        self._database = database
        # This process forgets a token at once; the others are told by the database.
        self._ended = ended
        # Told, in the transaction, of a user whose devices became fewer; it says whom to wake.
        self.on_fewer_devices: Callable[[Any, str], Awaitable[list[int]]] | None = None
        self.touched: Callable[[int], None] = lambda user_no: None
        self._lifetime = timedelta(seconds=token_lifetime_s)

    async def find(self, user_id: str) -> Account | None:
        """The account of that id."""
        row = await self._database.fetchrow(
            "SELECT no, user_id, password_digest, display_name, avatar_url FROM account"
            " WHERE user_id = $1",
            user_id,
        )
        return None if row is None else Account(*row)

    async def create(self, user_id: str, password_digest: str) -> Account:
        """A new account. Raises M_USER_IN_USE."""
        try:
            no = await self._database.fetchval(
                "INSERT INTO account (user_id, password_digest, display_name) VALUES ($1, $2, $3)"
                " RETURNING no",
                user_id,
                password_digest,
                localpart_of(user_id),
            )
        except asyncpg.UniqueViolationError:
            raise MatrixError(400, "M_USER_IN_USE", "That user name is taken.") from None
        return Account(no, user_id, password_digest, localpart_of(user_id), None)

    async def sign_in(
        self, account: Account, device_id: str | None, display_name: str | None, *, refresh: bool
    ) -> tuple[str, Tokens]:
        """A device, made unless it is there, with new tokens; those it had before end."""
        device_id = device_id or "".join(secrets.choice(_LETTERS) for _ in range(10))
        async with transaction(self._database) as connection:
            device_no = await connection.fetchval(_DEVICE, account.no, device_id, display_name)
            rows = await connection.fetch(
                "DELETE FROM access_token WHERE device_no = $1 RETURNING digest", device_no
            )
            tokens = await self._add_tokens(connection, device_no, refresh=refresh)
        self._forget(rows)
        return device_id, tokens

    async def refresh(self, refresh_token: str) -> tuple[Tokens, int]:
        """New tokens for a refresh token, and their lifetime in ms. Raises M_UNKNOWN_TOKEN."""
        async with transaction(self._database) as connection:
            row = await connection.fetchrow(
                "SELECT digest, device_no FROM access_token WHERE refresh_digest = $1 FOR UPDATE",
                digest_of(refresh_token),
            )
            if row is None:
                raise MatrixError(
                    401, "M_UNKNOWN_TOKEN", "Unrecognized refresh token", soft_logout=False
                )
            # A pair that this one was given before, whose answer was lost, ends with it.
            rows = await connection.fetch(
                "DELETE FROM access_token WHERE replaces = $1 RETURNING digest", row["digest"]
            )
            tokens = await self._add_tokens(
                connection, row["device_no"], refresh=True, replaces=row["digest"]
            )
        self._forget(rows)
        return tokens, int(self._lifetime.total_seconds() * 1000)

    @property
    def lifetime_ms(self) -> int:
        """How long an access token that can be refreshed is good for."""
        return int(self._lifetime.total_seconds() * 1000)

    async def _add_tokens(
        self, connection: Any, device_no: int, *, refresh: bool, replaces: bytes | None = None
    ) -> Tokens:
        tokens = Tokens(new_token("mat"), new_token("mrt") if refresh else None)
        await connection.execute(
            _NEW_TOKEN,
            digest_of(tokens.access),
            digest_of(tokens.refresh) if tokens.refresh else None,
            device_no,
            datetime.now(UTC) + self._lifetime if refresh else None,
            replaces,
        )
        return tokens

    async def sign_out(self, session: Session) -> None:
        """End a device with its tokens."""
        await self.delete_devices(session.user_no, [session.device_id])

    async def delete_devices(self, user_no: int, device_ids: list[str] | None) -> None:
        """End these devices of a user, or all."""
        user_nos: list[int] = []
        async with transaction(self._database) as connection:
            # First the tokens by themselves: the row trigger of theirs tells every process.
            rows = await connection.fetch(
                "DELETE FROM access_token AS t USING device AS d WHERE d.no = t.device_no"
                " AND d.user_no = $1 AND ($2::text[] IS NULL OR d.device_id = ANY($2))"
                " RETURNING t.digest",
                user_no,
                device_ids,
            )
            gone = await connection.fetchval(
                "WITH gone AS (DELETE FROM device WHERE user_no = $1"
                " AND ($2::text[] IS NULL OR device_id = ANY($2)) RETURNING user_no)"
                " SELECT user_id FROM account WHERE no IN (SELECT user_no FROM gone)",
                user_no,
                device_ids,
            )
            if gone is not None and self.on_fewer_devices is not None:
                user_nos = await self.on_fewer_devices(connection, gone)
        self._forget(rows)
        for number in user_nos:
            self.touched(number)

    def _forget(self, rows: list[Any]) -> None:
        for row in rows:
            self._ended(row["digest"])

    async def change_password(
        self, session: Session, password_digest: str, *, end_others: bool
    ) -> None:
        """A new password; the user's other devices end unless they are to stay."""
        await self._database.fetch(
            "UPDATE account SET password_digest = $2 WHERE no = $1",
            session.user_no,
            password_digest,
        )
        if end_others:
            rows = await self._database.fetch(
                "SELECT device_id FROM device WHERE user_no = $1 AND no <> $2",
                session.user_no,
                session.device_no,
            )
            if rows:
                await self.delete_devices(session.user_no, [row["device_id"] for row in rows])
