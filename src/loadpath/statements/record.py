"""What was measured of statements on grown data, as a recording keeps it: never their values."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Axis: TypeAlias = Literal["users", "history"]

VERSION = 1


class Size(msgspec.Struct, frozen=True, order=True):
    """How far the data was grown: `times` as many users, or as much history for each user."""

    axis: Axis
    times: int


class Scan(msgspec.Struct, frozen=True):
    """A table as a plan reads it: `rows` came out, `removed` did not pass its filter."""

    how: str
    table: str
    index: str
    rows: float
    removed: float


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a statement with one set of parameters, its pages in memory already.

    `buffers` counts pages of 8 KiB that were touched, foreign keys' checks included; `skipped_rows`
    were read for OFFSET and thrown away. `plan` is the tree of its nodes without any condition;
    `generic`: it was planned without a look at the parameters. `spilled` names what went to disk.
    """

    buffers: float
    rows: float
    time_s: float
    plan: str
    generic: bool = False
    temp_blocks: float = 0.0
    spilled: str = ""
    wal_bytes: float = 0.0
    skipped_rows: float = 0.0
    scans: tuple[Scan, ...] = ()


class AtSize(msgspec.Struct, frozen=True, kw_only=True):
    """A statement at one size (None: as it is today), with each of its sets of parameters.

    `runs` are in the order of the sets, None where one could not be run; `problem` says why.
    """

    size: Size | None
    runs: tuple[Ran | None, ...]
    problem: str = ""


class StatementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it crossed a wire, and what it does at each size.

    `calls_per_s` at the rate of the recording; `in_transaction` is the share of calls after which a
    transaction was open; `counts` says how often each set of parameters was seen, frequent first.
    """

    shape: str
    named: bool
    calls_per_s: float
    in_transaction: float
    counts: tuple[int, ...]
    at: tuple[AtSize, ...]


class IndexRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An index that was built alone on data of one size, with every statement measured again.

    `shape` is the statement that it was tried for; `statements` are those that touch its table, by
    their number.
    """

    ddl: str
    name: str
    table: str
    shape: str
    size: Size
    bytes: int = 0
    build_s: float = 0.0
    statements: dict[int, AtSize] = {}
    problem: str = ""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key that counts up: how far it is, and how far its type or sequence lets it go."""

    table: str
    column: str
    type: str
    last: int
    highest: int


class DatabaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One database: what it is, how far it was grown, and every statement that was made of it.

    `rows` and `bytes` of today's tables; `grown_bytes` of the whole database at each size.
    `told` says how its tables were taken: users, history, neither. `problem` says why it was not
    grown, if it was not. `cascades` are pairs of tables: rows of the second go with that of the
    first they refer to.
    """

    dependency: str
    version: str
    rows: dict[str, float] = {}
    bytes: dict[str, int] = {}
    sizes: tuple[Size, ...] = ()
    told: tuple[str, ...] = ()
    statements: tuple[StatementRecord, ...] = ()
    indexes: tuple[IndexRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    problem: str = ""
    cascades: tuple[tuple[str, str], ...] = ()


class KeyGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of one shape, as far as they were looked at: how many, of which type, how large.

    `bytes` are those that the server says it takes for a key; `length` counts the members of a
    collection, 0 for a string.
    """

    shape: str
    type: str
    seen: int
    bytes_mean: float
    bytes_max: int
    length_mean: float
    length_max: int


class CommandRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A command of one key shape: how often, and the bytes of its replies."""

    verb: str
    shape: str
    calls_per_s: float
    reply_bytes_mean: float
    reply_bytes_max: int


class CacheRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A Valkey or Redis after the load: all its keys, those looked at by shape, and its commands.

    `users` is how many rows the table of users has; 0: not known. `problem` says why it could not
    be asked.
    """

    dependency: str
    version: str
    keys: int = 0
    bytes: int = 0
    users: int = 0
    groups: tuple[KeyGroup, ...] = ()
    commands: tuple[CommandRecord, ...] = ()
    problem: str = ""


class Foretold(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of an operation: its p99 in seconds with `data` times today's data and
    `rate` times today's load. None: the load is more than is carried there."""

    operation: str
    data: int
    rate: int
    p99_s: float | None
    low_s: float | None = None
    high_s: float | None = None


class GrowthRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured on grown data, and what a model made of it before the service was
    driven on such data; `not_foretold` says why there is no prediction."""

    growth_version: int = VERSION
    databases: tuple[DatabaseRecord, ...] = ()
    caches: tuple[CacheRecord, ...] = ()
    foretold: tuple[Foretold, ...] = ()
    not_foretold: str = ""
