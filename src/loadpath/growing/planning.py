"""Makes the plan: from a schema, what multiplies and by how much, every statement that it takes."""

from __future__ import annotations

import math

from loadpath.growing.families import Families
from loadpath.growing.plan import (
    Axis,
    Job,
    Plan,
    Refusal,
    TablePlan,
    Trial,
    Verification,
)
from loadpath.growing.remaking import Remaking, parents_first, remaking
from loadpath.growing.room import needed_bytes
from loadpath.growing.schema import Column, ForeignKey, Schema, Table, literal, quoted
from loadpath.growing.styles import clashes

_DAY_S = 86400
_EARLIEST_S = -62135596800.0  # the year 1: what most languages can read


def plan(
    schema: Schema,
    families: Families,
    axis: Axis,
    factor: int,
    avoided: frozenset[tuple[str, str]] = frozenset(),
    *,
    wal_bytes: int = 0,
) -> Plan | Refusal:
    """How to grow that database `factor`-fold on an axis, or why it cannot be.

    `avoided` are styles that a trial spoke against (`Trial.style`). `wal_bytes` is how much the
    server keeps of its write-ahead log. Raises `ValueError` for a factor below 2.
    """
    if factor < 2:
        raise ValueError(f"growing means at least 2 ×, not {factor}")
    multiplying = families.multiplying(axis)
    if not multiplying:
        return Refusal(
            schema.database,
            "no table in it multiplies",
            f'Say which does: [growth] tables = {{ name = "{axis}" }}',
        )
    for name in sorted(multiplying):
        table = schema.table(name)
        if table.foreign or table.extension is not None:
            whose = "another server's" if table.foreign else f"the extension {table.extension}'s"
            return Refusal(name, f"its rows are {whose}, and it was said to multiply")
    made = remaking(schema, multiplying, axis, factor, avoided)
    if isinstance(made, Refusal):
        return made
    if (ended := _ended(schema, made, factor)) is not None:
        return ended
    shift_s = _shift_s(schema, made)
    copies = {
        name: _Copies(schema.table(name), made, shift_s)
        for name in parents_first(schema, multiplying)
    }
    earliest = [schema.table(t).column(c).earliest_s for t, c in made.shifted]
    oldest_s = min((s for s in earliest if s is not None), default=0.0)
    if oldest_s - (factor - 1) * shift_s < _EARLIEST_S:
        return Refusal(
            min(made.shifted)[0],
            f"its times span {shift_s // _DAY_S} days: {factor} × of it begin before the year 1",
        )
    return Plan(
        axis=axis,
        factor=factor,
        tables=tuple(each.outcome(factor) for each in copies.values()),
        trials=tuple(t for each in copies.values() for t in each.trials(schema, factor)),
        before=tuple(_triggers(copies, "DISABLE")),
        jobs=tuple(
            job for each in copies.values() for copy in range(1, factor) for job in each.jobs(copy)
        ),
        after=(*_triggers(copies, "ENABLE ALWAYS"), *_sequences(schema, made)),
        verifications=tuple(_verifications(schema, multiplying)),
        needed_bytes=needed_bytes(schema, multiplying, factor, wal_bytes),
        notes=tuple(_notes(schema, copies, made, axis, factor, shift_s)),
    )


def _ended(schema: Schema, made: Remaking, factor: int) -> Refusal | None:
    """A refusal when the numbers of a sequence would all be used up by copies."""
    for sequence in schema.sequences:
        for table, name in sequence.columns:
            style = made.styles.get((table, name))
            highest = schema.table(table).column(name).highest
            if style is None or style.name != "above" or highest is None:
                continue
            if highest + (factor - 1) * style.stride > sequence.highest:
                why = f"the sequence {sequence.name} of {name} ends at {sequence.highest:,}"
                return Refusal(table, f"{why}, which copies would be above")
    return None


def _shift_s(schema: Schema, made: Remaking) -> int:
    """By how many seconds a copy is older than the one before it: whole days, so that dates and
    times move alike, and more than anything in them spans."""
    columns = [schema.table(table).column(name) for table, name in made.shifted]
    first = [each.earliest_s for each in columns if each.earliest_s is not None]
    last = [each.latest_s for each in columns if each.latest_s is not None]
    if not first or not last:
        return _DAY_S
    return math.floor((max(last) - min(first)) / _DAY_S + 1) * _DAY_S


