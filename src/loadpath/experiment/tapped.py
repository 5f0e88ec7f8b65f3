"""Taps on the wires of an arm: all of them read, or those relays alone that its setup wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadpath.deploy import Address
from loadpath.deploy.deployment import Wrap
from loadpath.experiment.session import Session
from loadpath.spec import Setup
from loadpath.tap import Taps
from loadpath.tap.orders import Delay


@asynccontextmanager
async def open_taps(
    session: Session, setup: Setup, *, tapped: bool, keep_parameters: bool, digest_replies: bool
) -> AsyncIterator[Taps | None]:
    """The taps that an arm runs behind; None where it has none.

    `tapped`: they read what passes, and keep or digest of it what is asked for; else they are those
    relays alone that the setup wants.
    """
    if not tapped and not setup.delays:
        yield None
        return
    # Without their kinds nobody reads what passes: such a relay costs a third less.
    kinds = {d.name: d.kind if tapped else "" for d in setup.service.dependencies}
    async with Taps(
        kinds,
        spawn=session.guard.spawn,
        keep_parameters=tapped and keep_parameters,
        digest_replies=tapped and digest_replies,
    ) as taps:
        yield taps


def wrapping(taps: Taps, setup: Setup, *, tapped: bool) -> Wrap:
    """Stands relays where the setup wants them, or everywhere, holding back what it says."""

    async def wrap(name: str, address: Address) -> Address:
        if not tapped and name not in setup.delays:
            return address
        place = await taps.wrap(name, address)
        if delay_s := setup.delays.get(name, 0.0):
            await taps.order(name, Delay(delay_s=delay_s, direction="replies"))
        return place

    return wrap
