"""Objectives: the workload's own, and an operation's over it."""

from __future__ import annotations

from loadpath.spec import quantities
from loadpath.spec.document import ObjectiveTable
from loadpath.spec.objective import Objective, QuantileLimit

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def build_objective(table: ObjectiveTable | None) -> tuple[Objective, tuple[str, ...]]:
    """The workload's objective, and a sentence for each part of it that had to be assumed."""
    default = Objective()
    table = table or ObjectiveTable()
    limits = _limits(table)
    assumed = []
    if not limits:
        limits = {x.quantile: x.limit_s for x in default.quantiles}
        said = ", ".join(f"p{q * 100:g} ≤ {s * 1000:g} ms" for q, s in limits.items())
        assumed.append(f"no response time objective is given: {said} is assumed")
    if table.errors is None:
        errors = default.errors_ratio
        assumed.append(f"no objective for errors is given: ≤ {errors:.1%} is assumed")
    else:
        errors = quantities.ratio(table.errors)
    # What may be stale is asked by one question only, which says what it took for granted.
    return Objective(_ordered(limits), errors, _stale(default, table)), tuple(assumed)


def merge_objective(base: Objective, table: ObjectiveTable | None) -> Objective | None:
    """An operation's own objective over the workload's; None when it has none of its own."""
    if table is None:
        return None
    limits = {x.quantile: x.limit_s for x in base.quantiles} | _limits(table)
    errors = base.errors_ratio if table.errors is None else quantities.ratio(table.errors)
    return Objective(_ordered(limits), errors, _stale(base, table))


def _stale(base: Objective, table: ObjectiveTable) -> float:
    if table.staleness is None:
        return base.staleness_ratio
    return quantities.ratio(table.staleness)


def _limits(table: ObjectiveTable) -> dict[float, float]:
    return {
        quantile: quantities.duration_s(text)
        for name, quantile in QUANTILES.items()
        if (text := getattr(table, name)) is not None
    }


def _ordered(limits: dict[float, float]) -> tuple[QuantileLimit, ...]:
    return tuple(QuantileLimit(q, limits[q]) for q in sorted(limits))
