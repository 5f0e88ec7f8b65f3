"""The course of a statement's work as the data grows along one axis, folded from its runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from loadpath.answer import Interval
from loadpath.statements.exponent import FLOOR_PAGES, FLOOR_ROWS, Growing, exponent, growing
from loadpath.statements.record import AtSize, Axis, Ran, StatementRecord


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the sets of parameters, each as often as it was asked for. `times` 1 is today."""

    times: int
    buffers: float
    rows: float
    time_s: float
    plan: str


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """`pages` and `rows` are exponents; `plans` differ where the plan changed on the way.

    `scanned` is the exponent of the rows that its scans gave, and `by_set` the pages of each set of
    parameters by size (None: not known).
    """

    axis: Axis
    points: tuple[Point, ...]
    pages: Interval | None
    rows: Interval | None
    scanned: Interval | None
    by_set: dict[int, tuple[float | None, ...]]

    @property
    def growing(self) -> Growing | None:
        """The class of its growth; None: not known."""
        return None if self.pages is None else growing(self.pages.value)

    @property
    def first(self) -> Point:
        """As it is today."""
        return self.points[0]

    @property
    def last(self) -> Point:
        """At the largest size."""
        return self.points[-1]

    @property
    def plan_changed(self) -> bool:
        """Whether the plan is not the same at each size."""
        return len({point.plan for point in self.points}) > 1


def sizes_along(record: StatementRecord, axis: Axis) -> dict[int, AtSize]:
    """The sizes of an axis at which it ran, by how many times today's, today's included."""
    found = {
        1 if each.size is None else each.size.times: each
        for each in record.at
        if each.size is None or each.size.axis == axis
    }
    return {times: found[times] for times in sorted(found)}


def course(record: StatementRecord, axis: Axis) -> Course | None:
    """Its course along an axis; None when it did not run at two sizes."""
    at = sizes_along(record, axis)
    weights = record.counts
    points = tuple(point for times, each in at.items() if (point := _point(times, each, weights)))
    if len(points) < 2 or points[0].times != 1:
        return None
    table = {point.times: at[point.times] for point in points}
    return Course(
        axis=axis,
        points=points,
        pages=exponent(_values(table, lambda r: r.buffers), weights, floor=FLOOR_PAGES),
        rows=exponent(_values(table, lambda r: r.rows), weights, floor=FLOOR_ROWS),
        scanned=exponent(
            _values(table, lambda r: sum(s.rows for s in r.scans)), weights, floor=FLOOR_ROWS
        ),
        by_set={
            times: tuple(None if run is None else run.buffers for run in each.runs)
            for times, each in table.items()
        },
    )


def worst(record: StatementRecord) -> Course | None:
    """Its course along the axis on which it grows most."""
    axes: tuple[Axis, ...] = ("users", "history")
    found = [each for axis in axes if (each := course(record, axis)) and each.pages]
    # Where both grow alike, more users is what people ask about.
    return max(
        found, key=lambda each: round(each.pages.value, 1) if each.pages else 0, default=None
    )


def runs_of(at: AtSize) -> list[Ran]:
    """Those of its runs that came about."""
    return [run for run in at.runs if run is not None]


def mean_of(at: AtSize, weights: tuple[int, ...], value: Callable[[Ran], float]) -> float:
    """A figure's mean over the sets, each as often as it was asked for; nan when none ran."""
    known = [(value(run), weights[i]) for i, run in enumerate(at.runs) if run is not None]
    if not known:
        return math.nan
    return float(np.average([v for v, _ in known], weights=[w for _, w in known]))


def _point(times: int, at: AtSize, weights: tuple[int, ...]) -> Point | None:
    runs = runs_of(at)
    if not runs:
        return None
    dearest = max(runs, key=lambda run: run.buffers)
    return Point(
        times=times,
        buffers=mean_of(at, weights, lambda r: r.buffers),
        rows=mean_of(at, weights, lambda r: r.rows),
        time_s=mean_of(at, weights, lambda r: r.time_s),
        plan=dearest.plan,
    )


def _values(at: dict[int, AtSize], value: Callable[[Ran], float]) -> dict[int, list[float]]:
    return {
        times: [math.nan if run is None else value(run) for run in each.runs]
        for times, each in at.items()
    }
