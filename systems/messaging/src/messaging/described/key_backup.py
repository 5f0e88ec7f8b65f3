"""What the endpoints of the backups of room keys take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    STRING,
    Shape,
    at_least,
    map_of,
    obj,
)

__all__ = ["SHAPES"]

_VERSIONS = f"{CLIENT}/room_keys/version"
_VERSION = f"{_VERSIONS}/{{version}}"
_KEYS = f"{CLIENT}/room_keys/keys"
_BACKUP = obj(
    algorithm_=STRING, auth_data_=ANY_OBJECT, count_=at_least(0), etag_=STRING, version_=STRING
)
_KEY = obj(
    first_message_index_=at_least(0),
    forwarded_count_=at_least(0),
    is_verified_=BOOLEAN,
    session_data_=ANY_OBJECT,
)
_SESSIONS = obj(sessions_=map_of(_KEY))
_DEPTHS = {
    _KEYS: obj(rooms_=map_of(_SESSIONS)),
    f"{_KEYS}/{{roomId}}": _SESSIONS,
    f"{_KEYS}/{{roomId}}/{{sessionId}}": _KEY,
}
_STATE = obj(count_=at_least(0), etag_=STRING)
_OF = {"version!": STRING}

SHAPES = (
    Shape(
        "POST", _VERSIONS, obj(version_=STRING), body=obj(algorithm_=STRING, auth_data_=ANY_OBJECT)
    ),
    Shape("GET", _VERSIONS, _BACKUP),
    Shape("GET", _VERSION, _BACKUP),
    Shape(
        "PUT", _VERSION, EMPTY, body=obj(algorithm_=STRING, auth_data_=ANY_OBJECT, version=STRING)
    ),
    Shape("DELETE", _VERSION, EMPTY),
    *(Shape("PUT", path, _STATE, query=_OF, body=content) for path, content in _DEPTHS.items()),
    *(Shape("GET", path, content, query=_OF) for path, content in _DEPTHS.items()),
    *(Shape("DELETE", path, _STATE, query=_OF) for path in reversed(_DEPTHS)),
)
