"""The load of a crash run: the workload's own, with looks at what was acknowledged and with enough
writes that their fate says something. Pure but for reading the workload's file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loadpath.experiment.crash.flows import FlowFacts
from loadpath.flow import HoldMark
from loadpath.spec import OpenArrivals, Operation, Setup, load_flows

READS_SHARE = 0.02
"""Looks at what was acknowledged, of each kind, as a share of the mix."""

WRITES_PER_S = 40.0
WRITES_SHARE = 0.25
"""Writes that are followed are raised to so many a second, but to no more than so much of what the
workload itself asks for."""


def reading_back(setup: Setup) -> Setup:
    """The setup with a few looks, under load, at what was acknowledged."""
    workload = setup.workload
    if workload.flows is None:
        return setup
    kinds = [m.kind for m, _ in load_flows(workload.flows) if isinstance(m, HoldMark)]
    total = sum(operation.weight for operation in workload.operations)
    added = tuple(
        Operation(
            name=f"read back {kind}",
            weight=READS_SHARE * total / len(kinds),
            alone=False,
            reads_back=kind,
        )
        for kind in kinds
    )
    return _with(setup, (*workload.operations, *added))


def with_more_writes(setup: Setup, facts: Mapping[str, FlowFacts]) -> Setup:
    """The setup with more of the writes that are followed, on top of all the rest.

    The same setup where there are enough, where none are announced, or where users wait for each
    other's replies: more of one operation would mean fewer of the others.
    """
    workload = setup.workload
    arrivals = workload.arrivals
    total = sum(operation.weight for operation in workload.operations)
    writes = sum(o.weight for o in workload.operations if facts.get(o.name, FlowFacts()).announces)
    if not isinstance(arrivals, OpenArrivals) or not writes or not total:
        return setup
    rate_per_s = arrivals.rate_per_s * writes / total
    wanted_per_s = min(WRITES_PER_S, WRITES_SHARE * arrivals.rate_per_s)
    if rate_per_s >= wanted_per_s:
        return setup
    times = wanted_per_s / rate_per_s
    operations = tuple(
        msgspec.structs.replace(o, weight=o.weight * times)
        if facts.get(o.name, FlowFacts()).announces
        else o
        for o in workload.operations
    )
    more = msgspec.structs.replace(
        arrivals, rate_per_s=arrivals.rate_per_s - rate_per_s + wanted_per_s
    )
    setup = _with(setup, operations)
    return msgspec.structs.replace(
        setup, workload=msgspec.structs.replace(setup.workload, arrivals=more)
    )


def _with(setup: Setup, operations: tuple[Operation, ...]) -> Setup:
    return msgspec.structs.replace(
        setup, workload=msgspec.structs.replace(setup.workload, operations=operations)
    )
