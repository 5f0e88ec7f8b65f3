"""The words of the descriptions: what an endpoint takes and answers, and the entities of Matrix.

Objects may have more members than are named here, as everywhere in Matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = [
    "ANY_OBJECT",
    "BOOLEAN",
    "BYTES",
    "CLIENT",
    "COMPONENTS",
    "EMPTY",
    "EVENT_ID",
    "INTEGER",
    "NUMBER",
    "ROOM_ID",
    "STRING",
    "USER_ID",
    "V1",
    "Schema",
    "Shape",
    "at_least",
    "list_of",
    "map_of",
    "name_of",
    "nullable",
    "obj",
    "one_of",
    "ref",
    "typed",
]

Schema = Mapping[str, Any]
"""JSON Schema."""

CLIENT = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"


class Shape(msgspec.Struct, frozen=True):
    """What one endpoint takes and answers. `query`: names that end in `!` are required.

    `errors`: statuses that it may answer with besides those that all endpoints have. `media`: the
    type of the answer when that is not JSON, `body_media` that of the body. `failing`: what it
    answers with status 503, when that is no error of Matrix.
    """

    method: str
    path: str
    answer: Schema
    query: Mapping[str, Schema] = {}
    body: Schema | None = None
    body_required: bool = True
    errors: tuple[int, ...] = ()
    media: str = "application/json"
    failing: Schema | None = None
    body_media: str = "application/json"


def name_of(shape: Shape) -> str:
    """The method and the path, in short."""
    path = shape.path.removeprefix(CLIENT).replace(V1, "/v1")
    return f"{shape.method} {path}"


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}
BYTES: Schema = {"type": "string", "format": "binary"}
EMPTY: Schema = {"type": "object", "maxProperties": 0}
ROOM_ID: Schema = {"type": "string", "pattern": "^!.+:"}
USER_ID: Schema = {"type": "string", "pattern": "^@.*:"}
EVENT_ID: Schema = {"type": "string", "pattern": r"^\$.+"}


def at_least(least: int) -> Schema:
    """A whole number from there on."""
    return {"type": "integer", "minimum": least}


def one_of(*values: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def list_of(item: Schema) -> Schema:
    """A list of such."""
    return {"type": "array", "items": item}


def map_of(value: Schema) -> Schema:
    """An object with any names and such values."""
    return {"type": "object", "additionalProperties": value}


def nullable(schema: Schema) -> Schema:
    """Such, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """One of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(**members: Schema) -> Schema:
    """An object. A name that ends in `_` is required, without the `_`."""
    return typed(
        {name.removesuffix("_"): part for name, part in members.items()},
        *(name.removesuffix("_") for name in members if name.endswith("_")),
    )


def typed(members: Mapping[str, Schema], *required: str) -> Schema:
    """An object with these members."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(members)}
    if required:
        schema["required"] = list(required)
    return schema


_EVENT: dict[str, Schema] = {
    "type": STRING,
    "sender": USER_ID,
    "content": ANY_OBJECT,
    "event_id": EVENT_ID,
    "origin_server_ts": at_least(0),
    "state_key": STRING,
    "redacts": EVENT_ID,
    "unsigned": typed(
        {
            "transaction_id": STRING,
            "replaces_state": EVENT_ID,
            "redacted_because": {"$ref": "#/components/schemas/ClientEvent"},
            "m.relations": ANY_OBJECT,
        }
    ),
}
_EVENT_REQUIRED = ("type", "sender", "content", "event_id", "origin_server_ts")
_FILTER_OF_EVENTS = obj(
    limit=nullable(INTEGER),
    types=nullable(list_of(STRING)),
    not_types=list_of(STRING),
    senders=nullable(list_of(STRING)),
    not_senders=list_of(STRING),
    rooms=nullable(list_of(STRING)),
    not_rooms=list_of(STRING),
    contains_url=nullable(BOOLEAN),
    lazy_load_members=BOOLEAN,
    include_redundant_members=BOOLEAN,
)

