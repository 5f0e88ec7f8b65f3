"""What the user says of growth: whose rows multiply, and how data of another size is made."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Multiplies: TypeAlias = Literal["users", "history", "both", "none"]
"""With what the rows of a table multiply: more users, more history per user, either, neither."""


class Reference(msgspec.Struct, frozen=True):
    """`columns` of `table` hold those of `parent`, though no foreign key says so."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """`[growth]` of the service file.

    `database` names the PostgreSQL dependency that is grown (None: the only one). `root` are the
    tables whose rows are the users (empty: found from the foreign keys). `tables` says for a table
    with what it multiplies, against what was found. `references` are foreign keys the database does
    not have. `seed` is a command whose words may hold {n}, run instead of growing a clone; `n` is
    what {n} is at 1 ×. `version` is the major version of the PostgreSQL that the user runs (None:
    not said).
    """

    database: str | None = None
    root: tuple[str, ...] = ()
    tables: dict[str, Multiplies] = {}
    references: tuple[Reference, ...] = ()
    seed: tuple[str, ...] | None = None
    n: int = 1
    version: int | None = None
