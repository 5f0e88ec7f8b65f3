"""Ways to make a key anew in a copy, each as an expression of SQL.

For every copy number from 1 each way maps different values to different ones; that no value of a
copy is one that was there before, and that CHECK constraints hold, is tried before growing.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from loadpath.growing.schema import Column

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The highest value of each integer type."""

SPARSE = 1000
"""Integer keys that are this many times further apart than dense ones are no plain numbers: they
hold a time or are drawn by chance, and copies lie close to what they copy."""

_NEAR_STRIDE = 7919  # a prime: times a copy number, it is rarely the distance of two keys
_DIGEST = 32
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORTEST_DIGEST = 12


class Style(msgspec.Struct, frozen=True):
    """A way to make a key anew: its name, and by how much copies differ (numbers, seconds)."""

    name: str
    stride: float | int = 0
    width: int = 2

    def sql(self, value: str, copy: int) -> str:
        """The value of copy number `copy` of what the SQL `value` gives."""
        number = f"{copy:0{self.width}d}"
        text = f"({value})::text"
        if self.name in _SUFFIXES:
            return f"{text} || '{_SUFFIXES[self.name]}{number}'"
        match self.name:
            case "above" | "near":
                return f"{value} + {copy * self.stride}"
            case "below":
                return f"{value} - {copy * self.stride}"
            case "prefix":
                return f"'x{number}' || {text}"
            case "at":
                return f"regexp_replace({text}, '@', '-{number}@')"
            case "hash-uuid":
                return f"{_uuid(text, copy)}::text"
            case "uuid":
                return _uuid(text, copy)
            case "uuid-time":
                return _uuid(text, copy, kept=15)
            case "hash":
                parts = (f"md5({text} || '/{copy}/{n}')" for n in range(self.width))
                return f"left({' || '.join(parts)}, length({value}))"
            case "rotate":
                turned = _ALPHABET[copy % 62 :] + _ALPHABET[: copy % 62]
                return f"translate({text}, '{_ALPHABET}', '{turned}')"
            case "bytes":
                return f"{value} || int4send({copy})"
            case "digest":
                return f"substring(sha256({value} || int4send({copy})) for length({value}))"
        raise ValueError(f"no way to make a key anew is called {self.name}")

    def words(self, column: Column) -> str:
        """What it does to a column, to a user."""
        if self.name in _SUFFIXES or self.name in ("prefix", "at"):
            example = self.sql("'…'", 1).replace("('…')::text", "'…'")
            return f"{column.name}: a mark in each copy ({example})"
        found = _WORDS[self.name]
        return f"{column.name}: {found.format(stride=f'{self.stride:,}')}"


_SUFFIXES = {"suffix": "-", "suffix-x": "x", "suffix-digits": ""}
_WORDS = {
    "above": "numbers go on above, {stride} a copy",
    "near": "{stride} more a copy: such keys may hold a time",
    "below": "{stride} less a copy: such keys may hold a time",
    "hash-uuid": "another UUID, from the old one and the copy",
    "uuid": "another UUID, from the old one and the copy",
    "uuid-time": "another UUID of the same time, from the old one and the copy",
    "hash": "another digest of the same length",
    "rotate": "other characters of the same kind",
    "bytes": "longer by a mark in each copy",
    "digest": "another digest of the same length",
}


def _uuid(text: str, copy: int, kept: int = 0) -> str:
    """A UUID of the same version and variant; its first `kept` characters stay."""
    made = f"overlay(overlay(md5({text} || '/{copy}')::uuid::text placing substr({text}, 15, 1) "
    made += f"from 15) placing substr({text}, 20, 1) from 20)"
    if kept:
        made = f"overlay({made} placing left({text}, {kept}) from 1)"
    return f"({made})::uuid"


def styles(columns: Iterable[Column], factor: int, rows: int, *, back: bool) -> tuple[Style, ...]:
    """What may be done to a key of which `columns` hold the same values, the best first.

    `rows` are those of the table whose key it is; `back`: copies are older than what they copy.
    Empty where nothing can be done.
    """
    members = tuple(columns)
    kind = members[0].kind
    if any(each.kind != kind or each.generated is not None for each in members):
        return ()
    match kind:
        case "integer" | "numeric" | "float":
            return _numbers(members, factor, rows, back=back)
        case "uuid":
            ordered = all(each.time_ordered for each in members)
            return (Style("uuid-time" if ordered else "uuid"),)
        case "text":
            return _texts(members, factor)
        case "bytes":
            lengths = _lengths(members)
            fixed = len(set(lengths)) == 1 and _SHORTEST_DIGEST <= lengths[0] <= _DIGEST
            return (Style("digest"), Style("bytes")) if fixed else (Style("bytes"),)
    return ()


