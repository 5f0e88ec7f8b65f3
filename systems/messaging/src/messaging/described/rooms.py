"""What the endpoints of rooms and memberships take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    ROOM_ID,
    STRING,
    Shape,
    list_of,
    map_of,
    nullable,
    obj,
    one_of,
    ref,
)

__all__ = ["SHAPES"]

_ROOM = f"{CLIENT}/rooms/{{roomId}}"
_ALIAS = f"{CLIENT}/directory/room/{{roomAlias}}"
_STATE = f"{_ROOM}/state/{{eventType}}"
_FORMAT = {"format": STRING}

SHAPES = (
    Shape(
        "POST",
        f"{CLIENT}/createRoom",
        ref("RoomNamed"),
        body=obj(
            visibility=one_of("public", "private"),
            room_alias_name=nullable(STRING),
            name=nullable(STRING),
            topic=nullable(STRING),
            invite=list_of(STRING),
            room_version=nullable(STRING),
            creation_content=ANY_OBJECT,
            initial_state=list_of(obj(type_=STRING, state_key=STRING, content_=ANY_OBJECT)),
            preset=nullable(one_of("private_chat", "public_chat", "trusted_private_chat")),
            is_direct=BOOLEAN,
            power_level_content_override=ANY_OBJECT,
        ),
        body_required=False,
    ),
    Shape(
        "POST",
        f"{CLIENT}/join/{{roomIdOrAlias}}",
        ref("RoomNamed"),
        body=ref("Reason"),
        body_required=False,
    ),
    Shape(
        "POST",
        f"{CLIENT}/knock/{{roomIdOrAlias}}",
        ref("RoomNamed"),
        body=ref("Reason"),
        body_required=False,
    ),
    Shape("POST", f"{_ROOM}/join", ref("RoomNamed"), body=ref("Reason"), body_required=False),
    Shape("POST", f"{_ROOM}/leave", EMPTY, body=ref("Reason"), body_required=False),
    Shape("POST", f"{_ROOM}/forget", EMPTY),
    *(
        Shape("POST", f"{_ROOM}/{verb}", EMPTY, body=ref("UserNamed"))
        for verb in ("invite", "kick", "ban", "unban")
    ),
    Shape("GET", f"{CLIENT}/joined_rooms", obj(joined_rooms_=list_of(ROOM_ID))),
    Shape(
        "GET",
        f"{_ROOM}/joined_members",
        obj(joined_=map_of(obj(display_name=nullable(STRING), avatar_url=nullable(STRING)))),
    ),
    Shape(
        "GET",
        f"{_ROOM}/members",
        obj(chunk_=list_of(ref("ClientEvent"))),
        query={"at": STRING, "membership": STRING, "not_membership": STRING},
    ),
    Shape("GET", f"{_ROOM}/state", list_of(ref("ClientEvent"))),
    Shape("GET", _STATE, ANY_OBJECT, query=_FORMAT),
    Shape("GET", f"{_STATE}/{{stateKey}}", ANY_OBJECT, query=_FORMAT),
    Shape("PUT", _STATE, ref("Sent"), body=ANY_OBJECT),
    Shape("PUT", f"{_STATE}/{{stateKey}}", ref("Sent"), body=ANY_OBJECT),
    Shape("GET", f"{_ROOM}/aliases", obj(aliases_=list_of(STRING))),
    Shape("GET", _ALIAS, obj(room_id_=ROOM_ID, servers_=list_of(STRING))),
    Shape("PUT", _ALIAS, EMPTY, body=obj(room_id_=STRING), errors=(409,)),
    Shape("DELETE", _ALIAS, EMPTY),
)
