"""Where arrivals come from: schedules in order, users that think, mixes of both."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledWorkload, compile_workload
from loadpath.drive.plan import WHOLE, ClosedLoad, OpenLoad, Part, Segment
from loadpath.drive.sources import Source, draw_source
from loadpath.errors import ConfigurationError
from loadpath.spec import DeclaredRequest, KeySet, OpenArrivals, Operation, Workload

KEYS = (
    KeySet(name="codes", count=1000, distribution="zipf", pattern="c{n}"),
    KeySet(name="users", count=10, pattern="u{n}"),
)


def compiled() -> CompiledWorkload:
    def declared(name: str, path: str, **keys: str) -> Operation:
        return Operation(
            name=name, request=DeclaredRequest(method="GET", path=path, keys=keys), weight=1.0
        )

    operations = (
        declared("fixed", "/"),
        declared("one", "/{c}", c="codes"),
        declared("two", "/{u}/{c}", u="users", c="codes"),
    )
    workload = Workload(arrivals=OpenArrivals(1.0), operations=operations, key_sets=KEYS)
    return compile_workload(workload, "host")


WORKLOAD = compiled()
WEIGHTS = {"fixed": 1.0, "one": 2.0, "two": 1.0}


def source(
    load: Any, duration_s: float = 2.0, seed: int = 1, part: Part = WHOLE, **other: Any
) -> Source:
    segment = Segment(
        index=0,
        purpose="test",
        load=load,
        duration_s=duration_s,
        requests_path=Path("unused"),
        **other,
    )
    made = draw_source(segment, WORKLOAD, WEIGHTS, seed, part)
    made.begin(100.0)
    return made


def take_all(made: Source) -> list[Job]:
    jobs = []
    while made.next_due < math.inf:
        due = made.next_due
        jobs.append(made.take())
        assert jobs[-1][2] == due
        if len(jobs) % 7 == 0:
            made.prepare(99.0)
    return jobs


def test_an_open_load_gives_its_whole_schedule_in_order() -> None:
    made = source(OpenLoad(rate_per_s=1000, process="constant"))
    jobs = take_all(made)
    assert [job[0] for job in jobs] == list(range(2000))
    assert [job[2] for job in jobs] == pytest.approx((100 + np.arange(2000) / 1000).tolist())
    assert made.taken == 2000
    shares = np.bincount([job[1] for job in jobs]) / 2000
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.06)


def test_requests_hold_the_keys_that_their_codes_stand_for() -> None:
    jobs = take_all(source(OpenLoad(rate_per_s=500)))
    asked = []
    for _, operation, _, code, request in jobs:
        assert request is not None
        path = request.split(b" ")[1].decode()
        if operation == 0:
            assert code == 0
            continue
        texts = [text for text in WORKLOAD.keys.text(code).split("\0") if text]
        assert path == "/" + "/".join(texts)
        asked.append(path)
    assert len(set(asked)) < len(asked)


def test_a_seed_gives_the_same_arrivals_and_segments_differ() -> None:
    load = OpenLoad(rate_per_s=300)
    assert take_all(source(load, seed=3)) == take_all(source(load, seed=3))
    assert take_all(source(load, seed=3)) != take_all(source(load, seed=4))


def test_stopping_ends_the_schedule() -> None:
    made = source(OpenLoad(rate_per_s=1000))
    made.take()
    made.stop()
    made.prepare(99.0)
    assert made.next_due == math.inf
    assert made.taken == 1


def test_users_are_due_again_a_think_time_after_their_reply() -> None:
    made = source(ClosedLoad(users=3, think_time_s=0.1), duration_s=1000.0)
    first = take_all(made)
    assert [job[0] for job in first] == [0, 1, 2]
    assert all(job[2] >= 100 for job in first)
    dues = []
    for flow in range(3000):
        made.completed(flow, 200.0)
        dues.append(made.take()[2])
    assert min(dues) >= 200
    assert np.mean(dues) - 200 == pytest.approx(0.1, rel=0.1)
    made.completed(0, 1100.0)
    assert made.next_due == math.inf


def test_users_without_think_time_are_due_at_once() -> None:
    made = source(ClosedLoad(users=2, think_time_s=0.0))
    assert [made.take()[2], made.take()[2]] == [100.0, 100.0]
    made.completed(0, 100.5)
    assert made.next_due == 100.5
    made.stop()
    made.completed(1, 100.6)
    assert made.next_due == math.inf


def test_a_background_load_comes_between_and_only_the_main_one_is_completed() -> None:
    made = source(
        ClosedLoad(users=1, think_time_s=0.05),
        weights={"fixed": 1.0},
        background=OpenLoad(rate_per_s=100, process="constant"),
        background_weights={"one": 1.0},
    )
    jobs = []
    while made.next_due < math.inf:
        job = made.take()
        jobs.append(job)
        made.completed(job[0], job[2] + 0.01)
    assert [job[2] for job in jobs] == sorted(job[2] for job in jobs)
    by_operation = np.bincount([job[1] for job in jobs])
    assert by_operation[1] == 200
    assert by_operation[0] == pytest.approx(2 / 0.06, rel=0.5)
    assert len({job[0] for job in jobs}) == len(jobs) == made.taken


@pytest.mark.parametrize(
    "load",
    [
        OpenLoad(rate_per_s=-1),
        OpenLoad(rate_per_s=0, end_rate_per_s=10),
        OpenLoad(rate_per_s=float("nan")),
        OpenLoad(rate_per_s=1e9),
        ClosedLoad(users=0, think_time_s=1),
        ClosedLoad(users=1, think_time_s=-1),
    ],
)
def test_loads_that_cannot_be_driven_are_refused(load: OpenLoad | ClosedLoad) -> None:
    with pytest.raises(ConfigurationError, match=r"expected|arrivals in one segment"):
        source(load)


@pytest.mark.parametrize(
    ("weights", "words"),
    [({"nobody": 1.0}, "`nobody` is not an operation"), ({"one": 0.0}, "no operation to drive")],
)
def test_weights_that_cannot_be_driven_are_refused(weights: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        source(OpenLoad(rate_per_s=1), weights=weights)


@settings(max_examples=25, deadline=None)
@given(
    of=st.integers(1, 7),
    rate=st.floats(1, 500),
    process=st.sampled_from(["poisson", "constant"]),
    seed=st.integers(0, 1000),
)
def test_the_parts_of_a_schedule_are_the_schedule(
    of: int, rate: float, process: Any, seed: int
) -> None:
    load = OpenLoad(rate_per_s=rate, process=process)
    whole = take_all(source(load, seed=seed))
    parts = [take_all(source(load, seed=seed, part=Part(i, of))) for i in range(of)]
    assert sorted(job for part in parts for job in part) == whole
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_users_of_a_closed_load_are_divided_and_their_operations_are_not_drawn_twice() -> None:
    load = ClosedLoad(users=7, think_time_s=0.0)
    whole = {job[0]: job[1:2] + job[3:] for job in take_some(source(load), 24_000)}
    taken: list[Job] = []
    for index in range(3):
        made = source(load, part=Part(index, 3))
        taken += take_some(made, 8_000)
    assert len({job[0] for job in taken}) == len(taken) == 24_000
    assert {job[0]: job[1:2] + job[3:] for job in taken} == whole


def take_some(made: Source, count: int) -> list[Job]:
    """So many arrivals of users who are answered at once."""
    jobs = []
    while len(jobs) < count:
        jobs.append(made.take())
        made.completed(jobs[-1][0], jobs[-1][2])
    return jobs
