"""The OpenAPI document: the table of endpoints, with what `described` says of each.

Who may call and what an endpoint does come from the table, so the document cannot say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from messaging.described.schemas import COMPONENTS, Shape, ref
from messaging.service import Route

__all__ = ["openapi", "pattern_of"]

_VARYING = re.compile(r"\{(\w+)\}")
_ERRORS = {
    400: "It cannot be read, or something in it does not fit",
    403: "The user may not do this",
    404: "It is not there, or not for this user",
    413: "The body or the event is too large",
    429: "Too many calls",
    503: "Something needed does not answer",
}
_MORE_ERRORS = {
    401: "The token is missing or ended, or a stage of authentication is asked for",
    409: "It is there already",
    504: "The file was announced and has not come yet",
    507: "The store of files is full",
}


def pattern_of(path: str) -> str:
    """The path as the table has it: what varies has no name there."""
    return _VARYING.sub("{}", path)


def openapi(routes: Iterable[Route], shapes: Iterable[Shape], *, version: str) -> dict[str, Any]:
    """The document, to be encoded as JSON. An endpoint that has no shape is left out."""
    found = {(shape.method, pattern_of(shape.path)): shape for shape in shapes}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        shape = found.get((route.method, route.pattern))
        if shape is not None:
            paths.setdefault(shape.path, {})[route.method.lower()] = _operation(route, shape)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Messaging",
            "version": version,
            "description": "The Matrix client-server API, version 1.11, of one server.",
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, shape: Shape) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _VARYING.findall(shape.path)
    ]
    for name, schema in shape.query.items():
        required = name.endswith("!")
        parameters.append(
            {"name": name.rstrip("!"), "in": "query", "required": required, "schema": schema}
        )
    statuses = dict(_ERRORS)
    for status in (*shape.errors, *(() if route.public else (401,))):
        statuses[status] = _MORE_ERRORS[status]
    said: dict[str, Any] = {
        "operationId": _name_of(shape),
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", "content": {shape.media: {"schema": shape.answer}}},
            **{
                str(status): _failed(shape, status, statuses[status]) for status in sorted(statuses)
            },
        },
        "security": [] if route.public else [{"Token": []}],
    }
    if shape.body is not None:
        said["requestBody"] = {
            "required": shape.body_required,
            "content": {shape.body_media: {"schema": shape.body}},
        }
    return said


def _failed(shape: Shape, status: int, description: str) -> dict[str, Any]:
    schema = ref("Error")
    if status == 401:
        schema = {"anyOf": [schema, ref("Challenge")]}
    if status == 503 and shape.failing is not None:
        schema = {"anyOf": [schema, shape.failing]}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _name_of(shape: Shape) -> str:
    kept = shape.path.removeprefix("/_matrix/client/")
    if kept.endswith("/"):
        # Beside the same path without it.
        kept += "all"
    return f"{shape.method.lower()}_{re.sub(r'[^a-zA-Z0-9]+', '_', kept).strip('_')}"
