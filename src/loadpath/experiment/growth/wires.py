"""What crosses the wires of a service: statements with their parameters, and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loadpath.experiment.arm import Arm
from loadpath.experiment.growth.keys import look_at_keys
from loadpath.experiment.knee import mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe, load_at
from loadpath.experiment.session import Session
from loadpath.experiment.traced import RATE_MAX_PER_S
from loadpath.recording import SegmentRecord
from loadpath.spec import OpenArrivals
from loadpath.statements.record import CacheRecord, GrowthRecord
from loadpath.tap.statements import KeptStatement

PURPOSE = "growth"


class Crossed(msgspec.Struct, frozen=True, kw_only=True):
    """Statements, each with some of what it was run with; `rates_per_s` by tap and shape, at the
    workload's own rate; and the segment that was driven, at `scale` times that."""

    statements: tuple[KeptStatement, ...]
    rates_per_s: Mapping[tuple[str, str], float]
    segment: SegmentRecord
    scale: float


async def read_statements(session: Session, arm: Arm, duration_s: float) -> Crossed:
    """Visit each operation alone, then drive the mix for a moment, with the wires read."""
    taps = arm.taps
    assert taps is not None, "this arm is tapped"
    arrivals = arm.setup.workload.arrivals
    own_per_s = arrivals.rate_per_s if isinstance(arrivals, OpenArrivals) else RATE_MAX_PER_S
    scale = min(1.0, RATE_MAX_PER_S / own_per_s)
    with phase(session.emit, "statements and their parameters", duration_s) as now:
        await arm.probe()
        visited = await taps.statements()
        segment = await arm.drive(
            PURPOSE,
            load_at(arrivals, scale),
            duration_s=duration_s,
            weights=mix_of(arm.setup.workload),
        )
        driven = await taps.statements()
        statements = merge(driven, visited)
        now.result = f"{len(statements)} statements seen at {describe(arrivals, scale)}"
    lasted_s = max(segment.ended_s - segment.started_s, 1e-9)
    rates = {(each.tap, each.shape): each.calls / lasted_s / scale for each in driven}
    return Crossed(statements=statements, rates_per_s=rates, segment=segment, scale=scale)


def merge(
    driven: Sequence[KeptStatement], visited: Sequence[KeptStatement]
) -> tuple[KeptStatement, ...]:
    """Those of the load, with what only visits have seen behind them."""
    known = {(each.tap, each.shape) for each in driven}
    return (*driven, *(each for each in visited if (each.tap, each.shape) not in known))


async def caches_of(arm: Arm, crossed: Crossed) -> list[CacheRecord]:
    """What lies in each Valkey or Redis now."""
    return [
        await look_at_keys(running, name, arm.recording(), crossed.segment, crossed.scale)
        for name, running in arm.deployment.dependencies.items()
        if running.kind == "valkey"
    ]


def with_users(caches: Sequence[CacheRecord], record: GrowthRecord) -> tuple[CacheRecord, ...]:
    """The same with how many users there are: the rows of the tables that hold them."""
    users = sum(
        int(database.rows.get(told.partition(":")[0], 0))
        for database in record.databases
        for told in database.told
        if ": with users, the root" in told
    )
    return tuple(msgspec.structs.replace(each, users=users) for each in caches)
