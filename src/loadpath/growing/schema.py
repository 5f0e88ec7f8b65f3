"""What the catalog of a PostgreSQL database says that growing it has to keep.

Tables are named as people say them: `users`, and `auth.users` outside the schema `public`. All else
refers to them by that name; `sql` is the quoted one that a statement wants.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

ColumnKind: TypeAlias = Literal[
    "integer",
    "numeric",
    "float",
    "uuid",
    "text",
    "bytes",
    "time",
    "date",
    "range",
    "boolean",
    "enum",
    "other",
]
"""What can be done to a value. `time` is a timestamp, with or without time zone."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column, and what its values are like where that matters to copies of them.

    `type` is as PostgreSQL writes it, `base` what is under a domain. `lowest` and `highest` are of
    an integer, numeric or float column, `earliest_s` and `latest_s` (Unix time) of dates, times and
    ranges of them, `shortest` and `longest` (characters, bytes) of texts and bytes; None: all its
    values are NULL, or nobody looked. `unbounded`: some range is. `length_max` is the declared
    limit in characters. `generated` is the expression that makes it. `time_ordered`: UUIDs of a
    version that begins with a time. `numbered`: a sequence or an identity numbers it.
    """

    name: str
    type: str
    kind: ColumnKind
    base: str = ""
    not_null: bool = False
    generated: str | None = None
    length_max: int | None = None
    lowest: float | int | None = None
    highest: float | int | None = None
    earliest_s: float | None = None
    latest_s: float | None = None
    shortest: int | None = None
    longest: int | None = None
    nulls: int = 0
    unbounded: bool = False
    time_ordered: bool = False
    numbered: bool = False

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return quoted(self.name)


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows of a table lie: the table itself, or one leaf of a partitioned one.

    `takes` is the condition on a row that may lie there; "" takes all. `pages` are those of its
    main file.
    """

    sql: str
    pages: int
    takes: str = ""


class Trigger(msgspec.Struct, frozen=True):
    """A trigger of users. `always`: it fires also where `session_replication_role` is replica."""

    name: str
    always: bool


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table, or a partitioned one with all its partitions. `bytes` with indexes and TOAST."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    rows: int
    bytes: int = 0
    index_bytes: int = 0
    largest_index_bytes: int = 0
    partitioned: bool = False
    partitions: tuple[Partition, ...] = ()
    partition_columns: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    foreign: bool = False
    extension: str | None = None

    @property
    def whole(self) -> str:
        """The SQL of all its own rows; those of a table that inherits from it are that one's."""
        return self.sql if self.partitioned else f"ONLY {self.sql}"

    def column(self, name: str) -> Column:
        """The column of that name. Raises `KeyError`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class ForeignKey(msgspec.Struct, frozen=True, kw_only=True):
    """`columns` of `table` hold those of `parent`.

    `declared`: no constraint of the database but what the user says in `[growth]`. Not `holds`: it
    was never validated or is not enforced, so nobody may expect it to hold. `cascades`: rows are
    deleted with that of the parent.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    match_full: bool = False
    declared: bool = False
    holds: bool = True
    cascades: bool = False


class Part(msgspec.Struct, frozen=True):
    """An element of an index: a column, or an expression over `columns`. `operator`: exclusions."""

    columns: tuple[str, ...]
    expression: str | None = None
    operator: str = "="


class Unique(msgspec.Struct, frozen=True, kw_only=True):
    """A primary key, unique constraint or unique index; `where` is a partial one's condition."""

    name: str
    table: str
    parts: tuple[Part, ...]
    primary: bool = False
    where: str | None = None
    nulls_distinct: bool = True


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """No two rows for which every part's operator holds; `WITHOUT OVERLAPS` is one too."""

    name: str
    table: str
    parts: tuple[Part, ...]
    where: str | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A condition every row keeps. Not `holds`: never validated, or not enforced."""

    name: str
    table: str
    expression: str
    holds: bool = True


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers given out, and the columns (table, column) that get them."""

    name: str
    sql: str
    highest: int
    columns: tuple[tuple[str, str], ...]


class View(msgspec.Struct, frozen=True):
    """A materialized view, in the order in which they can be refreshed."""

    name: str
    sql: str


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """One database. `version` is the server's, such as 180001; sizes in bytes."""

    database: str
    version: int
    bytes: int
    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[Unique, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    checks: tuple[Check, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    views: tuple[View, ...] = ()

    def table(self, name: str) -> Table:
        """The table of that name. Raises `KeyError`."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def quoted(name: str) -> str:
    """A name as SQL quotes it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A string as SQL quotes it, whatever standard_conforming_strings says."""
    escaped = text.replace("'", "''")
    if "\\" in escaped:
        backslashed = escaped.replace("\\", "\\\\")
        return f" E'{backslashed}'"
    return f"'{escaped}'"
