"""What the search takes and answers."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
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
)

__all__ = ["SHAPES"]

_EVENTS = list_of(ref("ClientEvent"))
_WANTED = obj(
    search_term_=STRING,
    keys=nullable(list_of(one_of("content.body", "content.name", "content.topic"))),
    filter=ref("EventFilter"),
    order_by=one_of("rank", "recent"),
    event_context=nullable(
        obj(before_limit=at_least(0), after_limit=at_least(0), include_profile=BOOLEAN)
    ),
    include_state=BOOLEAN,
    groupings=obj(group_by=list_of(obj(key_=one_of("room_id", "sender")))),
)
_FOUND = obj(
    count_=at_least(0),
    highlights_=list_of(STRING),
    results_=list_of(
        obj(
            rank_=NUMBER,
            result_=ref("ClientEvent"),
            context=obj(
                start=STRING,
                end=STRING,
                events_before_=_EVENTS,
                events_after_=_EVENTS,
                profile_info=map_of(ANY_OBJECT),
            ),
        )
    ),
    next_batch=STRING,
    groups=map_of(map_of(ANY_OBJECT)),
    state=map_of(_EVENTS),
)

SHAPES = (
    Shape(
        "POST",
        f"{CLIENT}/search",
        obj(search_categories_=obj(room_events=_FOUND)),
        query={"next_batch": STRING},
        body=obj(search_categories_=obj(room_events=nullable(_WANTED))),
    ),
)
