"""Nothing is left of a crash run, in whichever phase Loadpath is ended, and by what.

Several of them run at once: nothing is measured here.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

Place = Any
Started = Any

CACHED = """
[dependencies.cache]
kind = "valkey"
env = { USED_CACHE = "{port}" }

[operations."GET /slot"]
request = "GET /slot"
"""
STORED = (
    CACHED.replace("cache", "database").replace("CACHE", "DATABASE").replace("valkey", "postgres")
)
STOPPED, KILLED = "database stopped, for 60s", "cache killed"


def told(started: Started, **fields: object) -> bool:
    return any(fields.items() <= event.items() for event in started.events())


def deploying(started: Started) -> bool:
    return told(started, event="PartStarting", part="service")


def control(started: Started) -> bool:
    return told(started, event="LoadProgress", phase="control")


def fault_on(started: Started) -> bool:
    """Every process of its database is stopped, which nobody else would continue."""
    return any(is_stopped(each) for each in started.family())


def is_stopped(process: psutil.Process) -> bool:
    """Whether it is, if it is still there."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def healing(started: Started) -> bool:
    """What was killed is started again."""
    events = started.events()
    starts = [e for e in events if e["event"] == "PartStarting" and e["part"] == "cache"]
    begun = [e for e in events if e["event"] == "PhaseStarted" and e["phase"] == KILLED]
    return bool(begun) and starts[-1]["at_s"] > begun[0]["at_s"]


def judging(started: Started) -> bool:
    return told(started, event="RunFinished")


PHASES: dict[str, tuple[Callable[[Started], bool], str]] = {
    "deploying": (deploying, KILLED),
    "control": (control, KILLED),
    "fault on": (fault_on, STOPPED),
    "healing": (healing, KILLED),
    "judging": (judging, KILLED),
}
ENDS = [(phase, sig) for phase in PHASES for sig in (signal.SIGINT, signal.SIGKILL)]


def ended_in(place: Place, phase: str, sig: int) -> Any:
    """Start a run there, end it in that phase, and how it ended."""
    due, fault = PHASES[phase]
    place.write(STORED if "database" in fault else CACHED, rate="10/s")
    started = place.start("ask", "crash", "--json", "--duration", "1", "--faults", fault)
    started.until(lambda: due(started))
    # While it judges nothing runs any more, and it may be done before it is told to end.
    return started.end(sig if started.process.poll() is None else None)


@pytest.fixture(scope="module")
def endings(make_place: Callable[[], Place]) -> Iterator[dict[tuple[str, int], Any]]:
    """Each of them in a thread: places, and how what was started there will have ended."""
    with ThreadPoolExecutor(3) as pool:
        found = {}
        for phase, sig in ENDS:
            place = make_place()
            found[phase, sig] = (place, pool.submit(ended_in, place, phase, sig))
        yield found


@pytest.mark.parametrize(("phase", "sig"), ENDS)
def test_nothing_is_left_whatever_ends_it(
    endings: dict[tuple[str, int], Any], phase: str, sig: int
) -> None:
    place, ending = endings[phase, sig]
    ended = ending.result()
    assert place.left_in_the_end(20.0) == []
    assert "Traceback" not in ended.err
    if phase != "judging":
        assert ended.code == (130 if sig == signal.SIGINT else -signal.SIGKILL)