def _numbers(
    members: tuple[Column, ...], factor: int, rows: int, *, back: bool
) -> tuple[Style, ...]:
    lows = [each.lowest for each in members if each.lowest is not None]
    highs = [each.highest for each in members if each.highest is not None]
    low, high = (min(lows), max(highs)) if lows else (0, 0)
    stride = int(high) - int(low) + 1
    last = (factor - 1) * stride
    limit = min(_highest(each) for each in members)
    found = []
    numbered = any(each.numbered for each in members)
    if members[0].kind == "integer" and not numbered and stride > SPARSE * max(rows, 1):
        if back and low - last >= min(low, 0):
            found.append(Style("below", stride))
        if high + (factor - 1) * _NEAR_STRIDE <= limit:
            found.append(Style("near", _NEAR_STRIDE))
    if high + last <= limit:
        found.append(Style("above", stride))
    return tuple(found)


def _highest(column: Column) -> float:
    if column.kind == "integer":
        return INTEGERS.get(column.base, INTEGERS["integer"])
    if column.kind == "float":
        # Whole numbers beyond are not told apart.
        return 2.0**24 if column.base == "real" else 2.0**53
    inside = column.base.partition("(")[2].rstrip(")")
    if not inside:
        return float("inf")
    precision, _, scale = inside.partition(",")
    return float(10 ** (int(precision) - int(scale or 0)) - 1)


def _texts(members: tuple[Column, ...], factor: int) -> tuple[Style, ...]:
    width = max(2, len(str(factor - 1)))
    lengths = _lengths(members)
    longest = max(lengths, default=0)
    room = min((each.length_max - longest for each in members if each.length_max), default=10**6)
    fixed = len(set(lengths)) == 1
    found = []
    if fixed and longest == 36:
        found.append("hash-uuid")
    if fixed and longest in (32, 40, 64, 128):
        found.append("hash")
    if room >= width + 1:
        found += ["suffix", "suffix-x", "at", "prefix"]
    if room >= width:
        found.append("suffix-digits")
    if fixed and longest >= _SHORTEST_DIGEST and "hash" not in found and longest <= 8 * 32:
        found.append("hash")
    if factor <= 62:
        found.append("rotate")
    digests = -(-longest // 32)
    return tuple(Style(name, width=digests if name == "hash" else width) for name in found)


def _lengths(members: tuple[Column, ...]) -> list[int]:
    return [n for each in members for n in (each.shortest, each.longest) if n is not None]


def clashes(style: Style, column: str, sql: str, factor: int) -> str | None:
    """A query that finds a value of a copy that is there already; None: none can be.

    `column` and `sql`, the table, are quoted. Two copies of two values are the same only where one
    of the values is a copy of the other, so that this looks at all there will be.
    """
    digits = f"[0-9]{{{style.width}}}"
    if style.name in _SUFFIXES:
        mark = _SUFFIXES[style.name]
        return (
            f"SELECT 1 FROM {sql} AS b JOIN {sql} AS a "
            f"ON (a.{column})::text = left((b.{column})::text, {-style.width - len(mark)}) "
            f"WHERE (b.{column})::text ~ '{mark}{digits}$' LIMIT 1"
        )
    match style.name:
        case "prefix":
            return (
                f"SELECT 1 FROM {sql} AS b JOIN {sql} AS a "
                f"ON (a.{column})::text = substr((b.{column})::text, {style.width + 2}) "
                f"WHERE (b.{column})::text ~ '^x{digits}' LIMIT 1"
            )
        case "at":
            return (
                f"SELECT 1 FROM {sql} WHERE (({column})::text !~ '@' "
                f"OR ({column})::text ~ '-{digits}@') LIMIT 1"
            )
        case "near":
            return (
                f"SELECT 1 FROM generate_series(1, {factor - 1}) AS n JOIN {sql} AS a ON true "
                f"JOIN {sql} AS b ON b.{column} = a.{column} + n * {style.stride} LIMIT 1"
            )
        case "rotate":
            turned = ", ".join(
                f"('{_ALPHABET[n % 62 :] + _ALPHABET[: n % 62]}')" for n in range(1, factor)
            )
            return (
                f"SELECT 1 FROM (VALUES {turned}) AS t (turned) JOIN {sql} AS a ON true "
                f"JOIN {sql} AS b ON (b.{column})::text = "
                f"translate((a.{column})::text, '{_ALPHABET}', t.turned) LIMIT 1"
            )
    return None
