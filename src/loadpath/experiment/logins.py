"""Tells how the logins go that an engine begins with."""

from __future__ import annotations

import time
from collections.abc import Callable

from loadpath.events import EventSink, LoginProgress


def telling_logins(emit: EventSink) -> Callable[[int, int], None]:
    """What an engine calls with how many identities are logged in, and of how many."""
    return lambda done, total: emit(LoginProgress(at_s=time.time(), done=done, total=total))
