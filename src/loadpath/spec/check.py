"""Holds a parsed TOML document against the structs of `document.py`, key by key.

msgspec would do it, but names `[...]` where a key of the user's own stands (an operation, a
dependency), and says neither what was expected in the words of the field nor what key is near.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import inspect as types

from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, missing, nearest, unknown, wrong_value


def check(value: object, table: type[msgspec.Struct], path: KeyPath = ()) -> None:
    """Raise the first `Problem` of a value that should be the table."""
    _check(value, types.type_info(table), path, "")


def field_type(table: type[msgspec.Struct], path: KeyPath) -> types.Type | None:
    """The type that the structs give the key at `path`; None when there is no such key."""
    found: types.Type | None = types.type_info(table)
    for name in path:
        found = _inside(found, name)
    return found


def takes_text(kind: types.Type) -> bool:
    """Whether a string is as good as any value for this type, so that text needs no parsing."""
    if isinstance(kind, types.Metadata):
        return not kind.extra and takes_text(kind.type)
    if isinstance(kind, types.UnionType):
        return any(takes_text(k) for k in kind.types)
    return isinstance(kind, types.StrType | types.LiteralType)


def _inside(kind: types.Type | None, name: str | int) -> types.Type | None:
    if isinstance(kind, types.Metadata):
        return _inside(kind.type, name)
    if isinstance(kind, types.UnionType):
        return next((found for k in kind.types if (found := _inside(k, name))), None)
    if isinstance(kind, types.StructType):
        return next((f.type for f in kind.fields if f.encode_name == name), None)
    if isinstance(kind, types.DictType):
        return kind.value_type
    if isinstance(kind, types.ListType):
        return kind.item_type
    return None


def _check(value: Any, kind: types.Type, path: KeyPath, expected: str) -> None:
    match kind:
        case types.Metadata():
            _check_described(value, kind, path)
        case types.StructType():
            _check_table(value, kind, path)
        case types.DictType():
            if not isinstance(value, dict):
                raise wrong_value(path, "a table", value)
            for name, inner in value.items():
                _check(inner, kind.value_type, (*path, name), "")
        case types.ListType():
            if not isinstance(value, list):
                raise wrong_value(path, expected or f"a list of {_plural(kind.item_type)}", value)
            for index, inner in enumerate(value):
                _check(inner, kind.item_type, (*path, index), "")
        case types.UnionType():
            _check_union(value, kind, path, expected)
        case types.LiteralType():
            _check_literal(value, kind, path)
        case _:
            if not _is_plain(value, kind):
                raise wrong_value(path, expected or _words(kind), value)


def _check_described(value: Any, kind: types.Metadata, path: KeyPath) -> None:
    expected = str((kind.extra_json_schema or {}).get("description", ""))
    _check(value, kind.type, path, expected)
    read = (kind.extra or {}).get("read")
    if read is not None:
        try:
            read(value)
        except ValueError:
            raise wrong_value(path, expected, value) from None


def _check_table(value: Any, kind: types.StructType, path: KeyPath) -> None:
    if not isinstance(value, dict):
        raise wrong_value(path, "a table", value)
    fields = {f.encode_name: f for f in kind.fields}
    for name in value:
        if name not in fields:
            raise unknown("key", (*path, name), fields.keys() - value.keys() or fields.keys())
    for name, field in fields.items():
        if name in value:
            _check(value[name], field.type, (*path, name), "")
        elif field.required:
            raise missing((*path, name), _words(field.type))


def _check_union(value: Any, kind: types.UnionType, path: KeyPath, expected: str) -> None:
    given = [k for k in kind.types if not isinstance(k, types.NoneType)]
    if len(given) == 1:
        return _check(value, given[0], path, expected)
    for each in given:
        if _right_shape(value, each):
            return _check(value, each, path, expected)
    words = expected or " or ".join(_words(k) for k in given)
    raise wrong_value(path, words, value)


def _check_literal(value: Any, kind: types.LiteralType, path: KeyPath) -> None:
    if value in kind.values:
        return
    near = nearest(value, map(str, kind.values)) if isinstance(value, str) else None
    problem = wrong_value(path, _words(kind), value)
    raise Problem(path, f"{problem.message}; did you mean `{near}`?") if near else problem


def _right_shape(value: object, kind: types.Type) -> bool:
    if isinstance(kind, types.Metadata):
        return _right_shape(value, kind.type)
    if isinstance(kind, types.ListType):
        return isinstance(value, list)
    if isinstance(kind, types.StructType | types.DictType):
        return isinstance(value, dict)
    return _is_plain(value, kind)


def _is_plain(value: Any, kind: types.Type) -> bool:
    """Whether a value is of a type without parts, within its bounds."""
    match kind:
        case types.AnyType():
            return True
        case types.StrType():
            return isinstance(value, str)
        case types.BoolType():
            return isinstance(value, bool)
        case types.IntType():
            return _is_number(value, int) and _within(value, kind)
        case types.FloatType():
            return _is_number(value, int | float) and _within(value, kind)
    raise TypeError(f"document.py uses a type that check.py does not know: {kind}")


def _is_number(value: Any, kind: Any) -> bool:
    # In Python true is a number; in a service file it is not.
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def _within(value: float, kind: types.IntType | types.FloatType) -> bool:
    return (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)


def _words(kind: types.Type) -> str:
    """The type in the words of an error message."""
    match kind:
        case types.Metadata():
            return str((kind.extra_json_schema or {}).get("description") or _words(kind.type))
        case types.StrType():
            return "a string"
        case types.BoolType():
            return "true or false"
        case types.IntType():
            return "a whole number"
        case types.FloatType():
            return "a number"
        case types.ListType():
            return f"a list of {_plural(kind.item_type)}"
        case types.LiteralType():
            values = [f'"{v}"' for v in kind.values]
            return f"{', '.join(values[:-1])} or {values[-1]}"
        case types.UnionType():
            given = [k for k in kind.types if not isinstance(k, types.NoneType)]
            return " or ".join(_words(k) for k in given)
    return "a table"


def _plural(kind: types.Type) -> str:
    if isinstance(kind, types.StrType):
        return "strings"
    return f"values, each {_words(kind)}"
