"""What the endpoints of files take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    BYTES,
    EMPTY,
    INTEGER,
    STRING,
    V1,
    Shape,
    at_least,
    obj,
    one_of,
)

__all__ = ["SHAPES"]

_V3 = "/_matrix/media/v3"
_URI = {"type": "string", "pattern": "^mxc://.+/.+"}
_FILE = "{serverName}/{mediaId}"
_WAIT = {"timeout_ms": INTEGER}
_SIZE = {
    "width!": at_least(1),
    "height!": at_least(1),
    "method": one_of("scale", "crop"),
    **_WAIT,
}
_CONFIG = obj(**{"m.upload.size": at_least(0)})
_ANY = "*/*"
_BODY = "application/octet-stream"

SHAPES = (
    Shape(
        "POST",
        f"{_V3}/upload",
        obj(content_uri_=_URI),
        query={"filename": STRING},
        body=BYTES,
        body_media=_BODY,
        body_required=False,
        errors=(507,),
    ),
    Shape(
        "POST",
        "/_matrix/media/v1/create",
        obj(content_uri_=_URI, unused_expires_at=at_least(0)),
    ),
    Shape(
        "PUT",
        f"{_V3}/upload/{_FILE}",
        EMPTY,
        query={"filename": STRING},
        body=BYTES,
        body_media=_BODY,
        body_required=False,
        errors=(409, 507),
    ),
    *(
        shape
        for base in (f"{V1}/media", _V3)
        for shape in (
            Shape("GET", f"{base}/config", _CONFIG),
            Shape("GET", f"{base}/download/{_FILE}", BYTES, query=_WAIT, media=_ANY, errors=(504,)),
            Shape(
                "GET",
                f"{base}/download/{_FILE}/{{fileName}}",
                BYTES,
                query=_WAIT,
                media=_ANY,
                errors=(504,),
            ),
            Shape(
                "GET",
                f"{base}/thumbnail/{_FILE}",
                BYTES,
                query=_SIZE,
                media=_ANY,
                errors=(504, 507),
            ),
        )
    ),
)
