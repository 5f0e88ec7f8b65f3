"""The end of an account: it leaves every room, and what the server kept of it goes."""

from __future__ import annotations

from typing import Any

from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from messaging.accounts import Accounts
from messaging.memberships import Memberships
from messaging.sessions import Session

__all__ = ["close_account"]

_ROOMS = """
SELECT room_no FROM member
WHERE user_id = $1 AND membership IN ('join', 'invite', 'knock') ORDER BY room_no"""
_CLOSE = """
UPDATE account
SET password_digest = $2, display_name = NULL, avatar_url = NULL, closed_at = now() WHERE no = $1"""
_GONE = (
    *("pusher", "account_data", "filter", "cross_signing_key", "key_signature", "key_backup"),
    "report",
)


async def close_account(
    database: Database,
    accounts: Accounts,
    memberships: Memberships,
    session: Session,
    password_digest: str,
) -> None:
    """Close the session's account; `password_digest`: of a password that nobody knows.

    The rooms come first and the devices last, so who is cut off in between can ask again.
    """
    user_id = session.user_id
    for row in await database.fetch(_ROOMS, user_id):
        await memberships.set(row["room_no"], user_id, user_id, "leave")
    await _close(database, session, password_digest)
    await accounts.delete_devices(session.user_no, None)


@tried_again
async def _close(database: Database, session: Session, password_digest: str) -> None:
    async with transaction(database) as connection:
        await _delete(connection, session.user_no)
        await connection.execute(_CLOSE, session.user_no, password_digest)


async def _delete(connection: Any, user_no: int) -> None:
    for table in _GONE:
        await connection.execute(f"DELETE FROM {table} WHERE user_no = $1", user_no)
    await connection.execute("DELETE FROM key_signature WHERE signer_no = $1", user_no)
