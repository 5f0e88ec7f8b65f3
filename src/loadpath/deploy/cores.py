"""Which cores of the host the parts of a setup run on, when they do not get all of them."""

from __future__ import annotations

import os

from loadpath.errors import WouldNotRunError


def chosen_cores(count: int | None) -> tuple[int, ...] | None:
    """The numbers of the first `count` cores that Loadpath itself may run on; None: no choice.

    Raises `WouldNotRunError` where there are fewer, and on a system that cannot bind processes.
    """
    if count is None:
        return None
    if not hasattr(os, "sched_getaffinity"):
        raise WouldNotRunError("processes cannot be bound to cores on this system")
    usable = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(usable):
        raise WouldNotRunError(f"expected 1 to {len(usable)} cores of this host, got {count}")
    return tuple(usable[:count])
