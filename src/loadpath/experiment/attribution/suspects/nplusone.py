"""N+1: a read that is made once for each row that an earlier one returned."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from loadpath.experiment.attribution.crossings import CallKey, Visit
from loadpath.experiment.attribution.short import short_shape
from loadpath.experiment.attribution.suspicion import Suspicion

CALLS_MIN = 3
"""Fewer calls of one shape in a request are common in code that nobody would change."""


class _Counts(msgspec.Struct):
    """Per visit: calls of the shape, and rows that each earlier shape had returned before them."""

    calls: list[int]
    rows_before: dict[CallKey, list[int]]


def n_plus_one(visits: Sequence[Visit]) -> list[Suspicion]:
    """One suspicion per shape whose calls follow the rows of an earlier shape.

    Certain when the count moved with the rows over probes that returned different numbers of them;
    suspected when every probe returned as many rows as calls were made, but always the same number.
    """
    found = []
    for key in _candidates(visits):
        counts = _counts(key, visits)
        verdict = _judged(counts)
        if verdict is None:
            continue
        parent, certain = verdict
        few, many = min(counts.calls), max(counts.calls)
        said = f"{few} to {many} calls a request" if few != many else f"{many} calls a request"
        said += f", one for each row of {_short(parent)}"
        found.append(
            Suspicion(
                kind="n_plus_one",
                dependency=key[0],
                shape=key[2],
                said=said,
                advice="Fetch them together: a join, WHERE … = ANY($1), MGET, or the ORM's eager "
                "loading.",
                certain=certain,
            )
        )
    return found


def _candidates(visits: Sequence[Visit]) -> list[CallKey]:
    """Reads that some visit makes several times with different parameters."""
    keys: dict[CallKey, None] = {}
    for visit in visits:
        parameters: dict[CallKey, set[int]] = {}
        calls: dict[CallKey, int] = {}
        for each in visit.crossings:
            if each.reads and not each.pushed:
                parameters.setdefault(each.key, set()).add(each.parameters)
                calls[each.key] = calls.get(each.key, 0) + 1
        for key, count in calls.items():
            if count >= CALLS_MIN and len(parameters[key]) >= CALLS_MIN:
                keys[key] = None
    return list(keys)


def _counts(key: CallKey, visits: Sequence[Visit]) -> _Counts:
    counts = _Counts([], {})
    for visit in visits:
        of_key = [c for c in visit.crossings if c.key == key]
        counts.calls.append(len(of_key))
        first_s = min((c.began_s for c in of_key), default=visit.ended_s)
        rows: dict[CallKey, int] = {}
        for each in visit.crossings:
            if each.key != key and each.rows is not None and each.ended_s <= first_s:
                rows[each.key] = rows.get(each.key, 0) + each.rows
        for parent in rows.keys() | counts.rows_before.keys():
            column = counts.rows_before.setdefault(parent, [0] * (len(counts.calls) - 1))
            column.append(rows.get(parent, 0))
    return counts


def _judged(counts: _Counts) -> tuple[CallKey, bool] | None:
    """The shape whose rows the calls follow, and whether that is certain."""
    suspected = None
    for parent, rows in sorted(counts.rows_before.items()):
        if any(calls > n for calls, n in zip(counts.calls, rows, strict=True)):
            continue  # more calls than rows: they are made for something else
        if len(set(rows)) > 1 and _follows(counts.calls, rows):
            return parent, True
        if counts.calls == rows:
            suspected = parent, False
    return suspected


def _follows(calls: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether more rows always went with more calls, and never with fewer.

    Fewer calls than rows are allowed: an ORM asks once for each distinct key among them.
    """
    pairs = sorted(zip(rows, calls, strict=True))
    steps = [
        (more_rows - fewer_rows, more_calls - fewer_calls)
        for (fewer_rows, fewer_calls), (more_rows, more_calls) in itertools.pairwise(pairs)
    ]
    return all(d_calls > 0 for d_rows, d_calls in steps if d_rows > 0)


def _short(key: CallKey, limit: int = 60) -> str:
    return short_shape(key[2] or key[1], limit)
