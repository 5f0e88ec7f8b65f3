"""A Loadpath that tests kill: deploys, says what it does line by line, and stays until told.

Its argument is where it is to be killed: seeding, seeded (in what follows a seed), or the manner of
the service it deploys.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from loadpath.deploy import Deployment, Guard, prepare_data
from loadpath.events import AnyEvent
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload


def say(*words: object) -> None:
    print(*words, flush=True)


def told(event: AnyEvent) -> None:
    say(type(event).__name__, getattr(event, "part", getattr(event, "phase", "")))


def setup(manner: str) -> Setup:
    python = sys.executable
    seeds = {"seeding": "import time; time.sleep(1000)", "seeded": "pass"}
    seed = (python, "-c", seeds[manner]) if manner in seeds else None
    dependencies: tuple[Dependency, ...] = (
        Dependency(name="cache", kind="valkey", env={}),
        Dependency(name="queue", kind="nats", env={}),
    )
    if manner in ("plain", "seeding", "seeded", "workers"):
        database = Dependency(name="database", kind="postgres", env={}, seed=seed)
        dependencies = (database, *dependencies)
    return Setup(
        service=Service(
            name="victim",
            directory=Path(__file__).parent,
            start=(python, "service.py", manner, "{port}"),
            dependencies=dependencies,
            stop_timeout_s=1.0,
        ),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )


async def main(manner: str) -> None:
    wanted = setup(manner)
    async with Guard() as guard:
        folder = guard.make_folder()
        say("GUARD", guard.pid)
        snapshot = await prepare_data(wanted, guard=guard, emit=told, folder=folder)
        async with Deployment(wanted, snapshot=snapshot, guard=guard, emit=told) as deployment:
            say("RUNNING", json.dumps(deployment.parts()))
            await asyncio.to_thread(sys.stdin.readline)
            deployment.raise_if_died()
        say("STOPPED")


asyncio.run(main(sys.argv[1]))
