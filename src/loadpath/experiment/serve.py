"""Just run the service on its dependencies, until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loadpath.deploy import Deployment, prepare_data
from loadpath.events import EventSink
from loadpath.experiment.session import open_scratch
from loadpath.spec import Setup


async def serve(setup: Setup, emit: EventSink, on_ready: Callable[[Deployment], None]) -> None:
    """Deploy `setup`, call `on_ready` once it answers, and wait for ever.

    Ends by cancellation, or raises `WouldNotRunError` when the service or a dependency ends.
    """
    async with open_scratch() as (guard, scratch):
        snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=scratch)
        async with Deployment(setup, snapshot=snapshot, guard=guard, emit=emit) as deployment:
            on_ready(deployment)
            while True:
                deployment.raise_if_died()
                await asyncio.sleep(0.5)
