"""The setup: everything that one recording is made of, frozen."""

from __future__ import annotations

import msgspec

from loadpath.spec.growth import Growth
from loadpath.spec.keeping import KeepRule
from loadpath.spec.service import Service
from loadpath.spec.workload import Workload


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A service, the load on it, and every choice that a change may alter.

    `workers` overrides the service's own number; `knobs` maps knob names to values (those not named
    stand at their default). `cores` is how many of the host's the service and what Loadpath starts
    for it may run on (None: all); the load engine keeps all of them. `delays` maps a dependency to
    how many seconds later than it sends them its replies reach the service: a relay stands before
    each one named, also where that is 0. `kept`: a cache stands before the service and keeps what
    these rules say (without any it passes everything on); None: there is none. `seed` fixes the
    schedule, the keys and the flows' random numbers.
    `allow_hosts` are hosts besides this machine that may be driven; `allow_writes` permits prepare,
    seed and writing operations against a dependency given by URL. `growth` is what the user says of
    how the data grow.
    """

    service: Service
    workload: Workload
    workers: int | None = None
    knobs: dict[str, str] = {}
    cores: int | None = None
    delays: dict[str, float] = {}
    kept: tuple[KeepRule, ...] | None = None
    seed: int = 1
    allow_hosts: tuple[str, ...] = ()
    allow_writes: bool = False
    growth: Growth = Growth()

    @property
    def worker_count(self) -> int:
        """How many workers the service is started with."""
        return self.service.workers if self.workers is None else self.workers

    def knob_value(self, name: str) -> str:
        """Where that knob stands. Raises `KeyError` for one that the service does not have."""
        default = {knob.name: knob.default for knob in self.service.knobs}[name]
        return self.knobs.get(name, default)

    def knob_env(self) -> dict[str, str]:
        """Environment variables that put every knob at its value."""
        return {knob.env: self.knob_value(knob.name) for knob in self.service.knobs}
