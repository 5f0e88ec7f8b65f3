"""Declared requests: the request line, its body and headers, and which key set fills what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadpath.spec.build.keys import build_key_set
from loadpath.spec.build.service import text_of
from loadpath.spec.check import check
from loadpath.spec.document import KeySetTable, OperationTable
from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, dotted, hint, wrong_value
from loadpath.spec.workload import DeclaredRequest, KeySet

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The engine writes these itself, from the body.
_ENGINE_HEADERS = ("content-length", "transfer-encoding")


def build_request(
    table: OperationTable, path: KeyPath, key_sets: dict[str, KeySet], directory: Path
) -> DeclaredRequest:
    """The request of the operation at `path`; a key set written out there joins `key_sets`.

    Raises `Problem`.
    """
    method, target = _request_line(table.request or "", (*path, "request"))
    headers = _headers(table.headers, (*path, "headers"))
    body, is_json = _body(table.body, (*path, "body"))
    if is_json and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    keys = _keys(table.keys, path, target, body, key_sets, directory)
    for name in _PLACEHOLDER.findall(target):
        if name not in keys:
            raise Problem(
                (*path, "request"),
                f"`{dotted((*path, 'request'))}`: no key set fills {{{name}}}",
                advice=f'Say keys = "NAME" of [workload.keys.NAME], or keys = {{ {name} = … }}.',
            )
    return DeclaredRequest(method=method, path=target, headers=headers, body=body, keys=keys)


def _request_line(line: str, path: KeyPath) -> tuple[str, str]:
    method, _, target = line.partition(" ")
    expected = 'a request line such as "GET /items/{id}"'
    if method.upper() not in METHODS:
        near = hint(method, METHODS) if method else ""
        problem = wrong_value(path, expected, line)
        raise Problem(path, problem.message + (near if near.startswith("; did") else ""))
    if not re.fullmatch(r"/[!-~]*", target):
        why = (
            "the path begins with /"
            if not target.startswith("/")
            else ("blanks and letters beyond ASCII are written %20 and so on")
        )
        raise wrong_value(path, expected, line, why)
    return method.upper(), target


def _headers(table: Mapping[str, Any], path: KeyPath) -> tuple[tuple[str, str], ...]:
    for name, value in table.items():
        if not _TOKEN.fullmatch(name):
            raise Problem((*path, name), f"`{name}` cannot be the name of a header")
        if name.lower() in _ENGINE_HEADERS:
            raise Problem((*path, name), f"`{name}` is a header that the load engine writes itself")
        if not text_of(value).isprintable():
            raise wrong_value((*path, name), "a header without control characters", value)
    return tuple((name, text_of(value)) for name, value in table.items())


def _body(value: Any, path: KeyPath) -> tuple[str | None, bool]:
    if value is None or isinstance(value, str):
        return value, False
    if not isinstance(value, dict | list):
        raise wrong_value(path, "a string, or a table or list to send as JSON", value)
    return msgspec.json.encode(value).decode(), True


def _keys(
    value: Any,
    path: KeyPath,
    target: str,
    body: str | None,
    key_sets: dict[str, KeySet],
    directory: Path,
) -> dict[str, str]:
    """Placeholder → name of the key set that fills it."""
    if value is None:
        return {}
    where = (*path, "keys")
    in_path = list(dict.fromkeys(_PLACEHOLDER.findall(target)))
    in_body = list(dict.fromkeys(_PLACEHOLDER.findall(body or "")))
    if isinstance(value, dict) and any(name in (*in_path, *in_body) for name in value):
        for name in value:
            if name not in in_path and name not in in_body:
                raise Problem(
                    (*where, name),
                    f"`{dotted((*where, name))}`: no {{{name}}} in the request"
                    + hint(name, (*in_path, *in_body)),
                )
        wanted = value
    else:
        # One key set for the whole request: it must be clear what it fills.
        names = in_path or in_body
        if len(names) != 1:
            listed = ", ".join(f"{{{n}}}" for n in names)
            raise Problem(
                where,
                f"`{dotted(where)}`: "
                + (f"which of {listed} does it fill?" if names else "the request has no {field}"),
                advice="Say keys = { field = key set, … }." if names else None,
            )
        wanted = {names[0]: value}
    inline = wanted is not value
    return {
        name: _key_set(v, name, path, where if inline else (*where, name), key_sets, directory)
        for name, v in wanted.items()
    }


def _key_set(
    value: Any,
    placeholder: str,
    operation: KeyPath,
    path: KeyPath,
    key_sets: dict[str, KeySet],
    directory: Path,
) -> str:
    if isinstance(value, str):
        if value not in key_sets:
            raise Problem(
                path,
                f"`{dotted(path)}`: there is no [workload.keys.{value}]{hint(value, key_sets)}",
            )
        return value
    if not isinstance(value, dict):
        raise wrong_value(path, "the name of a key set, or a key set", value)
    check(value, KeySetTable, path)
    name = f"{operation[-1]} {placeholder}"
    key_sets[name] = build_key_set(name, msgspec.convert(value, KeySetTable), path, directory)
    return name
