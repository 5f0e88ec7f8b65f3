"""What the endpoints of push rules take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    STRING,
    Shape,
    list_of,
    map_of,
    obj,
)

__all__ = ["SHAPES"]

_ALL = f"{CLIENT}/pushrules"
_KIND = f"{_ALL}/global/{{kind}}"
_RULE = f"{_KIND}/{{ruleId}}"
_ACTIONS = list_of({"anyOf": [STRING, ANY_OBJECT]})
_SHOWN = obj(
    rule_id_=STRING,
    default_=BOOLEAN,
    enabled_=BOOLEAN,
    actions_=_ACTIONS,
    conditions=list_of(ANY_OBJECT),
    pattern=STRING,
)
_RULES = map_of(list_of(_SHOWN))

SHAPES = (
    *(Shape("GET", path, obj(global_=_RULES)) for path in (_ALL, f"{_ALL}/")),
    *(Shape("GET", path, _RULES) for path in (f"{_ALL}/global", f"{_ALL}/global/")),
    Shape("GET", _KIND, list_of(_SHOWN)),
    Shape("GET", _RULE, _SHOWN),
    Shape(
        "PUT",
        _RULE,
        EMPTY,
        query={"before": STRING, "after": STRING},
        body=obj(actions_=_ACTIONS, conditions=list_of(ANY_OBJECT), pattern=STRING),
    ),
    Shape("GET", f"{_RULE}/enabled", obj(enabled_=BOOLEAN)),
    Shape("PUT", f"{_RULE}/enabled", EMPTY, body=obj(enabled_=BOOLEAN)),
    Shape("GET", f"{_RULE}/actions", obj(actions_=_ACTIONS)),
    Shape("PUT", f"{_RULE}/actions", EMPTY, body=obj(actions_=_ACTIONS)),
    Shape("DELETE", _RULE, EMPTY),
)
