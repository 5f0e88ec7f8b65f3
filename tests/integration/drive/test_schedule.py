"""Arrivals keep to their schedule whatever the service does, and rows say why one was late."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from loadpath.drive import ClosedLoad, OpenLoad
from loadpath.spec import KeySet

NONE, STATUS, TIMEOUT, CONNECT, RESET, PROTOCOL, UNFINISHED, FLOW = range(8)
NOT, POOL, ENGINE = range(3)


def test_a_stopped_server_is_seen_as_its_users_see_it(
    own_service: Any, drive: Any, operation: Any
) -> None:
    """Stopped for an eighth of the time at 1,000/s: the slowest 1 % wait 92 % of the stop."""
    service = own_service()
    stopped: list[float] = []

    def go_on() -> None:
        os.kill(service.process.pid, signal.SIGCONT)
        stopped.append(time.monotonic())

    def stop_once(driver: Any, progress: Any) -> None:
        if progress.elapsed_s > 1 and not stopped:
            os.kill(service.process.pid, signal.SIGSTOP)
            stopped.append(time.monotonic())
            threading.Timer(0.5, go_on).start()

    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=1000, process="constant"),
        duration_s=4,
        each_progress=stop_once,
        late_after_s=1.0,
    )
    rows = driven.rows
    assert len(rows["flow"]) == 4000
    assert set(rows["error"].tolist()) == {NONE}
    np.testing.assert_allclose(
        np.sort(rows["intended_s"]) - driven.result.started_s, np.arange(4000) / 1000, atol=1e-9
    )
    from_s, to_s = stopped
    during = (rows["intended_s"] >= from_s) & (rows["intended_s"] < to_s)
    truth = np.where(during, to_s - rows["intended_s"], 0)
    response = rows["done_s"] - rows["intended_s"]
    p99 = np.quantile(truth, 0.99)
    # Upwards there is room for a machine that is busy with something else as well.
    assert p99 * 0.98 <= np.quantile(response, 0.99) <= p99 + 0.4
    assert response.max() >= to_s - from_s - 0.002
    share = (truth > 0.25).mean()
    assert share * 0.95 <= (response > 0.25).mean() <= share + 0.1
    # 256 were on their connections; those after them waited for one, and it was not the engine.
    assert set(rows["blocked"][during].tolist()) == {NOT, POOL}


def test_what_is_due_waits_its_turn_for_a_connection_and_is_never_dropped(
    service: Any, drive: Any, operation: Any
) -> None:
    before = service.seen()["connections"]
    driven = drive(
        service.port,
        operation("/slow/10"),
        load=OpenLoad(rate_per_s=400, process="constant"),
        duration_s=0.5,
        drain_s=10,
        connections_max=2,
        late_after_s=1.0,
    )
    rows = driven.rows
    assert len(rows["flow"]) == driven.result.arrivals == 200
    assert set(rows["error"].tolist()) == {NONE}
    assert len(set(rows["connection"].tolist())) == 2
    assert service.seen()["connections"] - before == 3  # one of them by seen() itself
    assert (rows["blocked"] == POOL).sum() > 190
    by_arrival = np.argsort(rows["intended_s"])
    assert (np.diff(rows["sent_s"][by_arrival]) >= 0).all()
    assert max(report.waiting for report in driven.progress) > 20


def test_when_the_engine_itself_was_late_the_rows_say_so(
    service: Any, drive: Any, operation: Any
) -> None:
    def oversleep(driver: Any, progress: Any) -> None:
        time.sleep(0.1)

    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=200, process="constant"),
        duration_s=0.4,
        late_after_s=0.02,
        each_progress=oversleep,
    )
    rows = driven.rows
    late = rows["blocked"] == ENGINE
    assert late.sum() == driven.result.late > 10
    slip = rows["sent_s"] - rows["intended_s"]
    assert (slip[late] > 0.02).all()
    assert (slip[rows["blocked"] == NOT] < 0.02 + 0.1).all()


def test_a_refused_connection_fails_what_waits_without_spinning(
    own_service: Any, drive: Any, operation: Any
) -> None:
    service = own_service()
    service.end()
    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=20_000, process="constant"),
        duration_s=0.5,
    )
    rows = driven.rows
    assert len(rows["flow"]) == 10_000
    assert set(rows["error"].tolist()) == {CONNECT}
    assert np.isnan(rows["sent_s"]).all()
    assert driven.result.connections_opened < 200
    assert driven.result.first_errors["it"] == "connect: connection refused"


def test_a_service_that_comes_back_is_found_at_once(
    own_service: Any, drive: Any, operation: Any
) -> None:
    service = own_service()
    listening: list[float] = []

    def start_again() -> None:
        own_service(str(service.port))
        listening.append(time.monotonic())

    starting = threading.Thread(target=start_again)

    def kill_then_start(driver: Any, progress: Any) -> None:
        if len(told) == 0:
            service.end()
        elif len(told) == 1:
            starting.start()
        told.append(progress.at_s)

    told: list[float] = []
    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=500, process="constant"),
        duration_s=2,
        each_progress=kill_then_start,
    )
    starting.join()
    rows = driven.rows
    assert len(rows["flow"]) == 1000
    refused = rows["error"] == CONNECT
    assert refused.sum() > 50
    after = rows["sent_s"] >= listening[0]
    assert set(rows["error"][after].tolist()) == {NONE}
    back_s = rows["sent_s"][(rows["error"] == NONE) & (rows["sent_s"] > told[0])].min()
    # The back-off is 10 ms at most; a busy machine may add to that, a longer back-off adds more.
    assert back_s - listening[0] < 0.25


def test_what_an_idle_connection_lost_is_sent_again_only_where_that_is_safe(
    service: Any, drive: Any, operation: Any
) -> None:
    """Each connection answers once and is closed by the second request on it."""
    only_one = {
        "load": OpenLoad(rate_per_s=100, process="constant"),
        "duration_s": 0.2,
        "connections_max": 1,
    }
    safe = drive(service.port, operation("/once"), **only_one)
    assert safe.rows["error"].tolist() == [NONE] * 20
    assert safe.result.retried == 19
    before = service.seen()["requests"].count("POST /once")
    unsafe = drive(service.port, operation("/once", method="POST"), **only_one)
    assert unsafe.rows["error"].tolist() == [NONE, RESET] * 10
    assert unsafe.result.retried == 0
    assert service.seen()["requests"].count("POST /once") - before == 20


def test_a_timeout_counts_from_the_moment_of_sending_and_frees_its_place(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/hang", name="hang", timeout_s=0.05),
        operation("/ok", name="ok", timeout_s=10),
        load=OpenLoad(rate_per_s=100),
        duration_s=0.5,
        connections_max=4,
    )
    hung = driven.rows["operation"] == 0
    assert set(driven.rows["error"][hung].tolist()) == {TIMEOUT}
    assert set(driven.rows["error"][~hung].tolist()) == {NONE}


def test_what_has_no_reply_after_the_drain_is_recorded_as_unfinished(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port, operation("/hang"), duration_s=0.1, drain_s=0.1, connections_max=10
    )
    rows = driven.rows
    assert set(rows["error"].tolist()) == {UNFINISHED}
    assert len(rows["flow"]) == driven.result.unfinished == driven.result.arrivals == 30
    assert (~np.isnan(rows["sent_s"])).sum() == 10
    assert np.isnan(rows["done_s"]).all()
    assert 0.1 <= driven.result.drained_s - driven.result.ended_s < 0.9


def test_a_segment_that_is_stopped_ends_early_and_keeps_what_it_has(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/ok"),
        duration_s=60,
        each_progress=lambda driver, progress: driver.stop_segment(),
    )
    assert driven.result.stopped_early
    assert driven.result.ended_s - driven.result.started_s < 5
    assert len(driven.rows["flow"]) == driven.result.arrivals > 50
    assert set(driven.rows["error"].tolist()) == {NONE}


@pytest.mark.parametrize("timer", ["us", "ms"])
def test_nothing_is_sent_before_it_is_due(
    service: Any, drive: Any, operation: Any, timer: str
) -> None:
    driven = drive(
        service.port, operation("/ok"), load=OpenLoad(rate_per_s=1000), timer=timer, duration_s=0.3
    )
    slip = driven.rows["sent_s"] - driven.rows["intended_s"]
    assert (slip >= 0).all()


def test_users_of_a_closed_load_wait_for_their_reply_and_think(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/slow/20"),
        load=ClosedLoad(users=8, think_time_s=0.02),
        duration_s=1.0,
    )
    rows = driven.rows
    assert set(rows["error"].tolist()) == {NONE}
    # By the interactive response time law, 8 / (20 ms + 20 ms); the server adds a little.
    assert 0.2 * 200 < len(rows["flow"]) < 1.15 * 200
    starts, ends = np.sort(rows["sent_s"]), np.sort(rows["done_s"])
    in_flight = np.searchsorted(starts, ends, side="left") - np.arange(len(ends))
    assert in_flight.max() <= 8
    assert all(report.target_rate_per_s is None for report in driven.progress)


def test_users_without_think_time_keep_every_connection_busy(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/slow/10"),
        load=ClosedLoad(users=5, think_time_s=0),
        duration_s=0.3,
    )
    starts, ends = np.sort(driven.rows["sent_s"]), np.sort(driven.rows["done_s"])
    in_flight = np.searchsorted(starts, ends, side="left") - np.arange(len(ends))
    assert in_flight.max() == 5
    assert len(ends) > 5 * 3


def test_a_seed_gives_the_same_schedule_operations_and_keys(
    service: Any, drive: Any, operation: Any
) -> None:
    def run(seed: int, salt: bytes = b"salt") -> Any:
        driven = drive(
            service.port,
            operation("/ok/{k}", name="a", keys={"k": "codes"}, weight=3),
            operation("/ok", name="b"),
            load=OpenLoad(rate_per_s=1000),
            key_sets=(KeySet(name="codes", count=1000, distribution="zipf"),),
            seed=seed,
            salt=salt,
        )
        order = np.argsort(driven.rows["flow"])
        intended = driven.rows["intended_s"][order] - driven.result.started_s
        return intended.round(6).tolist(), *(
            driven.rows[name][order].tolist() for name in ("operation", "key")
        )

    first = run(7)
    assert run(7) == first
    assert run(8)[0] != first[0]
    other_salt = run(7, b"other")
    assert other_salt[:2] == first[:2]
    assert other_salt[2] != first[2]
    keyed = np.array(first[2])[np.array(first[1]) == 0]
    assert (keyed != 0).all()
    assert set(np.array(first[2])[np.array(first[1]) == 1].tolist()) == {0}


def test_a_ramp_grows_by_the_same_factor_in_every_part(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/ok"),
        load=OpenLoad(rate_per_s=100, end_rate_per_s=1600, process="constant"),
        duration_s=1.0,
    )
    at = driven.rows["intended_s"] - driven.result.started_s
    quarters = np.histogram(at, bins=[0, 0.25, 0.5, 0.75, 1.0])[0]
    np.testing.assert_allclose(quarters[1:] / quarters[:-1], 2, rtol=0.05)
    targets = [report.target_rate_per_s for report in driven.progress]
    assert targets == sorted(targets)


def test_a_background_load_runs_under_the_main_one(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/ok", name="main"),
        operation("/ok/2", name="under"),
        load=ClosedLoad(users=2, think_time_s=0.01),
        duration_s=0.5,
        segment={
            "weights": {"main": 1.0},
            "background": OpenLoad(rate_per_s=200, process="constant"),
            "background_weights": {"under": 1.0},
        },
    )
    rows = driven.rows
    under = rows["operation"] == 1
    assert under.sum() == 100
    assert (~under).sum() > 20
    assert len(set(rows["flow"].tolist())) == len(rows["flow"]) == driven.result.arrivals


def test_progress_tells_how_the_segment_stands(service: Any, drive: Any, operation: Any) -> None:
    driven = drive(
        service.port,
        operation("/slow/20"),
        load=OpenLoad(rate_per_s=200, process="constant"),
        duration_s=1.1,
    )
    assert len(driven.progress) >= 4
    last = driven.progress[-1]
    assert last.arrivals >= last.sent >= last.done
    assert last.sent - last.done == last.in_flight
    assert last.done_rate_per_s == pytest.approx(200, rel=0.2)
    assert last.response_time_p50_s >= 0.02
    assert last.response_time_p99_s >= last.response_time_p50_s
    assert last.target_rate_per_s == 200
    assert 0 < last.engine_cpu_s < last.elapsed_s
    assert last.slip_p99_s >= 0
