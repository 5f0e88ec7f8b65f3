"""The service driven on today's data, on grown data, and on that with indexes: what users see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadpath.deploy import Snapshot
from loadpath.drive import ClosedLoad
from loadpath.experiment.arm import open_arm
from loadpath.experiment.knee import mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe, load_at
from loadpath.experiment.session import Session
from loadpath.spec import Setup

HOLD_S: Final = 8.0
WARMUP_S: Final = 2.0
SETTLE_S: Final = 1.0
ALONE_S: Final = 2.0


def estimate_s(setup: Setup, arms: int) -> float:
    """About how long it takes, in seconds."""
    start_s = 2 + 3 * len(setup.service.dependencies)
    return arms * (start_s + WARMUP_S + 2 * HOLD_S + SETTLE_S)


async def drive_on(
    session: Session,
    setup: Setup,
    snapshot: Snapshot | None,
    name: str,
    *,
    times: int,
    alone: Sequence[str],
    title: str,
) -> None:
    """Today's load, then `times` as much, on that data; then one user who asks for each of `alone`
    over and over. In a recording of that name."""
    arrivals, mix = setup.workload.arrivals, mix_of(setup.workload)
    with phase(session.emit, title, estimate_s(setup, 1)) as now:
        async with open_arm(session, setup, name, snapshot=snapshot) as arm:
            await arm.drive("warmup", load_at(arrivals, 1.0), duration_s=WARMUP_S, weights=mix)
            for scale in (1, times):
                await arm.drive(
                    "hold",
                    load_at(arrivals, float(scale)),
                    duration_s=HOLD_S,
                    weights=mix,
                    label=f"× {scale}",
                )
            for operation in alone:
                await arm.drive(
                    "alone",
                    ClosedLoad(users=1, think_time_s=0.0),
                    duration_s=ALONE_S,
                    weights={operation: 1.0},
                    label=operation,
                )
        now.result = f"driven at {describe(arrivals, 1.0)} and {describe(arrivals, times)}"
