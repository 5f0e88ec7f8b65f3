"""A Loadpath that tests interrupt or kill while faults are on: says what it did and stays so."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from loadpath.deploy import Deployment, Guard
from loadpath.faults import Stage, check, inject, parse_fault
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload
from loadpath.tap import Taps

EARLY, HEALING, PREPARING = (word in sys.argv for word in ("early", "healing", "preparing"))
PLAIN = EARLY or HEALING or PREPARING
FAULTS = (
    ("service stopped",)
    if EARLY
    else ("service stopped", "cache killed")
    if HEALING
    else ("queue disk full",)
    if PREPARING
    else (
        "service stopped",
        "cache memory full",
        "cache stopped",
        "cache refused",
        "database slow 30s on SELECT",
        "database locked pg_class rows relname = 'pg_class'",
        *(["database disk full"] if os.geteuid() == 0 else []),
        "database drop ack of INSERT",
        "database stopped",
    )
)


def say(*words: object) -> None:
    print(*words, flush=True)


async def main() -> None:
    setup = Setup(
        service=Service(
            name="victim",
            directory=Path(__file__).parents[1] / "deploy" / "services",
            start=(sys.executable, "service.py", "workers", "{port}"),
            dependencies=(
                *(() if PLAIN else (Dependency(name="database", kind="postgres", env={}),)),
                *((Dependency(name="queue", kind="nats", env={}),) if PREPARING else ()),
                Dependency(name="cache", kind="valkey", env={}),
            ),
            stop_timeout_s=1.0,
        ),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )
    kinds = {d.name: d.kind for d in setup.service.dependencies}
    async with (
        Guard() as guard,
        Taps(kinds, spawn=guard.spawn) as taps,
        Deployment(setup, guard=guard, wrap=taps.wrap) as deployment,
    ):
        stage = Stage(deployment, guard=guard, taps=taps)
        try:
            async with AsyncExitStack() as stack:
                for text in FAULTS:
                    fault = check(parse_fault(text), setup, tapped=True, root=True)
                    injection = await stack.enter_async_context(inject(fault, stage))
                    say("FAULT", text)
                say("ALL")
                while HEALING:
                    await injection.fault.heal(injection)
                    await injection.fault.onset(injection)
                await asyncio.sleep(3600)
        finally:
            states = {entry.pid for part in kinds for entry in stage.processes(part)}
            stopped = [
                pid
                for pid in states
                if Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2][1] == "T"
            ]
            say("STOPPED", len(stopped))


asyncio.run(main())
