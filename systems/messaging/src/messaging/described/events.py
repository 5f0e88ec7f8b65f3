"""What the endpoints about one event take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    CLIENT,
    EMPTY,
    EVENT_ID,
    INTEGER,
    STRING,
    V1,
    Shape,
    at_least,
    nullable,
    obj,
    one_of,
)

__all__ = ["SHAPES"]

SHAPES = (
    Shape(
        "GET",
        f"{V1}/rooms/{{roomId}}/timestamp_to_event",
        obj(event_id_=EVENT_ID, origin_server_ts_=at_least(0)),
        query={"ts!": INTEGER, "dir!": one_of("f", "b")},
    ),
    Shape(
        "POST",
        f"{CLIENT}/rooms/{{roomId}}/report/{{eventId}}",
        EMPTY,
        body=obj(reason=nullable(STRING), score=nullable(INTEGER)),
    ),
)
