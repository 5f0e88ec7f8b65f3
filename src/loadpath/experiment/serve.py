"""Just run the service on its dependencies, until told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from loadpath.deploy import Deployment, Guard, prepare_data
from loadpath.deploy.address import port_is_free
from loadpath.deploy.kept import Kept
from loadpath.events import EventSink, Warned
from loadpath.experiment.session import open_scratch
from loadpath.spec import Setup

_LOOK_S = 0.2


async def serve(
    setup: Setup,
    emit: EventSink,
    on_ready: Callable[[Deployment], Callable[[], None]],
    *,
    keep: Path | None = None,
) -> None:
    """Deploy `setup`, call `on_ready` once it answers, and what that returns every 0.2 s.

    With `keep` the data of embedded dependencies lives in that folder: prepared and seeded the
    first time, found again later, never removed. Ends by cancellation, or raises
    `WouldNotRunError` when the service or a dependency ends, `ConfigurationError` when the folder
    is of no use.
    """
    with nullcontext() if keep is None else Kept.open(keep, setup) as kept:
        async with open_scratch() as (guard, scratch):
            if kept is None:
                snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=scratch)
                deployment = Deployment(setup, snapshot=snapshot, guard=guard, emit=emit)
            else:
                deployment = await _on_kept(setup, kept, guard=guard, scratch=scratch, emit=emit)
            async with deployment:
                if kept is not None:
                    _note_ports(kept, deployment, emit)
                look = on_ready(deployment)
                try:
                    while True:
                        deployment.raise_if_died()
                        look()
                        await asyncio.sleep(_LOOK_S)
                finally:
                    look()


async def _on_kept(
    setup: Setup, kept: Kept, *, guard: Guard, scratch: Path, emit: EventSink
) -> Deployment:
    """The deployment on kept data, which is made when there is none."""
    if kept.is_new:
        # Made elsewhere and copied: a seed that fails, or is killed, leaves nothing in the folder.
        snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=scratch, always=True)
        filling = asyncio.ensure_future(kept.fill(snapshot))
        try:
            await asyncio.shield(filling)
        except asyncio.CancelledError:
            # Ctrl-C waits for the copy: given up half way, the folder would be of no use.
            await filling
            raise
        await guard.remove_now(scratch)
    elif kept.is_outdated:
        emit(
            Warned(
                at_s=time.time(),
                message=f"prepare or seed have changed since they made the data in {kept.folder}: "
                "they were not run again.",
                advice="Run them yourself at the addresses below, or keep the data in another "
                "folder.",
            )
        )
    port = kept.service_port
    return Deployment(
        setup,
        kept=kept,
        guard=guard,
        emit=emit,
        port=port if port and port_is_free(port) else None,
    )


def _note_ports(kept: Kept, deployment: Deployment, emit: EventSink) -> None:
    """Keep the ports for the next time; tell of those that are not what they were."""
    now = {name: running.port for name, running in deployment.dependencies.items()}
    for name, port in kept.note_ports(now, deployment.address.port).items():
        emit(
            Warned(
                at_s=time.time(),
                message=f"{name} had port {port} before, which another program has now: its "
                "address is new.",
            )
        )