COMPONENTS: dict[str, Schema] = {
    "Error": obj(errcode_={"type": "string", "pattern": "^[A-Z]+_"}, error_=STRING),
    "Challenge": obj(
        flows_=list_of(obj(stages_=list_of(STRING))),
        params_=ANY_OBJECT,
        session_=STRING,
        completed=list_of(STRING),
        errcode=STRING,
        error=STRING,
    ),
    "Auth": obj(
        type=STRING,
        session=STRING,
        token=STRING,
        password=STRING,
        user=STRING,
        identifier=obj(type=STRING, user=STRING),
    ),
    "Event": typed(_EVENT, *_EVENT_REQUIRED),
    "ClientEvent": typed({**_EVENT, "room_id": ROOM_ID}, *_EVENT_REQUIRED, "room_id"),
    "StrippedState": obj(type_=STRING, state_key_=STRING, sender_=USER_ID, content_=ANY_OBJECT),
    "BareEvent": obj(type_=STRING, content_=ANY_OBJECT),
    "ToDeviceEvent": obj(type_=STRING, sender_=USER_ID, content_=ANY_OBJECT),
    "Device": obj(
        device_id_=STRING,
        display_name=nullable(STRING),
        last_seen_ip=nullable(STRING),
        last_seen_ts=nullable(INTEGER),
    ),
    "SignedIn": obj(
        user_id_=USER_ID,
        home_server=STRING,
        access_token_=STRING,
        device_id_=STRING,
        refresh_token=STRING,
        expires_in_ms=at_least(0),
    ),
    "Profile": obj(displayname=STRING, avatar_url=STRING),
    "EventFilter": _FILTER_OF_EVENTS,
    "Filter": obj(
        room=obj(
            rooms=nullable(list_of(STRING)),
            not_rooms=list_of(STRING),
            include_leave=BOOLEAN,
            timeline=ref("EventFilter"),
            state=ref("EventFilter"),
            ephemeral=ref("EventFilter"),
            account_data=ref("EventFilter"),
        ),
        presence=ref("EventFilter"),
        account_data=ref("EventFilter"),
        event_format=STRING,
    ),
    "Timeline": obj(
        events_=list_of(ref("Event")), limited_=BOOLEAN, prev_batch_={"pattern": "^t", **STRING}
    ),
    "State": obj(events_=list_of(ref("Event"))),
    "JoinedRoom": obj(
        timeline=ref("Timeline"),
        state=ref("State"),
        ephemeral=obj(events_=list_of(ref("BareEvent"))),
        account_data=obj(events_=list_of(ref("BareEvent"))),
        unread_notifications=obj(notification_count_=at_least(0), highlight_count_=at_least(0)),
        summary=typed(
            {
                "m.heroes": list_of(USER_ID),
                "m.joined_member_count": at_least(0),
                "m.invited_member_count": at_least(0),
            }
        ),
    ),
    "RoomSummary": obj(
        room_id_=ROOM_ID,
        num_joined_members_=at_least(0),
        world_readable_=BOOLEAN,
        guest_can_join_=BOOLEAN,
        name=STRING,
        topic=STRING,
        avatar_url=STRING,
        canonical_alias=STRING,
        join_rule=STRING,
        room_type=STRING,
        children_state=list_of(ref("StrippedState")),
    ),
    "PublicRooms": obj(
        chunk_=list_of(ref("RoomSummary")),
        next_batch=STRING,
        total_room_count_estimate=at_least(0),
    ),
    "Sent": obj(event_id_=EVENT_ID),
    "RoomNamed": obj(room_id_=ROOM_ID),
    "Reason": obj(reason=nullable(STRING)),
    "UserNamed": obj(user_id_=STRING, reason=nullable(STRING)),
    "EventPage": obj(
        chunk_=list_of(ref("ClientEvent")),
        start=STRING,
        end=STRING,
        next_batch=STRING,
        prev_batch=STRING,
        state=list_of(ref("ClientEvent")),
    ),
}
"""The entities that several endpoints share."""
