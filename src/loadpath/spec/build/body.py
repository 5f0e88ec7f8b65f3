"""The body of a declared request: text, JSON, a form, or a file that holds a template of it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec

from loadpath.spec.build.service import text_of
from loadpath.spec.document import OperationTable
from loadpath.spec.fields import split_fields, written
from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, dotted, wrong_value

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_KEYS = ("body", "body_file", "form")
_FILE_BYTES_MAX = 16 * 1024 * 1024


class Body(msgspec.Struct, frozen=True):
    """What was written. `text` is where its fields are; `key` is what the operation calls it."""

    text: str | None = None
    content_type: str | None = None
    pairs: tuple[tuple[str, str], ...] | None = None
    key: str = "body"

    def template(self, keys: Container[str]) -> str | None:
        """The body, of which the fields alone are still to be filled; a form is urlencoded."""
        if self.pairs is None:
            return self.text
        return "&".join([f"{quote_plus(name)}={_quoted(text, keys)}" for name, text in self.pairs])


def build_body(table: OperationTable, path: KeyPath, directory: Path) -> Body:
    """The body of the operation at `path`. Raises `Problem`."""
    given = [key for key in _KEYS if getattr(table, key) is not None]
    if len(given) > 1:
        raise Problem(
            (*path, given[1]),
            f"`{dotted(path)}` has both `{given[0]}` and `{given[1]}`: expected one of them",
        )
    if table.body_file is not None:
        return _from_file(table.body_file, (*path, "body_file"), directory)
    if table.form is not None:
        return _from_form(table.form, (*path, "form"))
    value = table.body
    if value is None or isinstance(value, str):
        return Body(value)
    if not isinstance(value, dict | list):
        raise wrong_value((*path, "body"), "a string, or a table or list to send as JSON", value)
    return Body(msgspec.json.encode(value).decode(), JSON)


def _from_file(name: str, path: KeyPath, directory: Path) -> Body:
    expected = "a file of UTF-8 text"
    file = directory / name
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            raise wrong_value(path, f"a file of at most {_FILE_BYTES_MAX:,} bytes", name)
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise wrong_value(path, expected, name, str(why)) from None
    return Body(text, JSON if file.suffix == ".json" else None, key="body_file")


def _from_form(table: Mapping[str, Any], path: KeyPath) -> Body:
    pairs = []
    for name, value in table.items():
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str | int | float | bool):
                raise wrong_value(
                    (*path, name), "a string, a number, true or false, or a list of them", each
                )
            pairs.append((name, text_of(each)))
    return Body("\n".join(value for _, value in pairs), FORM, tuple(pairs), key="form")


def _quoted(text: str, keys: Container[str]) -> str:
    parts = split_fields(text, keys)
    return "".join([quote_plus(p) if isinstance(p, str) else written(p) for p in parts])
