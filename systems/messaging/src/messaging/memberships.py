"""Who is in a room: joining, inviting, leaving, and putting out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from messaging.accounts import Account, Accounts
from messaging.changing import Change, Changes, tried_again
from messaging.errors import MatrixError, forbidden, not_found

__all__ = ["Memberships", "join_creator", "profile_of"]

_OF = "SELECT membership FROM member WHERE room_no = $1 AND user_id = $2"
_FORGET = """
UPDATE member SET is_forgotten = true, xid = pg_current_xact_id()
WHERE room_no = $1 AND user_id = $2 AND membership IN ('leave', 'ban') RETURNING 1"""


def profile_of(account: Account | None) -> dict[str, str]:
    """What a membership says of the user's profile."""
    if account is None:
        return {}
    given = {"displayname": account.display_name, "avatar_url": account.avatar_url}
    return {key: value for key, value in given.items() if value is not None}


class Memberships:
    """Changes memberships, each authorized under the room's lock."""

    def __init__(self, changes: Changes, accounts: Accounts) -> None:
        self._changes = changes
        self._accounts = accounts

    async def set(
        self,
        room_no: int,
        sender: str,
        target: str,
        membership: str,
        *,
        reason: str | None = None,
        of: Collection[str] = (),
    ) -> None:
        """Make it the target's membership; `of`: what it has to be now. Raises `MatrixError`."""
        content: dict[str, Any] = {"membership": membership}
        if membership in ("join", "invite", "knock"):
            account = await self._accounts.find(target)
            if account is None:
                raise not_found(f"There is no user {target} here.")
            content |= profile_of(account)
        if reason is not None:
            content["reason"] = reason
        await self._set(room_no, sender, target, content, of)

    @tried_again
    async def _set(
        self, room_no: int, sender: str, target: str, content: dict[str, Any], of: Collection[str]
    ) -> None:
        async with self._changes.open(room_no) as change:
            before = await change.connection.fetchval(_OF, room_no, target) or "leave"
            if content["membership"] == before == "join":
                return
            if of and before not in of:
                # Whether the user is in there is not for everybody to know.
                own = await change.connection.fetchval(_OF, room_no, sender)
                if own != "join":
                    raise forbidden("You are not in this room.")
                raise forbidden(f"That user's membership is {before}, not {' or '.join(of)}.")
            await change.add(sender, "m.room.member", content, target)

    @tried_again
    async def forget(self, room_no: int, user_id: str) -> None:
        """Leave a room out of all the user sees. Raises when the user is in it."""
        async with self._changes.open(room_no) as change:
            if await change.connection.fetchval(_FORGET, room_no, user_id) is None:
                raise MatrixError(400, "M_UNKNOWN", "You are in this room, or never were.")
            change.user_nos = await self._changes.touch(change.connection, [user_id])

    @tried_again
    async def update_profile(self, room_no: int, user_id: str, profile: dict[str, str]) -> None:
        """Tell a room of a changed profile."""
        async with self._changes.open(room_no) as change:
            if await change.connection.fetchval(_OF, room_no, user_id) == "join":
                await change.add(
                    user_id, "m.room.member", {"membership": "join", **profile}, user_id
                )


async def join_creator(change: Change, account: Account) -> None:
    """The first member of a new room."""
    content = {"membership": "join", **profile_of(account)}
    await change.add(account.user_id, "m.room.member", content, account.user_id, authorized=True)
