"""What is foretold of an outage, from a control run and visits whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_crash import RATE, READ, WRITE, Crash
from golden_wires import Asked, visits

from loadpath.experiment.crash.flows import FlowFacts
from loadpath.experiment.crash.foreseen import foretell_outage
from loadpath.experiment.crash.foretold import foretold_for
from loadpath.faults import parse_fault
from loadpath.recording import OutageRecord, Recording

CALL = Asked(tap="database", text="SELECT item", at_s=0.001, lasts_s=0.002)
CAPACITY = (300.0, 400.0)


def recording(folder: Path, *, calls: int) -> Recording:
    """Reads need the database, writes do not; `calls` of them cross in a control of 4 s."""
    crash = Crash(folder)
    asking = visits(READ, [CALL], 0.005, 1.0)
    idle = visits(WRITE, [], 0.005, 5.0)
    crash.visits([*asking, *idle])
    crash.drive("control", 4.0, calls=calls)
    return crash.recording()


def foretold(made: Recording, fault: str, **known: Any) -> OutageRecord:
    return foretell_outage(
        made,
        made.segments[1],
        parse_fault(fault),
        segment=2,
        lasts_s=2.0,
        watched_s=3.0,
        facts=known.pop("facts", {}),
        probed=made,
        **{"knee_per_s": CAPACITY, **known},
    )


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Every read asks the database."""
    return recording(tmp_path_factory.mktemp("cold") / "crash", calls=4 * RATE // 2)


def test_those_who_need_it_wait_and_are_worked_off(cold: Recording) -> None:
    told = foretold(cold, "database stopped")
    assert told.operations == (READ,)
    assert told.waiting is not None
    assert told.waiting.value == pytest.approx(2.0 * RATE / 2, rel=0.04)
    # 1.645 standard deviations of a Poisson count of 100, within what 400 draws tell.
    assert told.waiting.low == pytest.approx(100 - 16.5, abs=4)
    assert told.waiting.high == pytest.approx(100 + 16.5, abs=4)
    assert told.drain_s is not None
    # 100 wait, and 200 to 300 a second are to spare beyond 100.
    assert told.drain_s.low <= 100 / 300 <= told.drain_s.high
    assert told.drain_s.low <= 100 / 200 <= told.drain_s.high
    assert told.retries is not None
    assert told.retries.value == 0


def test_what_a_cache_keeps_off_the_wire_does_not_wait(tmp_path: Path) -> None:
    warm = recording(tmp_path / "crash", calls=4 * RATE // 20)
    told = foretold(warm, "database stopped")
    assert told.waiting is not None
    assert told.waiting.value == pytest.approx(2.0 * RATE / 20, abs=2)
    # Of 200 reads 20 asked: between 7 and 14 of a hundred, and Poisson counts of those.
    assert 2.0 * RATE / 20 * 1.4 < told.waiting.high < 2.0 * RATE / 20 * 2.2


def test_what_a_cache_holds_is_what_was_last_seen_of_it(tmp_path: Path) -> None:
    """In the control every read asks; after a fault, when the cache has filled, one of ten does."""
    made = Crash(tmp_path / "crash")
    made.visits([*visits(READ, [CALL], 0.005, 1.0), *visits(WRITE, [], 0.005, 5.0)])
    made.drive("control", 4.0, calls=4 * RATE // 2)
    made.drive("fault", 6.0, calls=6 * RATE // 20)
    made.fault(2.0, 3.0)
    found = foretold(made.recording(), "database stopped")
    assert found.waiting is not None
    assert found.waiting.value == pytest.approx(2.0 * RATE / 20, abs=3)
    assert found.waiting.high < 2.0 * RATE / 4
    # What broke the service is no stretch to tell from: then it is the control again.
    made = Crash(tmp_path / "broken")
    made.visits([*visits(READ, [CALL], 0.005, 1.0), *visits(WRITE, [], 0.005, 5.0)])
    made.drive("control", 4.0, calls=4 * RATE // 2)
    made.drive("fault", 6.0, calls=6 * RATE // 20)
    made.fault(2.0, 5.5)
    found = foretold(made.recording(), "database stopped")
    assert found.waiting is not None
    assert found.waiting.value == pytest.approx(2.0 * RATE / 2, rel=0.04)


def test_those_who_are_refused_try_again_as_often_as_the_workload_says(cold: Recording) -> None:
    told = foretold(cold, "database refused", facts={READ: FlowFacts(retries=1)})
    assert told.manner == "fails"
    assert told.waiting is not None
    # Between two tries are 5 on average, the most of them within 2 s and as it comes back more.
    assert 8 <= told.waiting.value <= 14
    # One that has to start reads its catalog anew: until it answers come 50 a second.
    killed = foretold(cold, "database killed", facts={READ: FlowFacts(retries=1)})
    assert killed.waiting is not None
    assert killed.waiting.value > told.waiting.value
    assert 5 + 50 * 0.25 <= killed.waiting.high <= 28
    assert told.retries is not None
    assert told.retries.value == pytest.approx(2.0 * RATE / 2, rel=0.04)


def test_everybody_needs_the_service(cold: Recording) -> None:
    told = foretold(cold, "service stopped")
    assert told.waiting is not None
    assert told.waiting.value == pytest.approx(2.0 * RATE, rel=0.04)


def test_who_finds_no_service_tries_again_too_and_waits_for_the_next_connection(
    cold: Recording,
) -> None:
    told = foretold(cold, "service killed", facts={WRITE: FlowFacts(retries=2)})
    assert told.lasts_s == 2.0
    assert told.retries is not None
    # Half of all requests write, and fail for 2 s, for all but the last 0.1 s of them twice.
    assert told.retries.value == pytest.approx(RATE / 2 * (2.0 + 1.9), rel=0.04)
    # What each write adds varies with it: twice a Poisson count has twice its spread.
    spread = (told.retries.high - told.retries.low) / (2 * 1.645)
    assert spread == pytest.approx((RATE / 2 * (4 * 1.9 + 0.1)) ** 0.5, rel=0.2)
    nobody = foretold(cold, "service killed")
    assert nobody.waiting is not None
    # Nobody who is refused for good is seen to wait; as it comes back a hundred a second do, for
    # up to 50 ms.
    assert 1 <= nobody.waiting.value <= 4
    assert 4 <= nobody.waiting.high <= 9


def test_what_was_foretold_is_derived_again_for_as_long_as_it_did_last(cold: Recording) -> None:
    told = foretold(cold, "database stopped")
    longer = foretold_for(told, 4.0, 7.0)
    assert longer.lasts_s == 4.0
    assert longer.waiting is not None
    assert longer.waiting.value == pytest.approx(4.0 * RATE / 2, rel=0.04)
    assert foretold_for(told, 2.0, 5.0) == told
    no_model = msgspec.structs.replace(told, known=None)
    assert foretold_for(no_model, 4.0, 7.0) == no_model


def test_a_lock_stops_those_alone_who_touch_its_table(cold: Recording) -> None:
    assert foretold(cold, "database locked item").operations == (READ,)
    assert foretold(cold, "database locked other").why == "no operation is known to need it"


def test_without_a_capacity_it_cannot_be_told_when_they_are_gone(cold: Recording) -> None:
    told = foretold(cold, "database stopped", knee_per_s=None)
    assert told.waiting is not None
    assert told.drain_s is None


@pytest.mark.parametrize(
    "fault",
    [
        "database +20ms",
        "database stopped, after cache refused",
        "database stopped, at 500/s",
        "database refused, first 3",
        "database locked item rows n = 1",
    ],
)
def test_what_is_no_outage_of_a_known_length_is_not_foretold(cold: Recording, fault: str) -> None:
    told = foretold(cold, fault)
    assert told.why
    assert told.waiting is None
