"""Whose rows multiply with users, and whose with their history, found from the foreign keys.

The root holds the users. A row that refers to one, straight or by way of others, belongs to that
user: with more users it multiplies, with more history too. A row that refers to none is a lookup
and stays.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.growing.plan import Axis, Refusal
from loadpath.growing.remaking import remaking
from loadpath.growing.schema import Schema, Table
from loadpath.spec.growth import Growth, Multiplies

UNCONNECTED_ROWS_MIN = 1000
"""A table that no foreign key leads to or from multiplies when it has at least so many rows."""

# Singular or plural, and the last word of a table's name: auth_user is one, user_group is none.
_USERS = (
    ("user", "users"),
    ("account", "accounts", "customer", "customers", "member", "members", "person", "people"),
    ("tenant", "tenants", "organization", "organizations", "workspace", "workspaces"),
    ("client", "clients", "player", "players", "author", "authors", "api_key", "api_keys"),
)


class Member(msgspec.Struct, frozen=True):
    """A table, with what it multiplies, and why; `declared`: the user says so."""

    table: str
    rows: int
    multiplies: Multiplies
    why: str
    root: bool = False
    declared: bool = False


class Families(msgspec.Struct, frozen=True):
    """`roots` are the tables of users; `members` every table, those that multiply first."""

    roots: tuple[str, ...]
    members: tuple[Member, ...]

    def multiplying(self, axis: Axis) -> frozenset[str]:
        """The tables whose rows multiply on that axis."""
        return frozenset(m.table for m in self.members if m.multiplies in (axis, "both"))


def families(schema: Schema, growth: Growth | None = None) -> Families:
    """What multiplies with what, as the foreign keys have it and as the user says.

    Raises `ConfigurationError` when `[growth]` names a table that there is not.
    """
    growth = growth or Growth()
    names = [table.name for table in schema.tables]
    for key, name in [*(("root", r) for r in growth.root), *(("tables", t) for t in growth.tables)]:
        check_known(f"[growth] {key}", "table", name, names)
    roots = growth.root or _roots(schema)
    found = {table.name: _member(schema, table, roots) for table in schema.tables}
    for name, multiplies in growth.tables.items():
        found[name] = Member(
            name, found[name].rows, multiplies, "said in [growth]", name in roots, declared=True
        )
    _keep_to_parents(schema, found)
    order = {"both": 0, "users": 0, "history": 0, "none": 1}
    ranked = sorted(
        found.values(), key=lambda m: (not m.root, order[m.multiplies], -m.rows, m.table)
    )
    return Families(tuple(roots), tuple(ranked))


def check_known(where: str, what: str, name: str, known: Iterable[str]) -> None:
    """Raise `ConfigurationError`, with the nearest, for a name that the database does not have."""
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    raise ConfigurationError(
        f"{where}: the database has no {what} {name}"
        + (f"; did you mean {near[0]}?" if near else ""),
        key="growth",
        advice=None if near else f"There are: {', '.join(names) or 'none'}",
    )


def _member(schema: Schema, table: Table, roots: tuple[str, ...]) -> Member:
    name, rows = table.name, table.rows
    if table.foreign or table.extension is not None:
        whose = "another server's" if table.foreign else f"of the extension {table.extension}"
        return Member(name, rows, "none", f"its rows are {whose}")
    if name in roots:
        return Member(name, rows, "users", "the root: one row a user", root=True)
    path = path_to(schema, name, roots)
    if path:
        return Member(name, rows, "both", "belongs to " + " → ".join(path))
    tied = any(name in (k.table, k.parent) for k in schema.foreign_keys)
    if tied:
        return Member(name, rows, "none", "a lookup: refers to no user")
    if rows >= UNCONNECTED_ROWS_MIN:
        return Member(name, rows, "both", "no foreign key says whose, but it has many rows")
    return Member(name, rows, "none", "no foreign key leads to or from it, and it has few rows")


def path_to(schema: Schema, name: str, roots: Iterable[str]) -> tuple[str, ...]:
    """The tables that lead from one to a root, by the fewest foreign keys; empty: none do."""
    goals = set(roots)
    ways: dict[str, tuple[str, ...]] = {name: ()}
    near = [name]
    while near:
        further = []
        for here in near:
            parents = {k.parent for k in schema.foreign_keys if k.table == here}
            for parent in sorted(parents - ways.keys()):
                ways[parent] = (*ways[here], parent)
                if parent in goals:
                    return ways[parent]
                further.append(parent)
        near = further
    return ()


def _roots(schema: Schema) -> tuple[str, ...]:
    """The table that most of the data belongs to, among those named like users if there are any."""
    candidates = {k.parent for k in schema.foreign_keys if k.parent != k.table}
    if not candidates:
        return ()
    rows = {table.name: table.rows for table in schema.tables}
    below = {
        root: [name for name in rows if name != root and path_to(schema, name, (root,))]
        for root in candidates
    }

    def rank(name: str) -> tuple[float, ...]:
        return (-_likeness(name), len(below[name]), sum(rows[n] for n in below[name]), rows[name])

    return (max(sorted(candidates), key=rank),)


def _likeness(name: str) -> int:
    """How little a table is named like users: 0 for users themselves."""
    own = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()
    for place, words in enumerate(_USERS):
        if any(own == word or own.endswith(f"_{word}") for word in words):
            return place
    return len(_USERS)


def _keep_to_parents(schema: Schema, found: dict[str, Member]) -> None:
    """Leave alone with more history what can have no further row for the same parents.

    A profile whose key is its user's is such a one; a follower and whom he follows are another.
    """
    while True:
        multiplying = frozenset(m.table for m in found.values() if m.multiplies != "none")
        both = frozenset(m.table for m in found.values() if m.multiplies in ("both", "history"))
        refused = remaking(schema, both & multiplying, "history", 2)
        if not isinstance(refused, Refusal) or found[refused.table].declared:
            return
        member = found[refused.table]
        why = f"{member.why}; no more history: {refused.why}"
        found[refused.table] = Member(member.table, member.rows, "users", why, member.root)
