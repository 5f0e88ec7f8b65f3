"""Which indexes are worth a try for a statement: from what it asks, less what is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from loadpath.statements.reading import Asked, Read

COLUMNS_MAX: Final = 3
INCLUDED_MAX: Final = 3


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """An index that is there: its columns in order (" DESC" behind), and a partial one's condition.

    One over expressions, or of another kind than btree, serves something else and is not one.
    """

    table: str
    columns: tuple[str, ...]
    where: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An index to try. `where` makes it partial, `include` are columns it merely carries."""

    table: str
    columns: tuple[str, ...]
    include: tuple[str, ...] = ()
    where: str = ""

    @property
    def name(self) -> str:
        """A name of its own, within PostgreSQL's 63 characters."""
        words = "_".join((self.table.replace(".", "_"), *_bare(self.columns)))
        if self.where:
            words += "_partial"
        if self.include:
            words += "_covering"
        if len(words) > 55:
            words = words[:48] + hashlib.blake2b(words.encode(), digest_size=3).hexdigest()
        return words + "_idx"

    @property
    def quoted_name(self) -> str:
        """The index as SQL names it: it lies in the schema of its table."""
        schema = self.table.rpartition(".")[0]
        return f"{_quoted(schema)}.{_quoted(self.name)}" if schema else _quoted(self.name)

    def ddl(self, *, concurrently: bool = True) -> str:
        """The statement that makes it; CONCURRENTLY, as one would on a server in use."""
        how = "CREATE INDEX CONCURRENTLY" if concurrently else "CREATE INDEX"
        columns = ", ".join(_column(each) for each in self.columns)
        made = f"{how} {_quoted(self.name)} ON {_table(self.table)} ({columns})"
        if self.include:
            made += f" INCLUDE ({', '.join(_quoted(each) for each in self.include)})"
        return made + (f" WHERE {self.where}" if self.where else "")


def candidates(statement: Read, existing: Sequence[Existing]) -> list[Candidate]:
    """What to try for a statement, the likeliest first: equality columns first, then one range or
    the columns of its order, never more than `COLUMNS_MAX`."""
    found: dict[Candidate, None] = {}
    for asked in statement.asked:
        for candidate in _of(asked):
            if not any(covers(index, candidate) for index in existing):
                found[candidate] = None
    return list(found)


def referring(
    parent: str, keys: Sequence[tuple[str, tuple[str, ...], str]], existing: Sequence[Existing]
) -> list[Candidate]:
    """What to try where rows of `parent` are deleted: each foreign key that points there is looked
    through. `keys` are (table, columns, parent)."""
    tried = [Candidate(table=t, columns=c[:COLUMNS_MAX]) for t, c, p in keys if p == parent]
    return [each for each in tried if not any(covers(index, each) for index in existing)]


def covers(index: Existing, candidate: Candidate) -> bool:
    """Whether an index does already what a candidate would: it begins with the same columns.

    One that only carries further columns is not covered: to read no table at all may pay.
    """
    if index.table != candidate.table or candidate.include:
        return False
    if index.where and index.where != candidate.where:
        return False
    return _directed(index.columns[: len(candidate.columns)]) == _directed(candidate.columns)


def _of(asked: Asked) -> Iterator[Candidate]:
    equal = asked.equal[:COLUMNS_MAX]
    room = COLUMNS_MAX - len(equal)
    keys = {each.removesuffix(" DESC") for each in equal}
    ordered = tuple(o for o in asked.ordered if o.removesuffix(" DESC") not in keys)[:room]
    ranged = tuple(r for r in asked.ranged if r not in keys)[: min(room, 1)]
    sets: dict[tuple[str, ...], None] = {}
    if equal and ordered:
        sets[(*equal, *ordered)] = None
    if equal and ranged:
        sets[(*equal, *ranged)] = None
    for joined in asked.joined:
        rest = tuple(e for e in equal if e != joined)
        sets[(joined, *rest)[:COLUMNS_MAX]] = None
        if ordered:
            sets[(joined, *ordered)[:COLUMNS_MAX]] = None
    if equal:
        sets[equal] = None
    if not equal and ordered:
        sets[ordered] = None
    if not equal and ranged:
        sets[ranged] = None
    where = " AND ".join(asked.where)
    for number, columns in enumerate(sets):
        yield Candidate(table=asked.table, columns=columns)
        if where:
            yield Candidate(table=asked.table, columns=columns, where=where)
        returned = asked.returned
        if number == 0 and returned and len(returned) <= INCLUDED_MAX:
            include = tuple(each for each in returned if each not in _bare(columns))
            if include:
                yield Candidate(table=asked.table, columns=columns, include=include)


def _bare(columns: Sequence[str]) -> list[str]:
    return [each.removesuffix(" DESC") for each in columns]


def _directed(columns: Sequence[str]) -> tuple[str, ...]:
    """Directions that are all the other way round are the same: an index is read both ways."""
    if all(each.endswith(" DESC") for each in columns):
        return tuple(_bare(columns))
    return tuple(columns)


def _column(said: str) -> str:
    name = said.removesuffix(" DESC")
    return _quoted(name) + (" DESC" if said.endswith(" DESC") else "")


def _table(name: str) -> str:
    return ".".join(_quoted(part) for part in name.split("."))


def _quoted(name: str) -> str:
    if name.islower() and name.replace("_", "a").isalnum() and not name[0].isdigit():
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
