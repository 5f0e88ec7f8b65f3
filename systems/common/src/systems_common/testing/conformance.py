"""Whether answers are what a service's OpenAPI document says of them (extra: testing)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

__all__ = ["Conformance"]


class Conformance:
    """The answers that a document describes.

    Stricter than the document in one thing: an object has no member that its schema does not name.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = copy.deepcopy(document["components"])
        for schema in self._components["schemas"].values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
        # A path without braces goes before one with them.
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, methods)
            for path, methods in sorted(document["paths"].items(), key=lambda one: "{" in one[0])
        ]
        self._validators: dict[tuple[str, str, str], Any] = {}

    def operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any]] | None:
        """The path as the document has it and what it says of the method; None: it has none."""
        for pattern, name, methods in self._paths:
            if pattern.fullmatch(path) and method.lower() in methods:
                return name, methods[method.lower()]
        return None

    def breach(
        self, method: str, path: str, status: int, content_type: str, body: bytes
    ) -> str | None:
        """What of an answer the document does not say; None where it says all of it, or where it
        has no such operation.
        """
        found = self.operation(method, path)
        if found is None:
            return None
        name, operation = found
        answer = operation["responses"].get(str(status))
        if answer is None:
            return f"{method} {name} answered {status}, which is not in the document"
        kind = content_type.partition(";")[0]
        if kind not in answer.get("content", {kind: {}}):
            return f"{method} {name} answered {status} as {kind}, which is not in the document"
        if kind != "application/json":
            return None
        key = (method, name, str(status))
        if key not in self._validators:
            schema = answer["content"][kind]["schema"]
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                {**schema, "components": self._components}
            )
        for error in self._validators[key].iter_errors(json.loads(body)):
            place = "/".join(map(str, error.instance_path))
            return f"{method} {name} answered {status}, at /{place}: {error.message[:3000]}"
        return None
