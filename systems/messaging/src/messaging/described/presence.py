"""What the endpoints of presence take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    BOOLEAN,
    CLIENT,
    EMPTY,
    STRING,
    Shape,
    at_least,
    nullable,
    obj,
    one_of,
)

__all__ = ["SHAPES"]

_STATUS = f"{CLIENT}/presence/{{userId}}/status"
_PRESENCE = one_of("online", "offline", "unavailable")

SHAPES = (
    Shape(
        "GET",
        _STATUS,
        obj(
            presence_=_PRESENCE,
            currently_active=BOOLEAN,
            last_active_ago=at_least(0),
            status_msg=STRING,
        ),
    ),
    Shape("PUT", _STATUS, EMPTY, body=obj(presence_=_PRESENCE, status_msg=nullable(STRING))),
)
