"""A fault with those it comes after: begun in order, each when it is due, and healed together."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from loadpath.errors import LoadpathError
from loadpath.faults import Fault, Hits, Injection, Stage, is_due, parse_fault

LOOK_S = 0.02
DUE_MAX_S = 10.0
"""So long it is waited for what a fault comes after to hit something, or for the load it wants."""


def chain_of(fault: Fault) -> list[Fault]:
    """The fault and all that it comes after, what begins first at first."""
    chain = [fault]
    while (after := chain[0].trigger.after) is not None:
        chain.insert(0, parse_fault(after))
    return chain


class Cascade:
    """Faults of which each begins once the one before has hit something.

    `rate_per_s` tells at which rate requests arrive now. `prepared` is the last one's injection, if
    something of it had to be done before the control run.
    """

    def __init__(
        self,
        fault: Fault,
        stage: Stage,
        rate_per_s: Callable[[], float],
        prepared: Injection | None = None,
    ) -> None:
        chain = chain_of(fault)
        self._injections = [Injection(each, stage) for each in chain[:-1]]
        self._injections.append(prepared or Injection(fault, stage))
        self._rate_per_s = rate_per_s

    @property
    def onset_s(self) -> float:
        """When the first of them began; nan: none did."""
        return self._injections[0].onset_s

    @property
    def healed_s(self) -> float:
        """When the last of them had healed; nan: not all have."""
        ends = [each.healed_s for each in self._injections]
        return math.nan if any(math.isnan(end) for end in ends) else max(ends)

    @property
    def accepts_s(self) -> float:
        """When a service that the last of them ended took connections again; nan: not seen."""
        return self._injections[-1].accepts_s

    async def onset(self, began_s: float) -> None:
        """Begin all of them; `began_s` is when the load began. Raises `LoadpathError`."""
        for number, injection in enumerate(self._injections):
            await self._due(injection.fault, began_s, self._injections[:number])
            await injection.onset()

    async def _due(self, fault: Fault, began_s: float, before: list[Injection]) -> None:
        asked_s = time.monotonic()
        while True:
            have_hit = frozenset([each.fault.name for each in before if (await each.hits()).count])
            now_s = time.monotonic()
            if is_due(
                fault.trigger,
                elapsed_s=now_s - began_s,
                rate_per_s=self._rate_per_s(),
                have_hit=have_hit,
            ):
                return
            if now_s - asked_s > DUE_MAX_S + (fault.trigger.at_s or 0.0):
                raise LoadpathError(f"{fault.name} was not due: {self._wanting(fault, have_hit)}")
            await asyncio.sleep(LOOK_S)

    def _wanting(self, fault: Fault, have_hit: frozenset[str]) -> str:
        if fault.trigger.after is not None and fault.trigger.after not in have_hit:
            return f"{fault.trigger.after} had hit nothing after {DUE_MAX_S:g} s"
        return f"the load stayed at {self._rate_per_s():,.0f} requests a second"

    async def heal(self) -> None:
        """End all of them, the last first. Raises `LoadpathError`."""
        for injection in reversed(self._injections):
            await injection.heal()

    async def hits(self) -> Hits:
        """What the last one has hit, with the proof of each."""
        told = [await injection.hits() for injection in self._injections]
        return Hits(told[-1].count, "; then ".join(each.proof for each in told), told[-1].uncovered)

    async def clean_up(self) -> None:
        """Undo whatever is not undone yet."""
        for injection in reversed(self._injections):
            await injection.clean_up()
