"""An outage of a part that requests need, in closed form: who waits, who tries again, how long the
service takes to catch up. Pure.

A fluid model (Newell 1982, chapter 2): arrivals go on, nothing is done until the part is back, and
what has gathered is worked off by what the service can do beyond its arrivals. It is right where
arrivals are open and the outage is much longer than a request; of single requests it says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Manner: TypeAlias = Literal["waits", "fails"]
"""What becomes of a request that needs the part: it waits until it is back, or fails at once."""


class Needing(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that need the part: so many a second, each tried for `patience_s` at most, and again
    after each of `waits_s` (means)."""

    rate_per_s: float
    manner: Manner
    patience_s: float = math.inf
    waits_s: tuple[float, ...] = ()


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """What an outage comes to.

    `waiting` is the most requests without an answer at once, `retries` how many are sent again,
    `drain_s` how long after the end of it until no more wait than usual; infinite when the service
    has nothing to spare.
    """

    waiting: float
    retries: float
    drain_s: float


def outage(
    needing: Sequence[Needing],
    *,
    lasts_s: float,
    usual: float,
    usual_most: float,
    spare_per_s: float,
    users: int | None = None,
) -> Outage:
    """An outage of `lasts_s`.

    `usual` requests are without an answer at any time, at most `usual_most`, when nothing is amiss.
    `spare_per_s`: what the service can do beyond its arrivals. `users`: of a closed load, which
    sends no more than they.
    """
    gathered = {"waits": 0.0, "fails": 0.0}
    retries = last_wait_s = 0.0
    for each in needing:
        held_s, again, wait_s = _one(each, lasts_s)
        gathered[each.manner] += each.rate_per_s * held_s
        retries += each.rate_per_s * again
        last_wait_s = max(last_wait_s, wait_s)
    total = sum(gathered.values())
    # A user who waits sends nothing more: dB/dt = rate (1 - B / users).
    kept = 1.0 if users is None or not total else users * -math.expm1(-total / users) / total
    waiting = usual + kept * total
    above = max(0.0, waiting - usual_most)
    drain_s = 0.0
    if above and gathered["waits"]:
        at_service = min(above, kept * gathered["waits"])
        drain_s = at_service / spare_per_s if spare_per_s > 0 else math.inf
    elif above:
        # Nothing has gathered at the service: what is left are clients that have not tried again.
        drain_s = last_wait_s * min(1.0, above / (kept * total))
    return Outage(waiting=waiting, retries=kept * retries, drain_s=drain_s)


def _one(each: Needing, lasts_s: float) -> tuple[float, float, float]:
    """Of one stream: how long a request is held at the end, how often one a second is sent again
    in all, and the longest wait between two tries that was begun."""
    held_s = again = wait_s = 0.0
    for number, pause_s in enumerate((*each.waits_s, None)):
        held_s += each.patience_s if each.manner == "waits" else 0.0
        # A try that is still under way when the part is back is not made again.
        if held_s >= lasts_s or pause_s is None:
            break
        again += lasts_s - held_s
        held_s += pause_s
        wait_s = each.waits_s[number]
    return min(held_s, lasts_s), again, wait_s
