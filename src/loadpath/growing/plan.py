"""The plan: statements as data that grow a clone k-fold, or a refusal that says why not."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Axis: TypeAlias = Literal["users", "history"]
"""`users`: whole families of rows multiply. `history`: children multiply, parents do not."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a schema is not grown: `table`, and `why` as a clause that names the constraint."""

    table: str
    why: str
    advice: str | None = None

    def __str__(self) -> str:
        return f"{self.table}: {self.why}"


class Job(msgspec.Struct, frozen=True):
    """One INSERT … SELECT: copy number `copy` of the rows that lie in one partition of a table."""

    table: str
    copy: int
    sql: str
    expects: int | None = None


class Trial(msgspec.Struct, frozen=True):
    """A query asked before anything is grown; `refusal` is what a row that comes back means.

    `style` names the way in which a text or sparse key is made anew there (class, style): another
    may do.
    """

    sql: str
    refusal: Refusal
    style: tuple[str, str] | None = None


class Verification(msgspec.Struct, frozen=True):
    """A query that counts violations after growth; `what` is the constraint, with its table."""

    table: str
    what: str
    sql: str


class TablePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one table: `rows` now, `rows_after`; `changes` says how keys are made."""

    table: str
    sql: str
    rows: int
    rows_after: int
    changes: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that growing does, in order. `notes` are what the user should know of it."""

    axis: Axis
    factor: int
    tables: tuple[TablePlan, ...]
    trials: tuple[Trial, ...]
    before: tuple[str, ...]
    jobs: tuple[Job, ...]
    after: tuple[str, ...]
    verifications: tuple[Verification, ...]
    needed_bytes: int
    notes: tuple[str, ...] = ()


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `rows` of each grown table as counted, the clone's `database` name."""

    database: str
    axis: Axis
    factor: int
    rows: dict[str, int]
    verified: int
    seconds: float
    notes: tuple[str, ...] = ()
