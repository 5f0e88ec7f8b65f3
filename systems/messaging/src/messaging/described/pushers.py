"""What the endpoints of pushers and notifications take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    INTEGER,
    ROOM_ID,
    STRING,
    Shape,
    at_least,
    list_of,
    nullable,
    obj,
    ref,
)

__all__ = ["SHAPES"]

SHAPES = (
    Shape(
        "GET",
        f"{CLIENT}/pushers",
        obj(
            pushers_=list_of(
                obj(
                    app_id_=STRING,
                    pushkey_=STRING,
                    kind_=STRING,
                    app_display_name_=STRING,
                    device_display_name_=STRING,
                    lang_=STRING,
                    data_=ANY_OBJECT,
                    profile_tag=STRING,
                )
            )
        ),
    ),
    Shape(
        "POST",
        f"{CLIENT}/pushers/set",
        EMPTY,
        body=obj(
            app_id_=STRING,
            pushkey_=STRING,
            kind_=nullable(STRING),
            app_display_name=STRING,
            device_display_name=STRING,
            lang=STRING,
            data=obj(url=STRING, format=STRING),
            profile_tag=nullable(STRING),
            append=BOOLEAN,
        ),
    ),
    Shape(
        "GET",
        f"{CLIENT}/notifications",
        obj(
            notifications_=list_of(
                obj(
                    actions_=list_of({"anyOf": [STRING, ANY_OBJECT]}),
                    event_=ref("Event"),
                    read_=BOOLEAN,
                    room_id_=ROOM_ID,
                    ts_=at_least(0),
                )
            ),
            next_token=STRING,
        ),
        query={"from": STRING, "limit": INTEGER, "only": STRING},
    ),
)
