"""The OpenAPI document, out of the table of endpoints: it cannot say what the service does not do.

It has paths, parameters, who may call and with which scope. Answers have their status and type but
not their shape: Mastodon's documentation has that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from social.web.routing import Empty, Endpoint

__all__ = ["openapi"]

_VARYING = re.compile(r"\{(\w+)\}")
_ERRORS = {
    "400": "It cannot be read, or OAuth refuses it",
    "401": "The token is missing or wrong",
    "403": "The token is not for this",
    "404": "It is not there, or not for this viewer",
    "413": "The body is too long",
    "415": "The body is neither JSON nor a form",
    "422": "Something in it does not fit",
    "429": "Too many calls",
    "503": "Something needed does not answer",
    "507": "The store of pictures is full",
}
_REF = "#/components/schemas/{name}"


def openapi(endpoints: Iterable[Endpoint], *, title: str, version: str) -> dict[str, Any]:
    """The document, to be encoded as JSON."""
    found = list(endpoints)
    kinds = {one.params for one in found if one.params is not Empty}
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in found:
        schema = by_kind.get(one.params)
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schema, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Endpoint, schema: Any, components: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARYING.findall(one.path)
    ]
    said: dict[str, Any] = {
        "operationId": f"{one.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', one.path)}",
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "Done"},
            "3XX": {"description": "Elsewhere"},
            **{status: {"description": text} for status, text in _ERRORS.items()},
        },
    }
    if schema is not None and one.method == "GET":
        described = components[schema["$ref"].rpartition("/")[2]]
        required = described.get("required", ())
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": part}
            for name, part in described["properties"].items()
        ]
    elif schema is not None:
        kinds = {
            kind: {"schema": schema}
            for kind in ("application/json", "application/x-www-form-urlencoded")
        }
        if one.files:
            binary = {name: {"type": "string", "format": "binary"} for name in one.files}
            files = {"type": "object", "properties": binary}
            kinds["multipart/form-data"] = {"schema": {"allOf": [schema, files]}}
        said["requestBody"] = {"content": kinds}
    if one.who == "anyone":
        said["security"] = [{}, {"Token": []}]
    else:
        said["security"] = [{"Token": []}]
    if one.scope:
        said["x-scope"] = one.scope
    return said
