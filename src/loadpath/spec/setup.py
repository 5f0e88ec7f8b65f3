"""The setup: everything that one recording is made of, frozen."""

from __future__ import annotations

import msgspec

from loadpath.spec.service import Service
from loadpath.spec.workload import Workload


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A service, the load on it, and every choice that a change may alter.

    `workers` overrides the service's own number; `knobs` maps knob names to values (those not named
    stand at their default). `seed` fixes the schedule, the keys and the flows' random numbers.
    `allow_hosts` are hosts besides this machine that may be driven; `allow_writes` permits prepare,
    seed and writing operations against a dependency given by URL.
    """

    service: Service
    workload: Workload
    workers: int | None = None
    knobs: dict[str, str] = {}
    seed: int = 1
    allow_hosts: tuple[str, ...] = ()
    allow_writes: bool = False

    @property
    def worker_count(self) -> int:
        """How many workers the service is started with."""
        return self.service.workers if self.workers is None else self.workers

    def knob_env(self) -> dict[str, str]:
        """Environment variables that put every knob at its value."""
        return {k.env: self.knobs.get(k.name, k.default) for k in self.service.knobs}
