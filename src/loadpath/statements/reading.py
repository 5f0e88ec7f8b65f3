"""What a statement asks of each table: conditions, joins, order, what it returns. By sqlglot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Verb: TypeAlias = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", ""]

_PARAMETER: Final = re.compile(r"\$(\d+)")
_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one statement asks of one table.

    `equal` are columns compared with one value or a list of them, `joined` those compared with a
    column of another table, `ranged` those bounded, `ordered` those that its rows are ordered by
    (with `DESC` behind), `where` constant predicates, as SQL: `deleted_at IS NULL`. `returned` are
    the columns that it uses otherwise; None: all of them.
    """

    table: str
    equal: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    ranged: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    returned: tuple[str, ...] | None = None


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it is written.

    `limited`: it has a LIMIT, or can return only one row by its form; `counts`: it counts rows over
    all that it finds; `offset`: it skips rows. `written` are the tables that it writes to, in a
    WITH as well, `inserted` and `deleted` those of them that rows come to or go from.
    """

    verb: Verb
    tables: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    inserted: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    limited: bool = False
    counts: bool = False
    offset: bool = False
    asked: tuple[Asked, ...] = ()


@lru_cache(maxsize=2048)
def read(shape: str) -> Read:
    """Read a shape. What sqlglot does not understand has no verb."""
    try:
        # Parameters are strings to it: it takes `$1,$` for a quote.
        tree = sqlglot.parse_one(_PARAMETER.sub(r"'$\1'", shape), dialect="postgres")
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError):
        return Read(verb="")
    verb = _verb(tree)
    if not verb:
        return Read(verb="")
    return Read(
        verb=verb,
        tables=tuple(dict.fromkeys(_name(t) for t in tree.find_all(exp.Table))),
        written=_written(tree, exp.Insert, exp.Update, exp.Delete, exp.Merge),
        inserted=_written(tree, exp.Insert, exp.Merge),
        deleted=_written(tree, exp.Delete, exp.Merge),
        limited=_limited(tree),
        counts=_counts(tree),
        offset=any(True for _ in tree.find_all(exp.Offset)),
        asked=tuple(_asked(tree)),
    )


def _verb(tree: exp.Expr) -> Verb:
    for kind, verb in (
        (exp.Query, "SELECT"),
        (exp.Insert, "INSERT"),
        (exp.Update, "UPDATE"),
        (exp.Delete, "DELETE"),
        (exp.Merge, "MERGE"),
    ):
        if isinstance(tree, kind):
            return verb  # type: ignore[return-value]
    return ""


def _name(table: exp.Table) -> str:
    """As people say it: `users`, and `auth.users` outside of public."""
    return f"{table.db}.{table.name}" if table.db and table.db != "public" else table.name


def _written(tree: exp.Expr, *kinds: type[exp.Expr]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for node in tree.find_all(*kinds):
        table = node.this.this if isinstance(node.this, exp.Schema) else node.this
        if isinstance(table, exp.Table):
            found[_name(table)] = None
    return tuple(found)


def _limited(tree: exp.Expr) -> bool:
    if not isinstance(tree, exp.Query):
        return True
    if tree.args.get("limit") is not None or tree.args.get("fetch") is not None:
        return True
    return isinstance(tree, exp.Select) and not tree.args.get("group") and _aggregates(tree)


def _aggregates(select: exp.Select) -> bool:
    return bool(select.expressions) and all(
        any(not isinstance(a.parent, exp.Window) for a in each.find_all(exp.AggFunc))
        for each in select.expressions
    )


def _counts(tree: exp.Expr) -> bool:
    """A COUNT over what is found, where nothing bounds what is found."""
    for select in tree.find_all(exp.Select):
        counted = any(each.find(exp.Count) for each in select.expressions)
        grouped = select.args.get("group") is not None
        source = select.args.get("from_") or select.args.get("from")
        within = source.this if source is not None else None
        bounded = isinstance(within, exp.Subquery) and _limited_within(within.this)
        if counted and not grouped and not bounded:
            return True
    return False


def _limited_within(query: exp.Expr) -> bool:
    return isinstance(query, exp.Query) and query.args.get("limit") is not None


def _asked(tree: exp.Expr) -> Iterator[Asked]:
    """What is asked of each table in each SELECT, UPDATE and DELETE, subqueries included."""
    for scope in tree.find_all(exp.Select, exp.Update, exp.Delete):
        aliases = _aliases(scope)
        if not aliases:
            continue
        found = {alias: _Found() for alias in aliases}
        for condition in _conditions(scope):
            _take(condition, found)
        for ordered in _order(scope):
            column = ordered.this
            if isinstance(column, exp.Column) and (place := _place(column, found)) is not None:
                place.ordered.append(column.name + (" DESC" if ordered.args.get("desc") else ""))
        everything = any(_is_star(each) for each in getattr(scope, "expressions", ()))
        for column in scope.find_all(exp.Column):
            if (place := _place(column, found)) is not None:
                place.returned.append(column.name)
        for alias, table in aliases.items():
            place = found[alias]
            keys = {*place.equal, *place.joined, *place.ranged}
            keys |= {name.removesuffix(" DESC") for name in place.ordered}
            returned = tuple(n for n in dict.fromkeys(place.returned) if n not in keys)
            yield Asked(
                table=table,
                equal=tuple(dict.fromkeys(place.equal)),
                joined=tuple(dict.fromkeys(place.joined)),
                ranged=tuple(dict.fromkeys(place.ranged)),
                ordered=tuple(dict.fromkeys(place.ordered)),
                where=tuple(dict.fromkeys(place.where)),
                returned=None if everything or not isinstance(scope, exp.Select) else returned,
            )


class _Found:
    def __init__(self) -> None:
        self.equal: list[str] = []
        self.joined: list[str] = []
        self.ranged: list[str] = []
        self.ordered: list[str] = []
        self.where: list[str] = []
        self.returned: list[str] = []


def _is_star(each: exp.Expr) -> bool:
    return isinstance(each, exp.Star) or (
        isinstance(each, exp.Column) and isinstance(each.this, exp.Star)
    )


def _aliases(scope: exp.Expr) -> dict[str, str]:
    """Tables of a scope by the name that its columns are told by."""
    tables: list[exp.Expr] = []
    source = scope.args.get("from_") or scope.args.get("from")
    if source is not None:
        tables.append(source.this)
    if isinstance(scope, exp.Update | exp.Delete):
        tables.append(scope.this)
    tables += [join.this for join in scope.args.get("joins") or ()]
    for table in list(tables):
        tables += [join.this for join in table.args.get("joins") or ()]
    return {t.alias_or_name: _name(t) for t in tables if isinstance(t, exp.Table)}


def _conditions(scope: exp.Expr) -> Iterator[exp.Expr]:
    clauses = [scope.args.get("where")]
    roots = [clause.this for clause in clauses if clause is not None]
    joins = list(scope.args.get("joins") or ())
    roots += [join.args["on"] for join in joins if join.args.get("on") is not None]
    for root in roots:
        yield from _conjuncts(root)


def _conjuncts(root: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(root, exp.Paren):
        yield from _conjuncts(root.this)
    elif isinstance(root, exp.And):
        yield from _conjuncts(root.this)
        yield from _conjuncts(root.expression)
    else:
        yield root


def _order(scope: exp.Expr) -> Sequence[exp.Expr]:
    order = scope.args.get("order")
    return order.expressions if order is not None else ()


def _place(column: exp.Column, found: Mapping[str, _Found]) -> _Found | None:
    if column.table:
        return found.get(column.table)
    return next(iter(found.values())) if len(found) == 1 else None


def _take(condition: exp.Expr, found: Mapping[str, _Found]) -> None:
    """Sort one condition in; one that no ordinary index could serve is left out."""
    if isinstance(condition, exp.Is | exp.Not):
        _take_constant(condition, found)
        return
    left, right = condition.this, condition.args.get("expression")
    left, right = _bare(left), _bare(right)
    if isinstance(condition, exp.EQ):
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            for column in (left, right):
                if (place := _place(column, found)) is not None:
                    place.joined.append(column.name)
            return
        first, other = (left, right) if isinstance(left, exp.Column) else (right, left)
        if not isinstance(first, exp.Column) or (place := _place(first, found)) is None:
            return
        if isinstance(other, exp.Boolean):
            place.where.append(f"{first.name} = {str(other.this).upper()}")
        elif not _has_column(other) or isinstance(other, exp.Any):
            place.equal.append(first.name)
    elif isinstance(condition, exp.In):
        if isinstance(left, exp.Column) and (place := _place(left, found)) is not None:
            (place.joined if condition.args.get("query") else place.equal).append(left.name)
    elif isinstance(condition, _RANGES):
        bounded = left if isinstance(left, exp.Column) else right
        if isinstance(left, exp.Tuple):
            # Keyset paging: (created_at, id) < ($1, $2)
            bounded = _bare(left.expressions[0])
        if isinstance(bounded, exp.Column) and (place := _place(bounded, found)) is not None:
            place.ranged.append(bounded.name)
    elif isinstance(condition, exp.Column) and (place := _place(condition, found)) is not None:
        place.where.append(condition.name)


def _take_constant(condition: exp.Expr, found: Mapping[str, _Found]) -> None:
    inner = condition.this if isinstance(condition, exp.Not) else condition
    column = inner if isinstance(inner, exp.Column) else inner.this
    if not isinstance(column, exp.Column) or (place := _place(column, found)) is None:
        return
    negated = isinstance(condition, exp.Not)
    if isinstance(inner, exp.Column):
        place.where.append(f"NOT {column.name}")
    elif isinstance(inner, exp.Is):
        value = inner.expression
        word = "NULL" if isinstance(value, exp.Null) else str(value.this).upper()
        if isinstance(value, exp.Null | exp.Boolean):
            place.where.append(f"{column.name} IS {'NOT ' if negated else ''}{word}")


def _bare(node: exp.Expr | None) -> exp.Expr | None:
    """Without parentheses and casts of parameters."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node


def _has_column(node: exp.Expr | None) -> bool:
    return node is not None and node.find(exp.Column) is not None