class _Copies:
    """The copies of one table's rows."""

    def __init__(self, table: Table, made: Remaking, shift_s: int) -> None:
        self.table = table
        self.columns = [each for each in table.columns if each.generated is None]
        self.styles = {c.name: made.styles.get((table.name, c.name)) for c in self.columns}
        self.shifted = {c.name for c in self.columns if (table.name, c.name) in made.shifted}
        self.shift_s = shift_s

    def expression(self, column: Column, copy: int) -> str:
        """What a copy holds in that column."""
        style = self.styles[column.name]
        if style is not None:
            return style.sql(column.sql, copy)
        if column.name in self.shifted:
            return shifted(column, copy * self.shift_s)
        return column.sql

    def select(self, copy: int, source: str, *, named: bool = False) -> str:
        """The rows of a copy."""
        made = [
            f"({self.expression(c, copy)})::{c.type} AS {c.sql}"
            if named
            else self.expression(c, copy)
            for c in self.columns
        ]
        if named:
            # What is generated is so from the copy's values, which this does not compute again.
            made += [c.sql for c in self.table.columns if c.generated is not None]
        return f"SELECT {', '.join(made)} FROM {source}"

    def jobs(self, copy: int) -> list[Job]:
        """The statements that add one copy. They read the pages that there were before."""
        into = ", ".join(each.sql for each in self.columns)
        return [
            Job(
                self.table.name,
                copy,
                f"INSERT INTO {self.table.sql} ({into}) OVERRIDING SYSTEM VALUE "
                + self.select(copy, f"ONLY {part.sql} WHERE ctid < '({part.pages},0)'"),
            )
            for part in self.table.partitions
            if part.pages > 0
        ]

    def outcome(self, factor: int) -> TablePlan:
        """What becomes of the table."""
        words = [s.words(self.table.column(n)) for n, s in self.styles.items() if s is not None]
        days = self.shift_s // _DAY_S
        words += [f"{name}: {days} days earlier a copy" for name in sorted(self.shifted)]
        return TablePlan(
            table=self.table.name,
            sql=self.table.sql,
            rows=self.table.rows,
            rows_after=self.table.rows * factor,
            changes=tuple(words),
        )

    def trials(self, schema: Schema, factor: int) -> list[Trial]:
        """What can be known beforehand: keys are new, checks hold, each row has a partition."""
        name = self.table.name
        return [
            *self._clashes(schema, factor),
            *(
                Trial(
                    f"SELECT 1 FROM ({self.select(copy, self.table.whole, named=True)}) AS copy "
                    f"WHERE NOT ({check.expression}) LIMIT 1",
                    Refusal(name, f"copies would break the check {check.name}: {check.expression}"),
                    self._blamed(check.expression),
                )
                for check in schema.checks
                if check.table == name and check.holds and self._touches(check.expression)
                for copy in dict.fromkeys((1, factor - 1))
            ),
            *self._domains(factor),
            *self._placed(factor),
        ]

    def _clashes(self, schema: Schema, factor: int) -> list[Trial]:
        keys = {
            part.columns[0]
            for unique in schema.uniques
            if unique.table == self.table.name
            for part in unique.parts
            if len(part.columns) == 1
        }
        found = []
        for column in self.columns:
            style = self.styles[column.name]
            if style is None or column.name not in keys:
                continue
            sql = clashes(style, column.sql, self.table.whole, factor)
            if sql is not None:
                why = f"copies of {column.name} would be values that it has already"
                found.append(
                    Trial(sql, Refusal(self.table.name, why), self._name(column.name, style.name))
                )
        return found

    def _domains(self, factor: int) -> list[Trial]:
        """A domain checks a value when it becomes one of its own: this raises when it does not."""
        found = []
        for column in self.columns:
            style = self.styles[column.name]
            if style is None or column.type == column.base:
                continue
            for copy in dict.fromkeys((1, factor - 1)):
                made = f"({style.sql(column.sql, copy)})::{column.type}"
                why = f"copies of {column.name} would not be of its type {column.type}"
                found.append(
                    Trial(
                        f"SELECT 1 FROM {self.table.whole} WHERE {made} IS DISTINCT FROM {made} "
                        "LIMIT 1",
                        Refusal(self.table.name, why),
                        self._name(column.name, style.name),
                    )
                )
        return found

    def _placed(self, factor: int) -> list[Trial]:
        takes = [part.takes for part in self.table.partitions]
        moved = [c for c in self.table.partition_columns if self._changes(c)]
        if not takes or "" in takes or not moved:
            return []
        anywhere = " OR ".join(f"({condition})" for condition in takes)
        column = moved[0]
        style = self.styles.get(column)
        name = (self.table.name, "shift") if style is None else self._name(column, style.name)
        return [
            Trial(
                f"SELECT 1 FROM ({self.select(copy, self.table.whole, named=True)}) AS copy "
                f"WHERE NOT ({anywhere}) LIMIT 1",
                Refusal(
                    self.table.name,
                    f"no partition takes the copies: it is partitioned by {', '.join(moved)}",
                    "Add partitions for them, or a default one.",
                ),
                name,
            )
            for copy in dict.fromkeys((1, factor - 1))
        ]

    def _changes(self, column: str) -> bool:
        return self.styles.get(column) is not None or column in self.shifted

    def _touches(self, expression: str) -> bool:
        return any(self._changes(c.name) and c.name in expression for c in self.table.columns)

    def _blamed(self, expression: str) -> tuple[str, str] | None:
        """Of which choice it is that a check would break."""
        for column, style in self.styles.items():
            if style is not None and column in expression:
                return self._name(column, style.name)
        if any(column in expression for column in self.shifted):
            return (self.table.name, "shift")
        return None

    def _name(self, column: str, style: str) -> tuple[str, str]:
        return (f"{self.table.name}.{column}", style)


