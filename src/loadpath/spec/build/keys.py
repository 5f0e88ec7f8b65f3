"""Key sets: from `[workload.keys.NAME]`, or written out in an operation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from loadpath.spec.document import IdentitiesTable, KeySetTable
from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, dotted, missing, wrong_value
from loadpath.spec.workload import KeySet


def build_key_set(name: str, table: KeySetTable, path: KeyPath, directory: Path) -> KeySet:
    """The key set of a checked table that stands at `path`. Raises `Problem`."""
    distribution, exponent = build_distribution(table, path)
    if table.file is None:
        if table.count is None:
            raise missing((*path, "count"), "how many keys there are, a whole number of at least 1")
        count, file = table.count, None
    else:
        for key in ("pattern", "first"):
            if getattr(table, key) is not None:
                raise Problem(
                    (*path, key),
                    f"`{dotted(path)}` has both `file` and `{key}`: expected one of them",
                )
        file = directory / table.file
        count = _count_in_file(file, table, path)
    pattern = "{n}" if table.pattern is None else table.pattern
    first = table.first or 0
    _check_pattern(pattern, first, count, (*path, "pattern"))
    return KeySet(
        name=name,
        count=count,
        first=first,
        distribution=distribution,
        exponent=exponent,
        pattern=pattern,
        file=file,
    )


def build_distribution(
    table: KeySetTable | IdentitiesTable, path: KeyPath
) -> tuple[Literal["zipf", "uniform", "latest"], float]:
    """How often each is asked for, and the exponent of that. Raises `Problem`."""
    given = [w for w in ("zipf", "latest", "uniform") if getattr(table, w) is not None]
    if len(given) > 1:
        raise Problem(
            (*path, given[1]),
            f"`{dotted(path)}` has both `{given[0]}` and `{given[1]}`: expected one of them",
        )
    if table.uniform is False:
        raise wrong_value((*path, "uniform"), "true (or `zipf` or `latest` instead)", False)
    if table.zipf is not None:
        return "zipf", table.zipf
    if table.latest is not None:
        return "latest", table.latest
    return "uniform", 1.0


def _count_in_file(file: Path, table: KeySetTable, path: KeyPath) -> int:
    try:
        lines = len(file.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise wrong_value(
            (*path, "file"), "a file with one key a line", table.file, str(why)
        ) from None
    if lines == 0:
        raise wrong_value((*path, "file"), "a file with one key a line", table.file, "it is empty")
    if table.count is not None and table.count > lines:
        raise wrong_value(
            (*path, "count"), f"at most the {lines} lines of {table.file}", table.count
        )
    return table.count or lines


def _check_pattern(pattern: str, first: int, count: int, path: KeyPath) -> None:
    expected = 'a Python format over n such as "item-{n:06d}"'
    try:
        keys = [pattern.format(n=n) for n in range(first, first + min(count, 2))]
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        raise wrong_value(path, expected, pattern) from None
    if len(set(keys)) < len(keys):
        raise wrong_value(path, expected, pattern, "all keys would be the same")
    if any(c.isspace() or not c.isprintable() for key in keys for c in key):
        raise wrong_value(path, expected, pattern, "a key cannot hold blanks")
