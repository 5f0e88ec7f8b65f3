"""The load path of an operation as a small tree: which calls it makes, and what is suspicious."""

from __future__ import annotations

from loadpath.experiment.attribution import LoadPath, Suspicion
from loadpath.experiment.attribution.short import short_shape
from loadpath.figures import ms
from loadpath.report.calls import Row, rows_of
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import Style, wrapped

NAME_WIDTH = 10
CALLS_SHOWN_MAX = 12
"""Calls of one operation that are listed; the dearest, when there are more."""
SHAPE_WIDTH_MIN = 16
NOTABLE_S = 0.005
"""A wait or a hold below this is not worth a line."""
NOTABLE_SHARE = 0.5
"""Nor is one that is a smaller share of the response time."""

_MARKS = {
    "n_plus_one": "N+1",
    "repeated": "repeated",
    "transaction_across_call": "transaction held",
    "no_index": "no index",
    "failing": "failing",
}


def render_path(path: LoadPath, width: int, style: Style) -> list[str]:
    """The rows of an operation's tree, without its head; none for one that asks nobody anything."""
    if not path.calls:
        return []
    every = rows_of(path.calls)
    shown = _dearest(every, path.suspicions)
    out = [line for row in shown for line in _call_lines(row, path, width, style)]
    if len(shown) < len(every):
        left = len(every) - len(shown)
        out.append(f"  ├─ {left} more that take less time; -o FILE.json lists them")
    out.append(f"  └─ {'inside':<{NAME_WIDTH}} {'':>5} {ms(path.inside_s):>8}  the service itself")
    out += [f"     {line}" for line in wrapped(" ".join(_connections(path)), width - 5) if line]
    loose = [s for s in path.suspicions if not any(_is_about(s, row) for row in shown)]
    return out + [line for each in loose for line in _suspicion_rows(each, "   ", width, style)]


def shown_shape(text: str, width: int) -> str:
    """A shape in at most `width` columns, what tells statements apart kept."""
    return short_shape(strip_controls(text), width)


def _dearest(rows: list[Row], suspicions: tuple[Suspicion, ...]) -> list[Row]:
    """All rows, or the dearest of them and those that are suspicious, in their own order."""
    dearest = sorted(rows, key=lambda row: row.time_s, reverse=True)[:CALLS_SHOWN_MAX]
    return [row for row in rows if row in dearest or any(_is_about(s, row) for s in suspicions)]


def _connections(path: LoadPath) -> list[str]:
    """What is notable of how connections are used: long held between calls, long waited for."""
    said = []
    accused = {s.dependency for s in path.suspicions if s.kind == "transaction_across_call"}
    for use in path.uses:
        name = strip_controls(use.dependency)
        between_s = use.held_s - use.time_s
        if use.dependency in accused:
            continue  # that suspicion tells it, and why
        if between_s >= NOTABLE_S and between_s >= NOTABLE_SHARE * path.response_time_s:
            said.append(
                f"A connection to {name} is taken for {ms(use.held_s)}, "
                f"in {ms(between_s)} of which nothing is asked."
            )
        if use.first_use_s >= NOTABLE_S and use.first_use_s >= NOTABLE_SHARE * path.response_time_s:
            said.append(f"{name} is first asked after {ms(use.first_use_s)}.")
    return said


def _call_lines(row: Row, path: LoadPath, width: int, style: Style) -> list[str]:
    name = strip_controls(row.dependency)
    time = ms(row.time_s) if row.waited_for else ""
    head = f"  ├─ {name:<{NAME_WIDTH}} {_count(row.calls):>5} {time:>8}  "
    rows_said = f" · {_amount(row.rows)} rows" if row.rows is not None and row.rows >= 2 else ""
    tail = rows_said + (f" · {row.note}" if row.note else "")
    room = width - len(head) - len(tail)
    if room < SHAPE_WIDTH_MIN:
        tail, room = "", max(SHAPE_WIDTH_MIN, width - len(head))
    lines = [head + shown_shape(row.what, room) + tail]
    about = [each for each in path.suspicions if _is_about(each, row)]
    return lines + [line for each in about for line in _suspicion_rows(each, "  │", width, style)]


def _suspicion_rows(suspicion: Suspicion, margin: str, width: int, style: Style) -> list[str]:
    mark = _MARKS[suspicion.kind] + ("" if suspicion.certain else "?")
    indent = len(margin) + 4
    first, *rest = wrapped(f"{mark}: {suspicion.said}. {suspicion.advice}", width - indent)
    return [
        f"{margin}  {style('!', 'yellow')} {style(mark, 'yellow')}{first.removeprefix(mark)}",
        *(f"{margin}    {row}" for row in rest),
    ]


def _is_about(suspicion: Suspicion, row: Row) -> bool:
    return suspicion.dependency == row.dependency and suspicion.shape in row.shapes


def _count(calls: float) -> str:
    return f"{_amount(calls)} ×"


def _amount(value: float) -> str:
    """A mean count: whole where it is whole."""
    return f"{value:,.0f}" if value >= 10 or abs(value - round(value)) < 0.005 else f"{value:.1f}"
