"""Record what a model is fitted from, and no more: the recordings `mix` and `traced`.

It is what `bottleneck` collects before it tries relief, without each operation's own knee: CPU at
rates up to the knee of the mix, CPU of each operation, and what crosses the wires.
"""

from __future__ import annotations

import msgspec

from loadpath.drive import ClosedLoad
from loadpath.experiment import traced
from loadpath.experiment.arm import Arm, open_arm
from loadpath.experiment.depth import LEVELS, QUICK, Depth
from loadpath.experiment.mixload import (
    SETTLE_S,
    drive_mix_demand,
    drive_mix_knee,
    drive_today,
    own_rate_per_s,
    settle,
)
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.spec import Operation, Setup

FOR_MODEL: Depth = msgspec.structs.replace(
    QUICK, baseline_s=6.0, ramp_growth_per_s=1.2, ramp_s=25.0, hold_s=3.5, holds=6
)
"""Short, since a fit weighs all of it together and no single hold has to decide anything."""

ALONE = (1, 4)
"""Users who ask for one operation without a pause: few, so that even the dearest is not overrun."""


def estimate_s(setup: Setup, depth: Depth = FOR_MODEL) -> float:
    """About how long it takes, in seconds."""
    start_s = 2.0 + 6.0 * len(setup.service.dependencies)
    operations = setup.workload.operations
    tilts = sum(not operation.alone and operation.weight > 0 for operation in operations)
    mix_s = depth.warmup_s + depth.baseline_s + 0.6 * depth.ramp_s
    mix_s += depth.holds * (depth.hold_s + SETTLE_S / 2)
    demand_s = (len(LEVELS) * (1 + tilts) + len(ALONE) * len(_alone(setup))) * depth.demand_s
    return start_s + mix_s + demand_s + traced.estimate_s(setup, depth.traced_s, start_s / 2)


async def record_for_model(session: Session, setup: Setup, depth: Depth = FOR_MODEL) -> None:
    """Record into the session's run; `observations_of` reads it.

    Raises `InconclusiveError` when an operation only fails.
    """
    async with open_arm(session, setup, "mix") as arm:
        met = await drive_today(arm, depth, session.emit)
        knee_scale = await drive_mix_knee(arm, depth, session, met_today=met is not False)
        own_per_s = own_rate_per_s(arm)
        await drive_mix_demand(arm, depth, session, knee_scale, own_per_s)
        await _each_alone(arm, depth, session)
    if setup.service.dependencies:
        await traced.read_wires(
            session,
            setup,
            duration_s=depth.traced_s,
            knee_scale=knee_scale,
            own_rate_per_s=own_per_s,
        )


def _alone(setup: Setup) -> list[Operation]:
    """Operations that can be driven by themselves; an only one is the mix already."""
    driven = [o for o in setup.workload.operations if o.weight > 0]
    return [o for o in driven if o.alone] if len(driven) > 1 else []


async def _each_alone(arm: Arm, depth: Depth, session: Session) -> None:
    operations = _alone(arm.setup)
    estimate_s = len(operations) * len(ALONE) * depth.demand_s
    with phase(session.emit, "CPU of each operation", estimate_s):
        for operation in operations:
            for users in ALONE:
                await arm.drive(
                    "operation-demand",
                    ClosedLoad(users=users, think_time_s=0.0),
                    duration_s=depth.demand_s,
                    weights={operation.name: 1.0},
                    label=operation.name,
                )
            await settle(arm)
