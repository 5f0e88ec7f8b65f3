"""A service with two nested pools on shared cores, in SimPy: another mechanism for the same words.

Threads of the host slice their work: whenever the number of busy ones changes, each is interrupted,
notes how far it came, and goes on at the new speed.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import simpy

Steps = Generator[simpy.Event, Any, None]


class Host:
    """Cores that busy threads share: n of them run at min(1, cores / n) each."""

    def __init__(self, env: simpy.Environment, cores: float) -> None:
        self.env = env
        self.cores = cores
        self.busy: set[simpy.Process] = set()

    def run(self, work_s: float) -> Steps:
        """Spend that much CPU time."""
        me = self.env.process(self._slices(work_s))
        self.busy.add(me)
        self._tell(me)
        yield me
        self.busy.discard(me)
        self._tell(me)

    def _slices(self, work_s: float) -> Steps:
        left_s = work_s
        while left_s > 1e-12:
            speed = min(1.0, self.cores / max(1, len(self.busy)))
            began = self.env.now
            try:
                yield self.env.timeout(left_s / speed)
                return
            except simpy.Interrupt:
                left_s -= (self.env.now - began) * speed

    def _tell(self, me: simpy.Process) -> None:
        for other in self.busy:
            if other is not me and other.is_alive:
                other.interrupt()


def two_pools(rate_per_s: float, requests: int, warm: int, seed: int) -> list[float]:
    """Response times (s) of `models.NESTED` after the first `warm`."""
    draws = random.Random(seed)
    env = simpy.Environment()
    host = Host(env, 2)
    slots, connections = simpy.Resource(env, 40), simpy.Resource(env, 5)
    app, database = simpy.Resource(env, 1), simpy.Resource(env, 5)
    times_s: list[float] = []

    def serve(threads: simpy.Resource, mean_s: float) -> Steps:
        with threads.request() as turn:
            yield turn
            yield from host.run(draws.expovariate(1 / mean_s))

    def visit(number: int) -> Steps:
        began = env.now
        with slots.request() as slot:
            yield slot
            yield from serve(app, 0.0001)
            with connections.request() as connection:
                yield connection
                yield from serve(database, 0.0002)
                yield env.timeout(0.0005)
            yield from serve(app, 0.0001)
        if number >= warm:
            times_s.append(env.now - began)

    def arrive() -> Steps:
        for number in range(warm + requests):
            yield env.timeout(draws.expovariate(rate_per_s))
            env.process(visit(number))

    env.process(arrive())
    env.run()
    return times_s
