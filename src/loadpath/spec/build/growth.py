"""Gives the table of growth its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loadpath.spec.build.service import command
from loadpath.spec.dependency import Dependency
from loadpath.spec.document import GrowthTable
from loadpath.spec.growth import Growth, Reference
from loadpath.spec.problem import Problem, dotted, hint, missing, wrong_value

_COLUMNS = re.compile(r"(?P<table>[^()]+?)\s*\((?P<columns>[^()]+)\)")
_FIELD = re.compile(r"\{(\w+)\}")


def build_growth(table: GrowthTable | None, dependencies: Iterable[Dependency]) -> Growth:
    """What a checked file says of growth. Raises `Problem`.

    Tables and columns are held against the database when it is read.
    """
    if table is None:
        return Growth()
    if table.database is not None:
        _check_database(table.database, dependencies)
    seed = None if table.seed is None else command(table.seed, ("growth", "seed"))
    if seed is not None:
        _check_seed(seed, table.n)
    elif table.n is not None:
        raise missing(("growth", "seed"), "the command that {n} is for")
    return Growth(
        database=table.database,
        root=(table.root,) if isinstance(table.root, str) else tuple(table.root),
        tables=dict(table.tables),
        references=tuple(_reference(*pair) for pair in table.references.items()),
        seed=seed,
        n=table.n or 1,
        version=table.version,
    )


def _check_database(name: str, dependencies: Iterable[Dependency]) -> None:
    path = ("growth", "database")
    kinds = {each.name: each.kind for each in dependencies}
    databases = [each for each, kind in kinds.items() if kind == "postgres"]
    if name not in databases:
        what = f"a {kinds[name]} dependency" if name in kinds else "no dependency"
        raise Problem(path, f"`{dotted(path)}`: `{name}` is {what}{hint(name, databases)}")


def _check_seed(seed: tuple[str, ...], n: int | None) -> None:
    path = ("growth", "seed")
    fields = {name for word in seed for name in _FIELD.findall(word)}
    if fields != {"n"}:
        came = ", ".join(f"{{{name}}}" for name in sorted(fields)) or "none"
        raise Problem(
            path,
            f"`{dotted(path)}`: expected {{n}}, how much to make, and no other field; got {came}",
        )
    if n is None:
        raise missing(("growth", "n"), "what {n} of `growth.seed` is at 1 ×, such as 100000")


def _reference(written: str, parent: str) -> Reference:
    path = ("growth", "references", written)
    ours, theirs = _COLUMNS.fullmatch(written), _COLUMNS.fullmatch(parent)
    expected = 'columns and what they hold, such as "visit(code)" = "link(code)"'
    if ours is None:
        raise wrong_value(path, expected, written)
    if theirs is None:
        raise wrong_value(path, expected, parent)
    columns, parent_columns = _split(ours["columns"]), _split(theirs["columns"])
    if len(columns) != len(parent_columns):
        raise wrong_value(path, "as many columns on both sides", parent)
    return Reference(ours["table"], columns, theirs["table"], parent_columns)


def _split(columns: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in columns.split(","))
