"""Making a room: its first events, in the order of the specification, in one transaction."""

from __future__ import annotations

import re
import secrets
import string
from typing import Any

import asyncpg
import msgspec
from systems_common.database import transaction

from messaging.accounts import Account, Accounts, is_user_id
from messaging.changing import Change, Changes
from messaging.errors import MatrixError, bad_json, invalid_param, not_found
from messaging.memberships import join_creator, profile_of

__all__ = ["ROOM_VERSION", "Creator", "NewRoom", "StateEvent"]

ROOM_VERSION = "10"
_INVITES_MAX = 100
_STATE_MAX = 100
_LETTERS = string.ascii_letters + string.digits
_ALIAS = re.compile(r"[^\s:#\0]{1,200}")

_ROOM = """
INSERT INTO room (room_id, version, creator, is_listed) VALUES ($1, $2, $3, $4)
RETURNING no, room_id, seq, auth, counted, joined"""

_PRESETS = {
    "private_chat": ("invite", "shared", "can_join"),
    "trusted_private_chat": ("invite", "shared", "can_join"),
    "public_chat": ("public", "shared", "forbidden"),
}


class StateEvent(msgspec.Struct, frozen=True):
    """One of `initial_state`."""

    type: str
    content: dict[str, Any]
    state_key: str = ""


class NewRoom(msgspec.Struct, frozen=True):
    """The body of createRoom."""

    visibility: str = "private"
    room_alias_name: str | None = None
    name: str | None = None
    topic: str | None = None
    invite: list[str] = []
    room_version: str | None = None
    creation_content: dict[str, Any] = {}
    initial_state: list[StateEvent] = []
    preset: str | None = None
    is_direct: bool = False
    power_level_content_override: dict[str, Any] = {}


class Creator:
    """Makes rooms."""

    def __init__(self, changes: Changes, accounts: Accounts, server_name: str) -> None:
        self._changes = changes
        self._accounts = accounts
        self._server_name = server_name

    async def create(self, user_id: str, wanted: NewRoom) -> str:
        """Make a room; its id. Raises `MatrixError`."""
        preset = self._checked(wanted)
        account = await self._account(user_id)
        invited = [await self._account(user) for user in dict.fromkeys(wanted.invite)]
        room_id = f"!{''.join(secrets.choice(_LETTERS) for _ in range(18))}:{self._server_name}"
        alias = None
        if wanted.room_alias_name is not None:
            alias = f"#{wanted.room_alias_name}:{self._server_name}"
        changes = self._changes
        try:
            async with transaction(changes.database) as connection:
                listed = wanted.visibility == "public"
                row = await connection.fetchrow(_ROOM, room_id, ROOM_VERSION, user_id, listed)
                change = Change(connection, row)
                await self._fill(change, account, wanted, preset, alias, invited)
                await change.finish()
                await changes.tell(connection, [change.room_no], change.user_nos)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "alias_pkey":
                raise
            raise MatrixError(400, "M_ROOM_IN_USE", "That alias is taken.") from None
        changes.moved(change.room_no)
        for user_no in change.user_nos:
            changes.touched(user_no)
        return room_id

    def _checked(self, wanted: NewRoom) -> str:
        if wanted.room_version not in (None, ROOM_VERSION):
            raise MatrixError(
                400, "M_UNSUPPORTED_ROOM_VERSION", f"Rooms here are of version {ROOM_VERSION}."
            )
        if wanted.visibility not in ("public", "private"):
            raise invalid_param("visibility: expected public or private")
        preset = wanted.preset or f"{wanted.visibility}_chat"
        if preset not in _PRESETS:
            raise invalid_param(f"preset: expected one of {', '.join(_PRESETS)}")
        if len(wanted.invite) > _INVITES_MAX or len(wanted.initial_state) > _STATE_MAX:
            raise invalid_param("At most 100 invitations and 100 state events.")
        if not all(map(is_user_id, wanted.invite)):
            raise invalid_param("invite: expected user ids")
        name = wanted.room_alias_name
        if name is not None and not _ALIAS.fullmatch(name):
            raise invalid_param("room_alias_name: expected 1 to 200 characters, no blank, no colon")
        return preset

    async def _account(self, user_id: str) -> Account:
        account = await self._accounts.find(user_id)
        if account is None:
            raise not_found(f"There is no user {user_id} here.")
        return account

    async def _fill(
        self,
        change: Change,
        account: Account,
        wanted: NewRoom,
        preset: str,
        alias: str | None,
        invited: list[Account],
    ) -> None:
        user_id = account.user_id

        async def state(kind: str, content: dict[str, Any], key: str = "") -> None:
            await change.add(user_id, kind, content, key)

        created = {**wanted.creation_content, "creator": user_id, "room_version": ROOM_VERSION}
        await change.add(user_id, "m.room.create", created, "", authorized=True)
        await join_creator(change, account)
        await state("m.room.power_levels", _power_levels(user_id, wanted, preset, invited))
        if alias is not None:
            await change.connection.execute(
                "INSERT INTO alias (alias, room_no, creator) VALUES ($1, $2, $3)",
                alias,
                change.room_no,
                user_id,
            )
            await state("m.room.canonical_alias", {"alias": alias})
        given = {(event.type, event.state_key) for event in wanted.initial_state}
        join_rule, visibility, guests = _PRESETS[preset]
        for kind, chosen in (
            ("m.room.join_rules", {"join_rule": join_rule}),
            ("m.room.history_visibility", {"history_visibility": visibility}),
            ("m.room.guest_access", {"guest_access": guests}),
        ):
            if (kind, "") not in given:
                await state(kind, chosen)
        for event in wanted.initial_state:
            if event.type in ("m.room.member", "m.room.create"):
                raise bad_json(f"initial_state: {event.type} cannot be given")
            await state(event.type, event.content, event.state_key)
        if wanted.name is not None:
            await state("m.room.name", {"name": wanted.name})
        if wanted.topic is not None:
            await state("m.room.topic", {"topic": wanted.topic})
        for guest in invited:
            content: dict[str, Any] = {"membership": "invite", **profile_of(guest)}
            if wanted.is_direct:
                content["is_direct"] = True
            await state("m.room.member", content, guest.user_id)


def _power_levels(
    user_id: str, wanted: NewRoom, preset: str, invited: list[Account]
) -> dict[str, Any]:
    users = {user_id: 100}
    if preset == "trusted_private_chat":
        users |= {guest.user_id: 100 for guest in invited}
    return {
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50,
            "m.room.avatar": 50,
            "m.room.tombstone": 100,
            "m.room.server_acl": 100,
            "m.room.encryption": 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": 0,
        **wanted.power_level_content_override,
    }
