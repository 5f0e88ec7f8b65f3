"""Faults of processes: what they need, how a part comes back, and the proof that all of them have.

Whoever killed a dependency starts it again when the fault heals: where it was and on the data that
it left. A service is started again by itself after `RESTART_AFTER_S`, as its supervisor would.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from typing import TYPE_CHECKING, ClassVar

from loadpath.deploy.address import Address
from loadpath.deploy.kinds import KINDS
from loadpath.deploy.probe import connects
from loadpath.faults.fault import Fault, Hits, Layer, Needs
from loadpath.faults.strikes import death_hits
from loadpath.tap import SERVICE

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection
    from loadpath.faults.stage import Stage

RESTART_AFTER_S = 1.0
"""How long a supervisor takes to notice and to begin: systemd's RestartSec is 0.1 s, most wait a
second before the first time."""

LOOK_S = 0.01
"""How often it is looked whether it takes connections: a refused one costs little."""


class ProcessFault(Fault, frozen=True, kw_only=True):
    """Base of those whose proof is the death of what was signaled."""

    LAYER: ClassVar[Layer] = "process"
    NEEDS: ClassVar[Needs] = Needs(
        kinds=frozenset(("postgres", "valkey", "nats")), service=True, started=True
    )

    async def hits(self, injection: Injection) -> Hits:
        return await death_hits(injection)


def stop_signal(stage: Stage, target: str) -> int:
    """What asks it to end in order: SIGTERM, and SIGINT for PostgreSQL, whose SIGTERM waits for
    clients that a pool never lets go (its official image is stopped by SIGINT as well)."""
    if target == SERVICE:
        return signal.SIGTERM
    return KINDS[stage.running(target).kind].clean_stop_signal


def supervise(injection: Injection) -> None:
    """Have a service that was ended started again after a while; heal waits for it."""
    if injection.fault.target == SERVICE:
        injection.restart = injection.meanwhile(_restart(injection, RESTART_AFTER_S))


async def bring_back(injection: Injection) -> None:
    """Wait for the supervisor of the service, or start the dependency again."""
    if injection.restart is not None:
        await injection.restart
    else:
        await start_again(injection)
    await injection.clean_up()


async def start_again(injection: Injection) -> None:
    """Start the target again. Of a service it is noted when it takes connections: callers are
    refused until then, and from then on they wait until it serves."""
    deployment, target = injection.stage.deployment, injection.fault.target
    if target != SERVICE:
        await deployment.start_again(target)
        return
    watching = asyncio.create_task(_watch(injection, deployment.address))
    try:
        await deployment.start_again(target)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(injection: Injection, address: Address) -> None:
    """Note since when it takes connections without a break: the one that ends may, too, until it
    is gone."""
    while True:
        if await connects(address) is not None:
            injection.accepts_s = math.nan
        elif math.isnan(injection.accepts_s):
            injection.accepts_s = time.monotonic()
        await asyncio.sleep(LOOK_S)


async def _restart(injection: Injection, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await start_again(injection)
