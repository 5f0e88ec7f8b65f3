"""The lines of the answer on growth: what grows, what would keep it from that. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Line
from loadpath.experiment.attribution.short import short_shape
from loadpath.figures import ms
from loadpath.questions.growth_driven import GROWN, INDEXED, TODAY, Misses, of
from loadpath.questions.growth_figures import (
    CacheGrowth,
    DatabaseGrowth,
    Growth,
    KeyEnd,
    StatementGrowth,
)
from loadpath.statements.findings import Finding
from loadpath.statements.verdict import IndexVerdict

SHAPE_CHARACTERS = 60
BEYOND = 20.0
"""A p99 of so many times its limit is that of a queue that only grows."""

_OF_ROWS = ("unbounded_list", "n_plus_one", "offset")
"""Findings that say how rows grow: an exponent of pages would not belong to them."""


def lines_of(growth: Growth) -> list[Line]:
    """What is wrong first, the gravest of it first; then indexes, then what is worth knowing."""
    lines: list[Line] = []
    for database in growth.databases:
        if database.problem:
            lines.append(Line(database.dependency, f"not grown: {database.problem}"))
            continue
        for statement in accused(database):
            lines += _statement_lines(statement, database.indexes)
        lines += _index_lines(database.indexes)
    for cache in growth.caches:
        lines += _cache_lines(cache)
    lines += _alone_lines(growth)
    lines += users_lines(growth)
    for database in growth.databases:
        if not database.problem:
            lines += _notes(database)
    return lines


def _cache_lines(cache: CacheGrowth) -> list[Line]:
    record = cache.record
    if record.problem:
        return [Line(record.dependency, f"its keys are not known: {record.problem}")]
    lines = [
        Line(record.dependency, f"{each.shape}: {each.said}", each.advice)
        for each in cache.findings
    ]
    said = f"not grown: looked at as it is after the load, {record.keys:,} keys, "
    said += _bytes(record.bytes)
    if cache.bytes_a_user is not None:
        said += f", {_bytes(round(cache.bytes_a_user))} for each of {record.users:,} users"
    largest = [
        f"{group.shape} {_bytes(group.bytes_max)}"
        for group in sorted(record.groups, key=lambda group: -group.bytes_max)[:2]
    ]
    lines.append(Line(record.dependency, said, f"largest: {', '.join(largest)}" if largest else ""))
    return lines


def _alone_lines(growth: Growth) -> list[Line]:
    """What one user waits for what was accused, as measured on each data set."""
    lines = []
    for each in growth.alone:
        today, grown = each.p50_s.get(TODAY), each.p50_s.get(GROWN)
        if today is None or grown is None:
            continue
        said = f"one user waits {ms(today)} today, {ms(grown)} at 4 × users"
        indexed = each.p50_s.get(INDEXED)
        if indexed is not None:
            said += f", {ms(indexed)} there with the indexes"
        lines.append(Line(each.operation, f"{said}: measured"))
    return lines


def users_lines(growth: Growth) -> list[Line]:
    """At how many users what is missed, and what was measured of it."""
    lines = []
    alike: list[Misses] = []
    for each in growth.misses:
        if each.users is None:
            continue
        if each.by_data is None and each.by_rate == each.users:
            alike.append(each)
            continue
        lines.append(Line(each.operation, _missed(each, growth), _measured(each, growth)))
    if alike:
        first = min(alike, key=lambda each: each.users or 0)
        count = f"{len(alike)} operation{'s' if len(alike) != 1 else ''}"
        lines.append(
            Line(
                "the load",
                f"{count} would miss p99 from {first.users} × today's users on, by their rate "
                "alone",
                _measured(first, growth),
            )
        )
    if growth.not_foretold:
        lines.append(Line("users", "not predicted", growth.not_foretold))
    return lines


def _missed(each: Misses, growth: Growth) -> str:
    found = [f for f in growth.foretold if f.operation == each.operation]
    at = next(f for f in found if f.data == f.rate == each.users)
    beyond = at.p99_s is None or at.p99_s > BEYOND * each.limit_s
    p99 = "more than it carries" if beyond or at.p99_s is None else ms(at.p99_s)
    said = f"at {each.users} × today's users misses p99 ≤ {ms(each.limit_s)}: {p99} predicted"
    if each.by_data is not None:
        return said + f"; by the data alone at {each.by_data} ×"
    return said + "; by data and rate together"


def _measured(each: Misses, growth: Growth) -> str:
    """Prediction beside measurement, where it was driven."""
    told = []
    for recording, data, words in ((TODAY, 1, "today"), (GROWN, 4, "4 × data")):
        for rate in (1, 4):
            if (data, rate) == (1, 4):
                continue
            seen = of(growth.driven, recording, each.operation, rate)
            if seen is not None:
                p99 = "too few" if seen.p99_s is None else ms(seen.p99_s.value)
                foretold = _foretold(growth, each.operation, data, rate)
                load = words if rate == 1 else f"{words} and rate"
                told.append(f"{load}: {p99} (predicted {foretold})")
    seen = of(growth.driven, INDEXED, each.operation, 4)
    if seen is not None and seen.p99_s is not None:
        told.append(f"with the indexes: {ms(seen.p99_s.value)}")
    return "p99 measured " + ", ".join(told) if told else ""


def _foretold(growth: Growth, operation: str, data: int, rate: int) -> str:
    for each in growth.foretold:
        if (each.operation, each.data, each.rate) == (operation, data, rate):
            return "overload" if each.p99_s is None else ms(each.p99_s)
    return "nothing"


def accused(database: DatabaseGrowth) -> list[StatementGrowth]:
    """Statements with something wrong, those that will work most first."""
    found = [each for each in database.statements if each.findings]
    return sorted(found, key=lambda each: -_last_work(each))


def _last_work(each: StatementGrowth) -> float:
    if each.course is None:
        return 0.0
    return each.course.last.buffers * max(each.calls_per_s, 0.001)


def _statement_lines(each: StatementGrowth, indexes: Sequence[IndexVerdict]) -> list[Line]:
    subject = each.operations[0] if each.operations else each.dependency
    others = len(each.operations) - 1
    shape = short_shape(each.shape, SHAPE_CHARACTERS)
    cause = shape + (f", also of {others} other operations" if others > 1 else "")
    lines = []
    for number, finding in enumerate(each.findings):
        remedy = _remedy(each, finding, indexes)
        lines.append(
            Line(
                subject if number == 0 else "",
                f"{finding.said}{_exponent(each, finding)}",
                f"{cause} · {remedy}" if number == 0 else remedy,
            )
        )
    return lines


def _exponent(each: StatementGrowth, finding: Finding) -> str:
    course = each.course
    if course is None or course.pages is None or finding.kind in _OF_ROWS:
        return ""
    pages = course.pages
    return f" (exponent {pages.value:.2f}, {pages.low:.2f}–{pages.high:.2f})"


def _remedy(each: StatementGrowth, finding: Finding, indexes: Sequence[IndexVerdict]) -> str:
    helping = [index for index in indexes if index.record.name in each.indexes]
    if finding.kind in ("missing_index", "spills", "hot_key") and helping:
        index = helping[0]
        change = next(c for c in index.helped if c.shape == each.shape)
        return f"index {columns_of(index)}: {change.before:,.0f} → {change.after:,.0f} pages, built"
    return finding.advice


def columns_of(index: IndexVerdict) -> str:
    """`visit (link_id, created_at)`, with INCLUDE and WHERE: what is behind ON."""
    return index.record.ddl.partition(" ON ")[2]


def _index_lines(indexes: Sequence[IndexVerdict]) -> list[Line]:
    lines = []
    for index in indexes:
        if index.recommended:
            lines.append(Line("index", f"{index.record.ddl};", _costs(index)))
    for index in indexes:
        if index.verdict == "trade":
            lines.append(Line("a trade", f"{index.record.ddl};", _trade(index)))
    return lines


def _costs(index: IndexVerdict) -> str:
    record = index.record
    said = (
        f"the workload's pages −{100 * index.gain:.0f} % at {record.size.times} × "
        f"{record.size.axis}; {_bytes(record.bytes)}, built in {record.build_s:.1f} s; "
    )
    if index.write_pages or index.write_wal_bytes:
        return said + (
            f"a write costs {index.write_pages:+.1f} pages and {index.write_wal_bytes:+.0f} bytes "
            "of log"
        )
    return said + "no write of that table was seen"


def _trade(index: IndexVerdict) -> str:
    helped, harmed = index.helped[0], index.harmed[0]
    return (
        f"{short_shape(helped.shape, 40)}: {helped.before:,.0f} → {helped.after:,.0f} pages, but "
        f"{short_shape(harmed.shape, 40)}: {harmed.before:,.0f} → {harmed.after:,.0f}"
    )


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _notes(database: DatabaseGrowth) -> list[Line]:
    lines = [
        Line(
            held.operation,
            f"its transaction is held {ms(held.before_s)} → {ms(held.after_s)} at "
            f"{held.times} × {held.axis}",
        )
        for held in database.held
    ]
    changed = [
        each
        for each in database.statements
        if each.course is not None
        and each.course.plan_changed
        and each.course.growing not in ("lookup", "log")
        and not each.findings
    ]
    for each in changed[:2]:
        assert each.course is not None
        lines.append(
            Line(
                each.operations[0] if each.operations else database.dependency,
                f"another plan when it has grown: {each.course.last.plan}",
                short_shape(each.shape, SHAPE_CHARACTERS),
            )
        )
    lines += [Line("keys", _key_words(each)) for each in database.keys]
    if database.only_grow:
        lines.append(
            Line("only grow", ", ".join(database.only_grow), "no statement that deletes was seen")
        )
    unmeasured = [each for each in database.statements if each.problem]
    if unmeasured:
        first = unmeasured[0]
        lines.append(
            Line(
                "not measured",
                f"{len(unmeasured)} statement{'s' if len(unmeasured) != 1 else ''}, the first: "
                f"{short_shape(first.shape, SHAPE_CHARACTERS)}",
                first.problem,
            )
        )
    lines.append(
        Line(
            database.dependency,
            f"PostgreSQL {database.version}, grown to {', '.join(database.sizes)}",
            _told(database.told),
        )
    )
    return lines


def _told(told: Sequence[str]) -> str:
    """`with users: users; with users and history: posts, notes; stays: kind`."""
    groups: dict[str, list[str]] = {}
    for each in told:
        table, _, rest = each.partition(": ")
        groups.setdefault(rest.partition(",")[0], []).append(table)
    return "; ".join(f"{how}: {', '.join(tables)}" for how, tables in groups.items())


def _key_words(each: KeyEnd) -> str:
    days = each.ends_in_s / 86400
    when = f"{days / 365.25:.1f} years" if days > 730 else f"{days:,.0f} days"
    return (
        f"{each.key.table}.{each.key.column} ({each.key.type}) runs out in {when} at "
        f"{each.inserts_per_s:.3g} rows/s: it is at {each.key.last:,} of {each.key.highest:,}"
    )
