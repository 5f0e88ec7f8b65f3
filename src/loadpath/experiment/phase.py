"""A named stretch of work on the event stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from loadpath.events import EventSink, PhaseFinished, PhaseStarted


class Phase:
    """What is under way; `result` is told when it ends well."""

    def __init__(self) -> None:
        self.result = "done"


@contextmanager
def phase(emit: EventSink, name: str, estimate_s: float | None = None) -> Iterator[Phase]:
    """Announce a phase, and its result unless it was left by an exception."""
    began_s = time.monotonic()
    emit(PhaseStarted(at_s=time.time(), phase=name, estimate_s=estimate_s))
    current = Phase()
    yield current
    emit(
        PhaseFinished(
            at_s=time.time(),
            phase=name,
            result=current.result,
            took_s=time.monotonic() - began_s,
        )
    )