def shifted(column: Column, seconds: int) -> str:
    """The SQL of a date, a time or a range of them so many seconds earlier."""
    hours, days = seconds // 3600, seconds // _DAY_S
    if column.kind == "date":
        return f"{column.sql} - {days}"
    if column.kind == "time":
        return f"{column.sql} - interval '{hours} hours'"
    back = f"{days}" if column.type == "daterange" else f"interval '{hours} hours'"
    bounds = (
        f"CASE WHEN lower_inc({column.sql}) THEN '[' ELSE '(' END || "
        f"CASE WHEN upper_inc({column.sql}) THEN ']' ELSE ')' END"
    )
    return (
        f"CASE WHEN isempty({column.sql}) THEN {column.sql} ELSE {column.type}("
        f"lower({column.sql}) - {back}, upper({column.sql}) - {back}, {bounds}) END"
    )


def _triggers(copies: dict[str, _Copies], how: str) -> list[str]:
    """Triggers that fire even under replica would do to copies what was done to the rows once."""
    return [
        f"ALTER TABLE {each.table.sql} {how} TRIGGER {quoted(trigger.name)}"
        for each in copies.values()
        for trigger in each.table.triggers
        if trigger.always
    ]


def _sequences(schema: Schema, made: Remaking) -> list[str]:
    """What comes next must be above what there is now."""
    statements = []
    for sequence in schema.sequences:
        columns = [place for place in sequence.columns if place in made.styles]
        if not columns:
            continue
        highest = ", ".join(
            f"(SELECT max({quoted(column)}) FROM {schema.table(table).sql})"
            for table, column in columns
        )
        statements.append(
            f"SELECT setval({literal(sequence.sql)}, greatest(last_value, {highest}), true) "
            f"FROM {sequence.sql}"
        )
    return statements


def _verifications(schema: Schema, multiplying: frozenset[str]) -> list[Verification]:
    found = [
        Verification(key.table, f"foreign key {key.name} of {key.table}", _orphans(schema, key))
        for key in schema.foreign_keys
        if key.table in multiplying and key.holds and not key.declared
    ]
    for check in schema.checks:
        if check.table in multiplying and check.holds:
            whole = schema.table(check.table).whole
            sql = f"SELECT count(*) FROM {whole} WHERE NOT ({check.expression})"
            found.append(Verification(check.table, f"check {check.name} of {check.table}", sql))
    return found


def _orphans(schema: Schema, key: ForeignKey) -> str:
    """How many rows break a foreign key."""
    child, parent = schema.table(key.table), schema.table(key.parent)
    pairs = [
        (child.column(c).sql, parent.column(p).sql)
        for c, p in zip(key.columns, key.parent_columns, strict=True)
    ]
    same = " AND ".join(f"p.{p} = c.{c}" for c, p in pairs)
    given = " AND ".join(f"c.{c} IS NOT NULL" for c, _ in pairs)
    half = ""
    if key.match_full and len(pairs) > 1:
        some = " OR ".join(f"c.{c} IS NOT NULL" for c, _ in pairs)
        half = f" OR (({some}) AND NOT ({given}))"
    return (
        f"SELECT count(*) FROM {child.whole} AS c WHERE ({given} AND NOT EXISTS "
        f"(SELECT 1 FROM {parent.sql} AS p WHERE {same})){half}"
    )


def _notes(
    schema: Schema,
    copies: dict[str, _Copies],
    made: Remaking,
    axis: Axis,
    factor: int,
    shift_s: int,
) -> list[str]:
    notes = []
    silent = [f"{t.name} of {n}" for n, each in copies.items() for t in each.table.triggers]
    if silent:
        notes.append(
            f"Triggers did not fire for the copies ({_few(silent)}): what they would have counted "
            "or copied elsewhere is as it was."
        )
    if made.shifted and axis == "history":
        notes.append(
            f"More history reaches further back: each copy is {shift_s // _DAY_S} days older than "
            "the one before, so the newest rows are as dense as they were."
        )
    kept = [
        f"{name}.{each.columns[0].name}"
        for name, each in copies.items()
        if axis == "history" and not each.shifted
        for times in [[c for c in each.columns if c.kind in ("time", "date")]]
        if times
    ]
    if kept:
        tables = [name.rpartition(".")[0] for name in kept]
        notes.append(f"Times are the same in every copy of {_few(tables)}.")
    unsure = [f"{k.name} of {k.table}" for k in schema.foreign_keys if not k.holds]
    unsure += [f"{c.name} of {c.table}" for c in schema.checks if not c.holds]
    if unsure:
        notes.append(
            f"Not looked at, for the database itself does not vouch for it: {_few(unsure)}."
        )
    return notes


def _few(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
