"""Faults that a tap does: an order to it, withdrawn when the fault heals."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Fault, Hits, Needs
from loadpath.tap.orders import ALWAYS, AnyOrder, When

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class TapFault(Fault, frozen=True, kw_only=True):
    """Base of faults that are one order to the tap before the target. `HIT` says what a hit is."""

    NEEDS: ClassVar[Needs] = Needs(tap=True, service=True)
    HIT: ClassVar[str]

    def order(self, when: When) -> AnyOrder:
        """The order, with that `when`."""
        raise NotImplementedError

    async def onset(self, injection: Injection) -> None:
        await give(injection, self.order(when_of(self, injection)))

    async def hits(self, injection: Injection) -> Hits:
        return await order_hits(injection, self.HIT)


async def give(injection: Injection, order: AnyOrder) -> None:
    """Give the tap of the fault's target an order that is withdrawn when it heals."""
    taps = injection.stage.taps
    number = await taps.order(injection.fault.target, order)
    injection.orders.append(number)

    async def withdraw() -> None:
        injection.states[number] = await taps.withdraw(number)

    injection.undo("withdraw the order to the tap", withdraw)


async def order_hits(injection: Injection, noun: str) -> Hits:
    """What the orders of an injection have hit."""
    count, seen = 0, 0
    uncovered: dict[str, int] = {}
    for number in injection.orders:
        state = injection.states.get(number) or await injection.stage.taps.order_state(number)
        count += state.hits
        seen += state.seen
        for reason, many in state.uncovered.items():
            uncovered[reason] = uncovered.get(reason, 0) + many
    of = f" of {seen}" if seen > count else ""
    proof = f"the tap of {injection.fault.target} counted {count}{of} {noun}"
    return Hits(count, proof, uncovered)


def when_of(fault: Fault, injection: Injection) -> When:
    """What the fault's trigger says of the things that pass, as a tap is told it."""
    trigger = fault.trigger
    after = None
    if trigger.after is not None:
        # Faults that are not a tap's have hit before this one begins: `is_due` sees to that.
        others = [i for i in injection.stage.injections if i.fault.name == trigger.after]
        after = others[-1].orders[-1] if others and others[-1].orders else None
    if not trigger.picks and after is None:
        return ALWAYS
    share = trigger.probability
    return When(
        nth=trigger.nth,
        first=trigger.first,
        probability=1.0 if share is None else share,
        seed=trigger.seed,
        after=after,
    )
