"""A recording of the wires, beside the measurement of the knee: taps cost, so it is an arm apart.

Each operation is visited alone, then the mix is driven at a modest rate. No figure of capacity, CPU
or response time under load comes from it.
"""

from __future__ import annotations

import time

from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.experiment.arm import open_arm
from loadpath.experiment.knee import mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import describe, load_at
from loadpath.experiment.session import Session
from loadpath.experiment.visits import IDLE_S, PAUSE_S, TAIL_S, VISITS
from loadpath.spec import Setup

NAME = "traced"
"""What the recording is called."""

RATE_MAX_PER_S = 300.0
KNEE_SHARE = 0.5
"""Today's load, but never more than this rate or this share of the knee: a tap's CPU comes out of
the cores that the service runs on."""

REPLY_S = 0.03
"""What a visit takes beside its pause, about."""


def estimate_s(setup: Setup, duration_s: float, start_s: float) -> float:
    """About how long it takes; 0 for a service without dependencies, which has no wires."""
    if not setup.service.dependencies:
        return 0.0
    each_s = (VISITS + 1) * REPLY_S + VISITS * PAUSE_S + TAIL_S
    return start_s + IDLE_S + each_s * len(setup.workload.operations) + duration_s


async def read_wires(
    session: Session, setup: Setup, *, duration_s: float, knee_scale: float, own_rate_per_s: float
) -> None:
    """Record load paths and how connections are used; a service that does not run behind taps is
    said to be so, and ends nothing."""
    arrivals = setup.workload.arrivals
    scale = min(1.0, KNEE_SHARE * knee_scale, RATE_MAX_PER_S / own_rate_per_s)
    with phase(session.emit, "what requests wait for", estimate_s(setup, duration_s, 1.0)) as now:
        try:
            async with open_arm(session, setup, NAME, tapped=True, digest_replies=True) as arm:
                await arm.probe()
                await arm.drive(
                    NAME,
                    load_at(arrivals, scale),
                    duration_s=duration_s,
                    weights=mix_of(setup.workload),
                )
            now.result = f"wires read at {describe(arrivals, scale)}"
        except LoadpathError as error:
            now.result = "not known"
            session.emit(Warned(at_s=time.time(), message=f"the wires were not read: {error}"))
