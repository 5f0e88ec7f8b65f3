"""Load as multiples of the workload's own: the one axis on which knees are looked for."""

from __future__ import annotations

from loadpath.drive import ClosedLoad, OpenLoad
from loadpath.figures import per_second
from loadpath.spec import Arrivals, OpenArrivals


def load_at(
    arrivals: Arrivals, scale: float, *, end_scale: float | None = None
) -> OpenLoad | ClosedLoad:
    """The workload's arrivals times `scale`; an open load may run on to `end_scale`."""
    if isinstance(arrivals, OpenArrivals):
        return OpenLoad(
            rate_per_s=arrivals.rate_per_s * scale,
            end_rate_per_s=None if end_scale is None else arrivals.rate_per_s * end_scale,
            process=arrivals.process,
        )
    return ClosedLoad(
        users=max(1, round(arrivals.users * scale)), think_time_s=arrivals.think_time_s
    )


def describe(arrivals: Arrivals, scale: float) -> str:
    """That load as people say it: `2,900/s` or `140 users`."""
    if isinstance(arrivals, OpenArrivals):
        return per_second(arrivals.rate_per_s * scale)
    users = max(1, round(arrivals.users * scale))
    return "1 user" if users == 1 else f"{users:,} users"
