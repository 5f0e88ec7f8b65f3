"""What a client sent, from query, form, multipart form and JSON, as one structure.

Mastodon's clients mix them freely: lists are `types[]=mention` or `{"types": ["mention"]}`, objects
`source[privacy]=private` or JSON, lists of objects `fields_attributes[0][name]=…` or
`keywords_attributes[][keyword]=…`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
import multipart

from social.errors import ApiError, invalid

__all__ = ["BODY_BYTES_MAX", "convert", "parse", "unfold"]

BODY_BYTES_MAX = 256 * 1024
_FIELDS_MAX = 200
_PART = re.compile(r"\[([^\[\]]*)\]")

S = TypeVar("S", bound=msgspec.Struct)
_decode = msgspec.json.Decoder().decode


def parse(query: bytes, body: bytes | list[tuple[str, str]], content_type: str) -> dict[str, Any]:
    """Everything sent, the body over the query. Raises `ApiError` when it cannot be read.

    A form that carried files has been read already, into pairs.
    """
    found: dict[str, Any] = {}
    if query:
        found = unfold(_pairs(query))
    if isinstance(body, list):
        found.update(unfold(body))
        return found
    if not body:
        return found
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "application/json":
        try:
            sent = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(400, f"Expected JSON: {error}") from error
        if not isinstance(sent, dict):
            raise ApiError(400, "Expected a JSON object")
        found.update(sent)
    elif kind == "multipart/form-data":
        found.update(unfold(_parts(body, rest)))
    elif kind in ("application/x-www-form-urlencoded", ""):
        found.update(unfold(_pairs(body)))
    else:
        raise ApiError(415, f"Expected JSON or a form, got {kind[:100]}")
    return found


def _pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS_MAX
        )
    except ValueError as error:
        raise ApiError(400, f"Expected at most {_FIELDS_MAX} fields") from error


def _parts(body: bytes, options: str) -> list[tuple[str, str]]:
    boundary = multipart.parse_options_header(f"multipart/form-data;{options}")[1].get("boundary")
    if not boundary:
        raise ApiError(400, "Expected a boundary in the Content-Type of a multipart form")
    try:
        parts = multipart.MultipartParser(
            BytesIO(body), boundary, memory_limit=BODY_BYTES_MAX, disk_limit=0
        )
        # A file has no place in this form (web/uploads.py has those); its part is passed over.
        return [(part.name, part.value) for part in parts if part.filename is None]
    except (multipart.MultipartError, UnicodeDecodeError) as error:
        raise ApiError(400, f"Expected a multipart form: {error}") from error


def unfold(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][]=x` as `{"a": {"b": ["x"]}}`; objects numbered from 0 become a list.

    What contradicts itself (`a=1&a[b]=2`) is the later one.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, rest = name.partition("[")
        if not bracket:
            found[head] = value
            continue
        path = [head, *_PART.findall(bracket + rest)]
        into: Any = found
        for part, following in itertools.pairwise(path):
            empty: Any = [] if following == "" else {}
            if isinstance(into, list):
                # `a[][b]=1&a[][c]=2&a[][b]=3`: a member that comes again begins the next object.
                if not into or not isinstance(into[-1], dict) or following in into[-1]:
                    into.append({})
                into = into[-1]
                continue
            if not isinstance(into, dict):
                break
            if not isinstance(into.get(part), type(empty)):
                into[part] = empty
            into = into[part]
        if isinstance(into, list):
            into.append(value)
        elif isinstance(into, dict):
            into[path[-1]] = value
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(part) for name, part in value.items()}
    if inner and all(name.isdecimal() and len(name) < 9 for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def convert(found: dict[str, Any], kind: type[S]) -> S:
    """What was sent as the struct. Raises a 422 that names the field that does not fit."""
    if _holds_nul(found):
        raise invalid("a text holds the character NUL")
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for part in value.values())
    return isinstance(value, list) and any(map(_holds_nul, value))
