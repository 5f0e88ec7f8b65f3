"""Declared requests: the request line, its body and headers, and which key set fills what."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from loadpath.spec.build.body import build_body
from loadpath.spec.build.keys import build_key_set
from loadpath.spec.build.service import text_of
from loadpath.spec.check import check
from loadpath.spec.document import KeySetTable, OperationTable
from loadpath.spec.fields import NAMES, WORDS, FieldError, field_at, field_names, split_fields
from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, dotted, hint, wrong_value
from loadpath.spec.workload import DeclaredRequest, KeySet

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

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
    body = build_body(table, path, directory)
    if body.content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, ("Content-Type", body.content_type))
    elsewhere = "\n".join([body.text or "", *(value for _, value in headers)])
    keys = _keys(table.keys, path, target, elsewhere, key_sets, directory)
    _check_fields(target, keys, (*path, "request"))
    for name, value in table.headers.items():
        _check_fields(text_of(value), keys, (*path, "headers", name))
    _check_fields(body.text or "", keys, (*path, body.key), table.body_file)
    for name in field_names(target):
        if name not in keys and name not in NAMES:
            raise Problem(
                (*path, "request"),
                f"`{dotted((*path, 'request'))}`: no key set fills {{{name}}}",
                advice=f'Say keys = "NAME" of [workload.keys.NAME], or keys = {{ {name} = … }}. '
                f"Filled without: {', '.join(WORDS)}.",
            )
    return DeclaredRequest(
        method=method,
        path=target,
        headers=headers,
        body=body.template(keys),
        form=body.pairs is not None,
        keys=keys,
    )


def _check_fields(text: str, keys: Container[str], path: KeyPath, file: str | None = None) -> None:
    """Raise `Problem` for a field that is wrong, or almost one that fills itself."""
    try:
        split_fields(text, keys)
        for name in field_names(text):
            near = get_close_matches(name, NAMES, n=1, cutoff=0.82)
            if near and name not in keys and name not in NAMES:
                raise FieldError(
                    f"{{{name}}} is filled by nothing; did you mean {{{near[0]}}}? "
                    f"As text it is written {{ {name} }}",
                    field_at(text, name),
                )
    except FieldError as error:
        where = "" if file is None else f" ({file}, line {text.count(chr(10), 0, error.at) + 1})"
        raise Problem(path, f"`{dotted(path)}`{where}: {error.message}") from None


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


def _keys(
    value: Any,
    path: KeyPath,
    target: str,
    elsewhere: str,
    key_sets: dict[str, KeySet],
    directory: Path,
) -> dict[str, str]:
    """Field → name of the key set that fills it; `elsewhere` is what besides the path has any."""
    if value is None:
        return {}
    where = (*path, "keys")
    in_path, others = field_names(target), field_names(elsewhere)
    if isinstance(value, dict) and any(name in (*in_path, *others) for name in value):
        for name in value:
            if name not in in_path and name not in others:
                raise Problem(
                    (*where, name),
                    f"`{dotted((*where, name))}`: no {{{name}}} in the request"
                    + hint(name, (*in_path, *others)),
                )
        wanted = value
    else:
        # One key set for the whole request: it must be clear what it fills.
        # Fields that would fill themselves are meant only when there is no other.
        names = _not_filled(in_path) or _not_filled(others) or in_path or others
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


def _not_filled(names: list[str]) -> list[str]:
    return [name for name in names if name not in NAMES]


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
