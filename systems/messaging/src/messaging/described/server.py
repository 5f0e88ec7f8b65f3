"""What the endpoints of the server itself answer."""

from __future__ import annotations

from messaging.described.schemas import ANY_OBJECT, INTEGER, Shape, obj, one_of

__all__ = ["SHAPES"]

_HEALTH = obj(status_=one_of("pass", "fail"), checks=ANY_OBJECT, waiting=INTEGER)

SHAPES = (
    Shape("GET", "/health", _HEALTH, failing=_HEALTH),
    Shape("GET", "/health/live", _HEALTH),
    Shape("GET", "/health/ready", _HEALTH, failing=_HEALTH),
    Shape("GET", "/openapi.json", ANY_OBJECT),
)
