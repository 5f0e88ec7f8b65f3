"""What the endpoints of the public room directory take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    BOOLEAN,
    CLIENT,
    EMPTY,
    INTEGER,
    STRING,
    V1,
    Shape,
    list_of,
    nullable,
    obj,
    one_of,
    ref,
)

__all__ = ["SHAPES"]

_LISTING = obj(visibility_=one_of("public", "private"))
_LIST = f"{CLIENT}/directory/list/room/{{roomId}}"

SHAPES = (
    Shape(
        "GET",
        f"{CLIENT}/publicRooms",
        ref("PublicRooms"),
        query={"limit": INTEGER, "since": STRING},
    ),
    Shape(
        "POST",
        f"{CLIENT}/publicRooms",
        ref("PublicRooms"),
        body=obj(
            limit=INTEGER,
            since=nullable(STRING),
            filter=obj(generic_search_term=nullable(STRING)),
        ),
        body_required=False,
    ),
    Shape(
        "GET",
        f"{V1}/rooms/{{roomId}}/hierarchy",
        obj(rooms_=list_of(ref("RoomSummary")), next_batch=STRING),
        query={
            "from": STRING,
            "limit": INTEGER,
            "max_depth": INTEGER,
            "suggested_only": BOOLEAN,
        },
    ),
    Shape("GET", _LIST, _LISTING),
    Shape("PUT", _LIST, EMPTY, body=obj(visibility=one_of("public", "private"))),
)
