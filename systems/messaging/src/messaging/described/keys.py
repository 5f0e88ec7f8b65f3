"""What the endpoints of keys for end-to-end encryption take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    CLIENT,
    STRING,
    Shape,
    at_least,
    list_of,
    map_of,
    nullable,
    obj,
)

__all__ = ["SHAPES"]

_KEYS = nullable(map_of({"anyOf": [STRING, ANY_OBJECT]}))
_FOUND = map_of(map_of(ANY_OBJECT))

SHAPES = (
    Shape(
        "POST",
        f"{CLIENT}/keys/upload",
        obj(one_time_key_counts_=map_of(at_least(0))),
        body=obj(device_keys=nullable(ANY_OBJECT), one_time_keys=_KEYS, fallback_keys=_KEYS),
    ),
    Shape(
        "POST",
        f"{CLIENT}/keys/query",
        obj(
            device_keys=_FOUND,
            master_keys=map_of(ANY_OBJECT),
            self_signing_keys=map_of(ANY_OBJECT),
            user_signing_keys=map_of(ANY_OBJECT),
            failures=ANY_OBJECT,
        ),
        body=obj(device_keys_=map_of(list_of(STRING))),
    ),
    Shape(
        "POST",
        f"{CLIENT}/keys/claim",
        obj(one_time_keys_=_FOUND, failures=ANY_OBJECT),
        body=obj(one_time_keys_=map_of(map_of(STRING))),
    ),
    Shape(
        "GET",
        f"{CLIENT}/keys/changes",
        obj(changed=list_of(STRING), left=list_of(STRING)),
        query={"from!": STRING, "to": STRING},
    ),
)
