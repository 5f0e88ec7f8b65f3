"""The system's own mix of requests, driven by Loadpath's engine: how much of it the service can
carry, and a share of that while something else is measured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
from social.testing import on_database

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment
from loadpath.recording.tables import read_requests
from loadpath.spec import load

SYSTEM = Path(__file__).resolve().parents[1]
_USERS = (8, 16, 32)
_POLL_S = 0.02


class Carried(msgspec.Struct, frozen=True):
    """A stretch of load: operations per second asked for and done, and how long requests took."""

    asked_per_s: float
    done_per_s: float
    p50_s: float
    p99_s: float
    errors: int


class Mix:
    """Drives the mix of `loadpath.toml` at a service whose database is at `url`."""

    def __init__(self, engine: Engine, url: str, folder: Path) -> None:
        self._engine = engine
        self._url = url
        self._folder = folder
        self._count = 0

    async def run(self, kind: OpenLoad | ClosedLoad, seconds: float) -> Carried:
        """One stretch of it, until whatever it left to be done later is done too."""
        self._count += 1
        rows_path = self._folder / f"{self._count}.parquet"
        result = await self._engine.run(
            Segment(
                index=self._count,
                purpose="bench",
                load=kind,
                duration_s=seconds,
                requests_path=rows_path,
                drain_s=10.0,
            )
        )
        late = await self._fanned_out()
        rows = read_requests(rows_path)
        took_s = max(result.drained_s, late) - result.started_s
        waits = rows["done_s"] - rows["intended_s"]
        p50, p99 = np.nanquantile(waits, [0.5, 0.99])
        asked = kind.rate_per_s if isinstance(kind, OpenLoad) else float("nan")
        operations = len(np.unique(rows["flow"]))
        return Carried(asked, operations / took_s, float(p50), float(p99), result.errors)

    async def capacity_per_s(self, seconds: float) -> float:
        """Operations per second, the most there are however many users wait for their answers; the
        time until the last fan-out is done counts."""
        most = 0.0
        for users in _USERS:
            carried = await self.run(ClosedLoad(users=users, think_time_s=0), seconds)
            print(f"  {users} users: {carried.done_per_s:,.0f} operations/s", flush=True)
            most = max(most, carried.done_per_s)
        return most

    async def _fanned_out(self) -> float:
        """When nothing was left to be fanned out, on the monotonic clock."""
        while True:
            left = await asyncio.to_thread(
                on_database, self._url, lambda c: c.fetch("SELECT FROM fanout LIMIT 1")
            )
            if not left:
                return time.monotonic()
            await asyncio.sleep(_POLL_S)


@contextlib.asynccontextmanager
async def mix_on(port: int, url: str, folder: Path, accounts: int) -> AsyncIterator[Mix]:
    """An engine, signed in as everybody who acts, most of whom have read the home before it is
    measured; the database was seeded with so many accounts."""
    overrides = [f"workload.keys.account.count={accounts}"]
    workload = load(SYSTEM, environ=os.environ, overrides=overrides).workload
    plan = EnginePlan(host="127.0.0.1", port=port, workload=workload)
    async with Guard() as guard, Engine(plan, spawn=guard.spawn) as engine:
        mix = Mix(engine, url, folder)
        await mix.run(ClosedLoad(users=4, think_time_s=0), 3.0)
        yield mix
