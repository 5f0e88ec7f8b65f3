"""Ids: unique, ordered, and telling their time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems_common.ids import EPOCH_MS, WORKERS, IdGenerator, time_of_id_s

_MOMENTS_S = st.floats(EPOCH_MS / 1000 + 1, EPOCH_MS / 1000 + 30 * 365 * 86_400)


@given(st.lists(_MOMENTS_S, min_size=1, max_size=50), st.integers(0, WORKERS - 1))
def test_ids_only_grow_whatever_the_clock_does(clock: list[float], worker: int) -> None:
    ticks = iter(clock)
    generator = IdGenerator(worker, clock_s=lambda: next(ticks))
    ids = [generator.next() for _ in clock]
    assert ids == sorted(set(ids))
    assert all(0 < identifier < 2**63 for identifier in ids)


def test_a_burst_within_a_millisecond_repeats_nothing() -> None:
    generator = IdGenerator(5, clock_s=lambda: EPOCH_MS / 1000 + 10)
    ids = [generator.next() for _ in range(5_000)]
    assert len(set(ids)) == 5_000
    assert time_of_id_s(ids[-1]) == pytest.approx(EPOCH_MS / 1000 + 10, abs=0.01)


def test_two_workers_never_give_the_same_id() -> None:
    one, two = (IdGenerator(n, clock_s=lambda: EPOCH_MS / 1000 + 1) for n in (1, 2))
    assert not {one.next() for _ in range(3_000)} & {two.next() for _ in range(3_000)}


@given(_MOMENTS_S)
def test_an_id_tells_when_it_was_given(moment_s: float) -> None:
    identifier = IdGenerator(0, clock_s=lambda: moment_s).next()
    assert time_of_id_s(identifier) == pytest.approx(moment_s, abs=0.001)
