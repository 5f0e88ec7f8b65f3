"""The OpenAPI document, out of the table of endpoints: it cannot say what the service does not do.

It has paths, parameters, who may call and with which scope, and the shapes of answers: the types
that the handlers encode. Required in an answer is what is always in it, default or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from social.entities import Account
from social.entities_server import Health
from social.entities_status import Status
from social.errors import Error
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
    asked = {one.params for one in found if one.params is not Empty}
    # What is encoded already refers to the last ones by name.
    answered = [one.returns for one in found if one.returns is not None]
    answered += [Error, Account, Status]
    kinds = [*asked, *answered]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(asked, schemas, strict=False))
    answers = schemas[len(asked) :]
    for kind in _structs(inspect.multi_type_info(answered)):
        components[kind.cls.__name__]["required"] = [
            field.encode_name
            for field in kind.fields
            if field.required or (_has_default(field) and not _omits_defaults(kind.cls))
        ]
    returned = iter(answers)
    paths: dict[str, dict[str, Any]] = {}
    for one in found:
        answer = next(returned) if one.returns is not None else {}
        operation = _operation(one, by_kind.get(one.params), answer, components)
        paths.setdefault(one.path, {})[one.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _has_default(field: inspect.Field) -> bool:
    # What may be left out altogether (UNSET) has none.
    return (field.default, field.default_factory) != (msgspec.NODEFAULT, msgspec.NODEFAULT)


def _omits_defaults(kind: type[msgspec.Struct]) -> bool:
    return kind.__struct_config__.omit_defaults


def _structs(kinds: Iterable[inspect.Type]) -> Iterator[inspect.StructType]:
    """Every struct that is in these types, at any depth."""
    seen: set[type] = set()
    waiting = list(kinds)
    while waiting:
        match waiting.pop():
            case inspect.StructType() as kind if kind.cls not in seen:
                seen.add(kind.cls)
                waiting += [field.type for field in kind.fields]
                yield kind
            case inspect.Metadata(type=inner):
                waiting.append(inner)
            case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                waiting.append(inner)
            case inspect.UnionType(types=inner):
                waiting += inner


def _operation(
    one: Endpoint, schema: Any, answer: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARYING.findall(one.path)
    ]
    said: dict[str, Any] = {
        "operationId": f"{one.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', one.path)}",
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Done",
                "content": {kind: {"schema": answer} for kind in one.media_types},
            },
            **{
                status: {"description": text, "content": _refused(one, status)}
                for status, text in _ERRORS.items()
            },
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
    if one.redirects:
        said["responses"]["302"] = {"description": "Back to the app"}
    return said


def _refused(one: Endpoint, status: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": _REF.format(name=Error.__name__)}
    if one.returns is Health and status == "503":
        schema = {"anyOf": [{"$ref": _REF.format(name=Health.__name__)}, schema]}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if "text/html" in one.media_types:
        # A page may say what is wrong on itself.
        content["text/html"] = {"schema": {}}
    return content
