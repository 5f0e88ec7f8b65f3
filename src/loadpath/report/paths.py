"""The load path of an operation as a small tree: which calls it makes, and what is suspicious."""

from __future__ import annotations

import re

from loadpath.experiment.attribution import Call, LoadPath, Suspicion
from loadpath.figures import ms
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import Style, wrapped

NAME_WIDTH = 10
CALLS_SHOWN_MAX = 12
"""Calls of one operation that are listed; the dearest, when there are more."""
SHAPE_WIDTH_MIN = 16

_SELECTED = re.compile(r"^SELECT (?!\*)(?!.{0,24} FROM ).*? FROM ", re.DOTALL)
_INSERTED = re.compile(r"^(INSERT INTO [^\s(]+)\s*\(.*", re.DOTALL)
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
    calls = _shown(path.calls)
    rows = [
        *(_call_rows(call, path, "├─", width, style) for call in calls),
        [f"  └─ {'inside':<{NAME_WIDTH}} {'':>5} {ms(path.inside_s):>8}  the service itself"],
    ]
    out = [row for each in rows for row in each]
    if len(calls) < len(path.calls):
        left = len(path.calls) - len(calls)
        out.insert(-1, f"  ├─ {left} more that take less time; -o FILE.json lists them")
    loose = [s for s in path.suspicions if not any(_is_about(s, call) for call in calls)]
    return out + [row for each in loose for row in _suspicion_rows(each, "   ", width, style)]


def shown_shape(text: str, width: int) -> str:
    """A shape in at most `width` columns, what tells statements apart kept."""
    text = strip_controls(text)
    if len(text) > width:
        text = _SELECTED.sub("SELECT … FROM ", text)
        text = _INSERTED.sub(r"\1 …", text)
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"


def _shown(calls: tuple[Call, ...]) -> list[Call]:
    """All calls, or the dearest of them, in their own order."""
    dearest = sorted(calls, key=lambda call: call.time_s, reverse=True)[:CALLS_SHOWN_MAX]
    return [call for call in calls if call in dearest]


def _call_rows(call: Call, path: LoadPath, branch: str, width: int, style: Style) -> list[str]:
    name = strip_controls(call.dependency)
    head = f"  {branch} {name:<{NAME_WIDTH}} {_count(call.calls):>5} {ms(call.time_s):>8}  "
    rows_said = f" · {_amount(call.rows)} rows" if call.rows is not None and call.rows >= 2 else ""
    tail = rows_said + (" · pushed" if call.pushed else "")
    tail += " · after the reply" if call.after_reply else ""
    room = width - len(head) - len(tail)
    if room < SHAPE_WIDTH_MIN:
        tail, room = "", max(SHAPE_WIDTH_MIN, width - len(head))
    what = f"{call.verb} {call.shape}" if call.kind not in {"postgres", "http"} else call.shape
    rows = [head + shown_shape(what or call.verb, room) + tail]
    about = [each for each in path.suspicions if _is_about(each, call)]
    return rows + [row for each in about for row in _suspicion_rows(each, "  │", width, style)]


def _suspicion_rows(suspicion: Suspicion, margin: str, width: int, style: Style) -> list[str]:
    mark = _MARKS[suspicion.kind] + ("" if suspicion.certain else "?")
    indent = len(margin) + 4
    first, *rest = wrapped(f"{mark}: {suspicion.said}. {suspicion.advice}", width - indent)
    return [
        f"{margin}  {style('!', 'yellow')} {style(mark, 'yellow')}{first.removeprefix(mark)}",
        *(f"{margin}    {row}" for row in rest),
    ]


def _is_about(suspicion: Suspicion, call: Call) -> bool:
    return (suspicion.dependency, suspicion.shape) == (call.dependency, call.shape)


def _count(calls: float) -> str:
    return f"{_amount(calls)} ×"


def _amount(value: float) -> str:
    """A mean count: whole where it is whole."""
    return f"{value:,.0f}" if value >= 10 or abs(value - round(value)) < 0.005 else f"{value:.1f}"
