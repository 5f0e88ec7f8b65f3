"""What the endpoints of delivery take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    INTEGER,
    NUMBER,
    STRING,
    Shape,
    at_least,
    list_of,
    map_of,
    nullable,
    obj,
    one_of,
    ref,
    typed,
)

__all__ = ["SHAPES"]

_ROOM = f"{CLIENT}/rooms/{{roomId}}"
_USER = f"{CLIENT}/user/{{userId}}"
_TAGS = f"{_USER}/rooms/{{roomId}}/tags"
_SYNC = obj(
    next_batch_={"pattern": "^s", **STRING},
    rooms=obj(
        join=map_of(ref("JoinedRoom")),
        invite=map_of(obj(invite_state_=obj(events_=list_of(ref("StrippedState"))))),
        knock=map_of(obj(knock_state_=obj(events_=list_of(ref("StrippedState"))))),
        leave=map_of(obj(timeline=ref("Timeline"), state=ref("State"), account_data=ref("State"))),
    ),
    account_data=obj(events_=list_of(ref("BareEvent"))),
    presence=obj(events_=list_of(ref("ToDeviceEvent"))),
    to_device=obj(events_=list_of(ref("ToDeviceEvent"))),
    device_lists=obj(changed=list_of(STRING), left=list_of(STRING)),
    device_one_time_keys_count=map_of(at_least(0)),
    device_unused_fallback_key_types=list_of(STRING),
)
_DATA = (
    f"{_USER}/account_data/{{type}}",
    f"{_USER}/rooms/{{roomId}}/account_data/{{type}}",
)

SHAPES = (
    Shape(
        "GET",
        f"{CLIENT}/sync",
        _SYNC,
        query={
            "since": STRING,
            "timeout": INTEGER,
            "filter": STRING,
            "full_state": BOOLEAN,
            "set_presence": one_of("online", "offline", "unavailable"),
        },
    ),
    Shape(
        "POST",
        f"{_ROOM}/receipt/{{receiptType}}/{{eventId}}",
        EMPTY,
        body=obj(thread_id=STRING),
        body_required=False,
    ),
    Shape(
        "POST",
        f"{_ROOM}/read_markers",
        EMPTY,
        body=typed(
            {name: nullable(STRING) for name in ("m.fully_read", "m.read", "m.read.private")}
        ),
    ),
    Shape(
        "PUT",
        f"{_ROOM}/typing/{{userId}}",
        EMPTY,
        body=obj(typing_=BOOLEAN, timeout=INTEGER),
    ),
    *(Shape("PUT", path, EMPTY, body=ANY_OBJECT) for path in _DATA),
    *(Shape("GET", path, ANY_OBJECT) for path in _DATA),
    Shape("GET", _TAGS, obj(tags_=map_of(obj(order=nullable(NUMBER))))),
    Shape("PUT", f"{_TAGS}/{{tag}}", EMPTY, body=obj(order=nullable(NUMBER)), body_required=False),
    Shape("DELETE", f"{_TAGS}/{{tag}}", EMPTY),
    Shape(
        "PUT",
        f"{CLIENT}/sendToDevice/{{eventType}}/{{txnId}}",
        EMPTY,
        body=obj(messages_=map_of(map_of(ANY_OBJECT))),
    ),
)
