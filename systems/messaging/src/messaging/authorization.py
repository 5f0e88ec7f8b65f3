"""Whether an event may happen in a room: membership and power levels (room version 10). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging.accounts import is_user_id
from messaging.errors import MatrixError, bad_json, forbidden
from messaging.power import PowerLevels, levels_changed, power_levels_of

__all__ = [
    "KNOCKING",
    "RESTRICTED",
    "Proposed",
    "Standing",
    "allowed_rooms",
    "authorize",
    "may_redact",
]

MEMBERSHIPS = ("join", "invite", "leave", "ban", "knock")
KNOCKING = ("knock", "knock_restricted")
RESTRICTED = ("restricted", "knock_restricted")
JOIN_RULES = ("public", "invite", "private", "restricted", *KNOCKING)
_ALLOWED_MAX = 50
VISIBILITIES = ("world_readable", "shared", "invited", "joined")


class Proposed(msgspec.Struct, frozen=True):
    """An event that somebody wants to happen; `state_key` None: not a state event."""

    sender: str
    type: str
    content: Mapping[str, Any]
    state_key: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """What of the room's state decides. `membership` is the sender's, `target` that of the user
    whom an `m.room.member` is about. `voucher`: in a room that is restricted to members of others,
    a member who could invite the sender, who is in one of those; "": there is none."""

    creator: str
    membership: str
    power: PowerLevels
    join_rule: str = "invite"
    target: str = "leave"
    is_empty: bool = False
    voucher: str = ""


def allowed_rooms(content: Mapping[str, Any]) -> list[str]:
    """The rooms whose members may join, by the join rules of a restricted room."""
    allow = content.get("allow")
    return [
        one["room_id"]
        for one in (allow if isinstance(allow, list) else [])[:_ALLOWED_MAX]
        if isinstance(one, dict)
        and one.get("type") == "m.room_membership"
        and isinstance(one.get("room_id"), str)
    ]


def authorize(event: Proposed, room: Standing) -> None:
    """Raises `MatrixError` (M_FORBIDDEN, M_BAD_JSON) unless the event may happen."""
    if event.type == "m.room.member" and event.state_key is not None:
        _member(event, room)
        return
    if room.membership != "join":
        raise forbidden("You are not in this room.")
    is_state = event.state_key is not None
    needed = room.power.to_send(event.type, is_state=is_state)
    own = room.power.of_user(event.sender)
    if own < needed:
        raise forbidden(f"Sending {event.type} takes power level {needed}; yours is {own}.")
    if event.state_key is None:
        return
    if event.state_key.startswith("@") and event.state_key != event.sender:
        raise forbidden("That state is another user's.")
    _content(event, room)


def may_redact(sender: str, author: str, room: Standing) -> bool:
    """Whether the sender may redact an event of that author."""
    return sender == author or room.power.of_user(sender) >= room.power.to("redact")


def _content(event: Proposed, room: Standing) -> None:
    match event.type:
        case "m.room.create":
            raise forbidden("A room is created once.")
        case "m.room.power_levels":
            after = power_levels_of(event.content, room.creator)
            levels_changed(event.sender, room.power, after)
        case "m.room.join_rules":
            _one_of(event.content, "join_rule", JOIN_RULES)
            allow = event.content.get("allow", [])
            if not isinstance(allow, list) or len(allow) > _ALLOWED_MAX:
                raise bad_json(f"allow: expected a list of at most {_ALLOWED_MAX}")
        case "m.room.history_visibility":
            _one_of(event.content, "history_visibility", VISIBILITIES)


def _one_of(content: Mapping[str, Any], key: str, values: tuple[str, ...]) -> None:
    if content.get(key) not in values:
        raise bad_json(f"{key}: expected one of {', '.join(values)}")


def _member(event: Proposed, room: Standing) -> None:
    wanted = event.content.get("membership")
    if wanted not in MEMBERSHIPS:
        raise bad_json(f"membership: expected one of {', '.join(MEMBERSHIPS)}")
    target = event.state_key
    if not is_user_id(target):
        raise bad_json("An m.room.member needs a user id as its state key.")
    for key in ("displayname", "avatar_url"):
        if not isinstance(event.content.get(key), str | None):
            raise bad_json(f"{key}: expected a text")
    own = room.power.of_user(event.sender)
    if wanted == "join":
        _join(event, room)
    elif wanted == "leave" and target == event.sender:
        if room.membership not in ("invite", "join", "knock"):
            raise forbidden("You are not in this room.")
    elif wanted == "knock":
        _knock(event, room)
    elif room.membership != "join":
        raise forbidden("You are not in this room.")
    elif wanted == "invite":
        _invite(room, own)
    else:
        _remove(wanted, target or "", room, own)


def _join(event: Proposed, room: Standing) -> None:
    if event.state_key != event.sender:
        raise forbidden("Nobody can join for another.")
    if room.membership == "ban":
        raise forbidden("You are banned from this room.")
    if room.membership in ("join", "invite") or room.join_rule == "public":
        return
    if room.join_rule in RESTRICTED and room.voucher:
        return
    if room.is_empty and event.sender == room.creator:
        return
    raise forbidden("You are not invited to this room.")


def _knock(event: Proposed, room: Standing) -> None:
    if event.state_key != event.sender:
        raise forbidden("Nobody can knock for another.")
    if room.membership in ("ban", "invite", "join"):
        raise forbidden(f"Your membership is {room.membership}: knocking is of no use.")
    if room.join_rule not in KNOCKING:
        raise forbidden("At this room nobody knocks.")


def _invite(room: Standing, own: int) -> None:
    if room.target in ("join", "ban"):
        word = "in this room already" if room.target == "join" else "banned from this room"
        raise forbidden(f"That user is {word}.")
    if own < room.power.to("invite"):
        raise forbidden(f"Inviting takes power level {room.power.to('invite')}; yours is {own}.")


def _remove(wanted: str, target: str, room: Standing, own: int) -> None:
    if wanted == "leave" and room.target == "leave":
        raise forbidden("That user is not in this room.")
    needed = room.power.to("kick" if wanted == "leave" else "ban")
    if wanted == "leave" and room.target == "ban":
        needed = max(needed, room.power.to("ban"))
    if own < needed:
        raise forbidden(f"That takes power level {needed}; yours is {own}.")
    if room.power.of_user(target) >= own:
        raise MatrixError(403, "M_FORBIDDEN", "That user's power level is not below yours.")
