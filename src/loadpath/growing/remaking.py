"""Which columns of multiplying tables get new values in a copy, so that every key stays one.

Columns that foreign keys tie together are one class: what a child holds is made anew as its parent
is, or not at all where the parent does not multiply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from loadpath.growing.plan import Axis, Refusal
from loadpath.growing.schema import Column, Exclusion, Part, Schema, Unique
from loadpath.growing.styles import Style, styles

Place = tuple[str, str]
"""A table and a column of it."""

_DISTINCT = re.compile(r"\(*(lower|upper|btrim|md5|sha256|digest)\b", re.IGNORECASE)
_PERIOD = re.compile(r"\(*(ts|tstz|date|int4|int8|num)range\(", re.IGNORECASE)
_TIMES = ("time", "date")
_ORDER = ("uuid", "text", "bytes", "numeric", "float")


class Remaking(msgspec.Struct, frozen=True):
    """`styles` of columns that are made anew; `shifted` are times and ranges that lie further back
    in each copy. What stands in neither is copied as it is."""

    styles: dict[Place, Style]
    shifted: frozenset[Place]


class _Classes:
    """Columns tied together by foreign keys between tables that multiply."""

    def __init__(self, schema: Schema, multiplying: frozenset[str]) -> None:
        self.over: dict[Place, Place] = {}
        self.pinned: set[Place] = set()
        self.columns = {(t.name, c.name): c for t in schema.tables for c in t.columns}
        self.members: dict[Place, list[Place]] = {}
        pins = []
        for key in schema.foreign_keys:
            if key.table not in multiplying:
                continue
            for child, parent in zip(key.columns, key.parent_columns, strict=True):
                if key.parent in multiplying:
                    self._join((key.table, child), (key.parent, parent))
                else:
                    pins.append((key.table, child))
        self.pinned = {self.of(place) for place in pins}
        for place in self.columns:
            if place[0] in multiplying:
                self.members.setdefault(self.of(place), []).append(place)

    def of(self, place: Place) -> Place:
        """The class of a column, named by one of its members."""
        while (over := self.over.get(place)) is not None:
            place = over
        return place

    def _join(self, one: Place, other: Place) -> None:
        one, other = self.of(one), self.of(other)
        if one != other:
            self.over[one] = other

    def of_kind(self, place: Place) -> list[Column]:
        """The columns of its class."""
        return [self.columns[member] for member in self.members[self.of(place)]]


def remaking(
    schema: Schema,
    multiplying: frozenset[str],
    axis: Axis,
    factor: int,
    avoided: frozenset[tuple[str, str]] = frozenset(),
) -> Remaking | Refusal:
    """How the copies of those tables get keys of their own; a refusal names the first that cannot.

    `avoided` are styles that were tried and would not do, each with its class as `table.column`,
    and (table, "shift") of tables whose times stay.
    """
    search = _Search(schema, multiplying, axis, factor, avoided)
    ordered = parents_first(schema, multiplying)
    keys = [each for name in ordered for each in schema.uniques if each.table == name]
    # A key of one column leaves no choice; those of several are often made new by these.
    for unique in sorted(keys, key=lambda each: (len(each.parts) > 1, not each.primary)):
        if (refused := search.satisfy(unique)) is not None:
            return refused
    for exclusion in schema.exclusions:
        if exclusion.table not in multiplying:
            continue
        if (refused := search.apart(exclusion)) is not None:
            return refused
    search.shift_history()
    return Remaking(search.made(), search.all_shifted())


def parents_first(schema: Schema, tables: Iterable[str]) -> list[str]:
    """The tables in an order in which, where there are no circles, parents precede children."""
    left = sorted(tables)
    parents = {
        name: {k.parent for k in schema.foreign_keys if k.table == name and k.parent != name}
        for name in left
    }
    ordered: list[str] = []
    while left:
        free = [name for name in left if not parents[name] & set(left)]
        ordered += free or left[:1]
        left = [name for name in left if name not in ordered]
    return ordered


class _Search:
    def __init__(
        self,
        schema: Schema,
        multiplying: frozenset[str],
        axis: Axis,
        factor: int,
        avoided: frozenset[tuple[str, str]],
    ) -> None:
        self.schema = schema
        self.multiplying = multiplying
        self.axis = axis
        self.factor = factor
        self.avoided = avoided
        self.classes = _Classes(schema, multiplying)
        self.chosen: dict[Place, Style] = {}
        self.shifted: set[Place] = set()

    def made(self) -> dict[Place, Style]:
        """The style of every column that has one."""
        return {
            member: style
            for kind, style in self.chosen.items()
            for member in self.classes.members[kind]
        }

    def all_shifted(self) -> frozenset[Place]:
        """Every column of a class that is shifted."""
        return frozenset(m for kind in self.shifted for m in self.classes.members[kind])

    def satisfy(self, unique: Unique) -> Refusal | None:
        """Make the copies of a unique key distinct, unless they are already."""
        usable = [
            part for part in unique.parts if unique.nulls_distinct or self._never_null(unique, part)
        ]
        if any(self._distinct(unique.table, part) for part in usable):
            return None
        if self._choose(unique.table, usable):
            return None
        return Refusal(unique.table, self._why(unique))

    def apart(self, exclusion: Exclusion) -> Refusal | None:
        """Keep the copies of rows that exclude each other apart."""
        equal = [part for part in exclusion.parts if part.operator == "="]
        if any(self._distinct(exclusion.table, part) for part in equal):
            return None
        for part in exclusion.parts:
            if part.operator == "&&" and self._shiftable(exclusion.table, part):
                self.shifted |= {self.classes.of((exclusion.table, c)) for c in part.columns}
                return None
        if self._choose(exclusion.table, equal):
            return None
        return Refusal(
            exclusion.table,
            f"copies of its rows would be excluded by {exclusion.name}, and nothing in it can be "
            "made anew or moved in time",
        )

    def shift_history(self) -> None:
        """Spread what more history holds back in time; keep the times of one row together."""
        rows_moved = {place[0] for place in self.all_shifted()}
        for kind, members in self.classes.members.items():
            column = self.classes.columns[kind]
            tables = {table for table, _ in members}
            if not _is_time(column) or not self._may_shift(kind):
                continue
            if self.axis == "history" or tables & rows_moved:
                self.shifted.add(kind)

    def _may_shift(self, kind: Place) -> bool:
        members = self.classes.members[kind]
        return kind not in self.classes.pinned and not any(
            self.classes.columns[place].generated is not None or (place[0], "shift") in self.avoided
            for place in members
        )

    def _never_null(self, unique: Unique, part: Part) -> bool:
        columns = [self.classes.columns[(unique.table, name)] for name in part.columns]
        return all(column.nulls == 0 for column in columns)

    def _distinct(self, table: str, part: Part) -> bool:
        """Whether this part differs between copies, by what is chosen so far."""
        kinds = [self.classes.of((table, name)) for name in part.columns]
        if part.expression is None:
            return kinds[0] in self.chosen or kinds[0] in self.shifted
        return bool(_DISTINCT.match(part.expression)) and any(k in self.chosen for k in kinds)

    def _choose(self, table: str, parts: Iterable[Part]) -> bool:
        """Make one of these parts anew: keys for their own sake before what means something."""
        rated = []
        for place, part in enumerate(parts):
            if part.expression is not None and not _DISTINCT.match(part.expression):
                continue
            for name in part.columns:
                column = self.classes.columns[(table, name)]
                if column.kind == "integer":
                    rated.append((0 if column.numbered else 2, place, name))
                elif column.kind in _ORDER:
                    rated.append((1 if column.kind == "uuid" else 3, place, name))
                elif _is_time(column):
                    rated.append((4, place, name))
        for _, _, name in sorted(rated):
            kind = self.classes.of((table, name))
            if kind in self.classes.pinned:
                continue
            if _is_time(self.classes.columns[kind]):
                if self._may_shift(kind):
                    self.shifted.add(kind)
                    return True
                continue
            if (style := self._style(kind)) is not None:
                self.chosen[kind] = style
                return True
        return False

    def _style(self, kind: Place) -> Style | None:
        rows = max(self.schema.table(table).rows for table, _ in self.classes.members[kind])
        columns = self.classes.of_kind(kind)
        offered = styles(columns, self.factor, rows, back=self.axis == "history")
        name = ".".join(kind)
        return next((s for s in offered if (name, s.name) not in self.avoided), None)

    def _shiftable(self, table: str, part: Part) -> bool:
        if part.expression is not None and not _PERIOD.match(part.expression):
            return False
        kinds = [self.classes.of((table, name)) for name in part.columns]
        columns = [self.classes.columns[(table, name)] for name in part.columns]
        return all(
            self._may_shift(kind) and _is_time(column) and not column.unbounded
            for kind, column in zip(kinds, columns, strict=True)
        )

    def _why(self, unique: Unique) -> str:
        shown = ", ".join(p.expression or p.columns[0] for p in unique.parts)
        kept = []
        for part in unique.parts:
            for name in part.columns:
                kind = self.classes.of((unique.table, name))
                column = self.classes.columns[(unique.table, name)]
                if kind in self.classes.pinned:
                    kept.append(f"{name} refers to rows that do not multiply")
                elif part.expression is not None:
                    kept.append(f"it is not known how to make {part.expression} anew")
                elif not unique.nulls_distinct and column.nulls:
                    kept.append(f"{name} has NULLs, which are not distinct in it")
                elif column.kind in ("boolean", "enum", "other", "range"):
                    kept.append(f"{name} ({column.type}) has no other values")
                else:
                    kept.append(f"no further values of {name} ({column.type}) fit")
        what = "primary key" if unique.primary else "unique key"
        return f"copies would repeat the {what} {unique.name} ({shown}): " + "; ".join(kept)


def _is_time(column: Column) -> bool:
    return column.kind in _TIMES or (column.kind == "range" and column.earliest_s is not None)
