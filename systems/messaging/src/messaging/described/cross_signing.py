"""What the endpoints of cross-signing take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    CLIENT,
    EMPTY,
    STRING,
    USER_ID,
    Shape,
    list_of,
    map_of,
    nullable,
    obj,
    ref,
)

__all__ = ["SHAPES"]

_KEY = nullable(
    obj(
        user_id_=USER_ID,
        usage_=list_of(STRING),
        keys_=map_of(STRING),
        signatures=map_of(map_of(STRING)),
    )
)

SHAPES = (
    Shape(
        "POST",
        f"{CLIENT}/keys/device_signing/upload",
        EMPTY,
        body=obj(master_key=_KEY, self_signing_key=_KEY, user_signing_key=_KEY, auth=ref("Auth")),
        body_required=False,
    ),
    Shape(
        "POST",
        f"{CLIENT}/keys/signatures/upload",
        obj(failures_=map_of(map_of(ref("Error")))),
        body=map_of(map_of(ANY_OBJECT)),
    ),
)
