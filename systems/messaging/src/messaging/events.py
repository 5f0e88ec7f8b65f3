"""Events: what is checked of their content, their ids, and how clients see them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging.errors import bad_json, invalid_param, not_found, too_large

__all__ = [
    "EVENT_BYTES_MAX",
    "EVENT_COLUMNS",
    "Event",
    "check_content",
    "check_type",
    "encoded_content",
    "event_id_of",
    "event_json",
    "maybe_seq_of_event",
    "redacted_content",
    "relation_of",
    "seq_of_event",
]

EVENT_BYTES_MAX = 65_536
_KEY_BYTES_MAX = 255
# What is left for the members that the server adds, ids of the greatest length among them.
_CONTENT_BYTES_MAX = EVENT_BYTES_MAX - 1_500
_INTEGER_MAX = 2**53 - 1
_DEPTH_MAX = 60

_encode = msgspec.json.Encoder().encode
Raw = msgspec.Raw

EVENT_COLUMNS = (
    "seq, xid::text::bigint AS xid, ts, device_no, counted, counts, replaces, relates_to, redacts,"
    " redacted_by, sender, type, state_key, txn, content"
)
"""For SELECT, in the order of the fields of `Event`, behind the room's number."""


class Event(msgspec.Struct, frozen=True):
    """One row of `event`."""

    room_no: int
    seq: int
    xid: int
    ts: int
    device_no: int | None
    counted: int
    counts: bool
    replaces: int | None
    relates_to: int | None
    redacts: int | None
    redacted_by: int | None
    sender: str
    type: str
    state_key: str | None
    txn: str | None
    content: bytes


def event_id_of(room_id: str, seq: int) -> str:
    """The id of an event: its room's own part and its number in the room."""
    return f"${room_id[1:].partition(':')[0]}.{seq}"


def seq_of_event(room_id: str, event_id: object) -> int:
    """The number of an event of that room. Raises M_NOT_FOUND for an id of elsewhere."""
    seq = maybe_seq_of_event(room_id, event_id)
    if seq is None:
        raise not_found("There is no such event in this room.")
    return seq


def maybe_seq_of_event(room_id: str, event_id: object) -> int | None:
    """As `seq_of_event`, None for an id of elsewhere."""
    if not isinstance(event_id, str):
        return None
    head, dot, number = event_id.rpartition(".")
    if not dot or head != f"${room_id[1:].partition(':')[0]}":
        return None
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    return int(number) if str(int(number)) == number else None


def check_type(kind: str, state_key: str | None = None) -> None:
    """Raises when a type or state key is longer than 255 bytes or has a NUL, or a type is empty."""
    if "\0" in kind or "\0" in (state_key or ""):
        raise invalid_param("A type and a state key have no NUL.")
    if not kind or len(kind.encode("utf-8", "replace")) > _KEY_BYTES_MAX:
        raise invalid_param("An event type has 1 to 255 bytes.")
    if state_key is not None and len(state_key.encode("utf-8", "replace")) > _KEY_BYTES_MAX:
        raise invalid_param("A state key has at most 255 bytes.")


def check_content(value: Any, depth: int = 0) -> None:
    """Raises M_BAD_JSON for what canonical JSON lacks: fractions, and numbers beyond 2^53 - 1."""
    if depth > _DEPTH_MAX:
        raise bad_json("The content is nested too deeply.")
    if isinstance(value, dict):
        for inner in value.values():
            if not isinstance(inner, str):
                check_content(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if not isinstance(inner, str):
                check_content(inner, depth + 1)
    elif isinstance(value, float):
        raise bad_json("Events hold no numbers with a fraction.")
    elif isinstance(value, int) and not -_INTEGER_MAX <= value <= _INTEGER_MAX:
        raise bad_json("A number is beyond 2^53 - 1.")


def encoded_content(content: Mapping[str, Any]) -> bytes:
    """The content as it is kept. Raises M_TOO_LARGE, M_BAD_JSON."""
    check_content(content)
    encoded = _encode(content)
    if len(encoded) > _CONTENT_BYTES_MAX:
        raise too_large(f"An event has at most {EVENT_BYTES_MAX} bytes.")
    return encoded


def relation_of(room_id: str, content: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """The event that it relates to, if that is of the same room, and how."""
    relation = content.get("m.relates_to")
    if not isinstance(relation, dict):
        return None, None
    kind = relation.get("rel_type")
    seq = maybe_seq_of_event(room_id, relation.get("event_id"))
    if not isinstance(kind, str) or seq is None or len(kind) > _KEY_BYTES_MAX or "\0" in kind:
        return None, None
    return seq, kind


_KEPT = {
    "m.room.member": ("membership", "join_authorised_via_users_server"),
    "m.room.create": ("creator",),
    "m.room.join_rules": ("join_rule", "allow"),
    "m.room.power_levels": (
        *("ban", "events", "events_default", "kick"),
        *("redact", "state_default", "users", "users_default"),
    ),
    "m.room.history_visibility": ("history_visibility",),
}


def redacted_content(kind: str, content: Mapping[str, Any]) -> bytes:
    """What a redaction leaves of a content (room version 10)."""
    kept = _KEPT.get(kind, ())
    return _encode({key: value for key, value in content.items() if key in kept})


def event_json(
    event: Event,
    room_id: str,
    *,
    txn: bool = False,
    with_room: bool = False,
    unsigned: Mapping[str, Any] | None = None,
) -> bytes:
    """An event as clients see it. `txn`: for the device that sent it; `unsigned`: more of that."""
    extra: dict[str, Any] = {}
    if txn and event.txn is not None:
        extra["transaction_id"] = event.txn
    if event.replaces is not None:
        extra["replaces_state"] = event_id_of(room_id, event.replaces)
    if unsigned:
        extra.update(unsigned)
    shown: dict[str, Any] = {
        "type": event.type,
        "sender": event.sender,
        "content": Raw(event.content),
        "event_id": event_id_of(room_id, event.seq),
        "origin_server_ts": event.ts,
    }
    if extra:
        shown["unsigned"] = extra
    if event.state_key is not None:
        shown["state_key"] = event.state_key
    if event.redacts is not None:
        shown["redacts"] = event_id_of(room_id, event.redacts)
    if with_room:
        shown["room_id"] = room_id
    return _encode(shown)
