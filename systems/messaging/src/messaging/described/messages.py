"""What the endpoints of messages take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    CLIENT,
    INTEGER,
    STRING,
    V1,
    Shape,
    list_of,
    obj,
    one_of,
    ref,
)

__all__ = ["SHAPES"]

_ROOM = f"{CLIENT}/rooms/{{roomId}}"
_RELATIONS = f"{V1}/rooms/{{roomId}}/relations/{{eventId}}"
_PAGE = {"dir": one_of("b", "f"), "from": STRING, "limit": INTEGER}

SHAPES = (
    Shape("PUT", f"{_ROOM}/send/{{eventType}}/{{txnId}}", ref("Sent"), body=ANY_OBJECT),
    Shape(
        "PUT",
        f"{_ROOM}/redact/{{eventId}}/{{txnId}}",
        ref("Sent"),
        body=ref("Reason"),
        body_required=False,
    ),
    Shape("GET", f"{_ROOM}/event/{{eventId}}", ref("ClientEvent")),
    Shape(
        "GET",
        f"{_ROOM}/messages",
        ref("EventPage"),
        query={**_PAGE, "to": STRING, "filter": STRING},
    ),
    Shape(
        "GET",
        f"{_ROOM}/context/{{eventId}}",
        obj(
            event_=ref("ClientEvent"),
            events_before_=list_of(ref("ClientEvent")),
            events_after_=list_of(ref("ClientEvent")),
            start_=STRING,
            end_=STRING,
            state_=list_of(ref("ClientEvent")),
        ),
        query={"limit": INTEGER, "filter": STRING},
    ),
    Shape("GET", _RELATIONS, ref("EventPage"), query=_PAGE),
    Shape("GET", f"{_RELATIONS}/{{relType}}", ref("EventPage"), query=_PAGE),
    Shape("GET", f"{_RELATIONS}/{{relType}}/{{eventType}}", ref("EventPage"), query=_PAGE),
    Shape(
        "GET",
        f"{V1}/rooms/{{roomId}}/threads",
        ref("EventPage"),
        query={"include": one_of("all", "participated"), "from": STRING, "limit": INTEGER},
    ),
)
