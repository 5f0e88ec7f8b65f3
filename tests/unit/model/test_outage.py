"""Outages against what follows by hand, and laws that hold of all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.model.outage import Manner, Needing, Outage, outage


def of(*needing: Needing, lasts_s: float = 2.0, spare_per_s: float = 400.0, **more: int) -> Outage:
    return outage(
        needing, lasts_s=lasts_s, usual=1.0, usual_most=5.0, spare_per_s=spare_per_s, **more
    )


def test_who_waits_gathers_and_is_worked_off_by_what_is_to_spare() -> None:
    found = of(Needing(rate_per_s=100.0, manner="waits"))
    assert found.waiting == 201.0
    assert found.drain_s == pytest.approx(196 / 400)
    assert found.retries == 0


def test_who_is_less_patient_than_the_outage_is_long_leaves() -> None:
    found = of(Needing(rate_per_s=100.0, manner="waits", patience_s=0.5))
    assert found.waiting == 51.0


def test_who_fails_at_once_is_only_there_between_two_tries() -> None:
    found = of(Needing(rate_per_s=100.0, manner="fails"))
    assert (found.waiting, found.retries, found.drain_s) == (1.0, 0.0, 0.0)
    found = of(Needing(rate_per_s=100.0, manner="fails", waits_s=(0.1, 0.2)))
    assert found.waiting == pytest.approx(31.0)
    # All of 2 s are sent again, and again all that were due 0.1 s before the end.
    assert found.retries == pytest.approx(200 + 190)
    assert 0 < found.drain_s <= 0.2


def test_tries_that_time_out_are_made_again() -> None:
    found = of(Needing(rate_per_s=100.0, manner="waits", patience_s=0.5, waits_s=(0.5,)))
    assert found.retries == pytest.approx(150)
    assert found.waiting == pytest.approx(1 + 150)


def test_with_nothing_to_spare_it_never_catches_up() -> None:
    assert math.isinf(of(Needing(rate_per_s=10.0, manner="waits"), spare_per_s=0.0).drain_s)


def test_no_more_users_wait_than_there_are() -> None:
    found = of(Needing(rate_per_s=100.0, manner="waits"), lasts_s=60.0, users=20)
    assert found.waiting == pytest.approx(21.0)


@given(
    rate=st.floats(0, 1000),
    manner=st.sampled_from(["waits", "fails"]),
    patience=st.floats(0.01, 20),
    waits=st.lists(st.floats(0.01, 2), max_size=4),
    lasts=st.floats(0.01, 10),
    longer=st.floats(0.01, 10),
)
def test_a_longer_outage_never_means_fewer_and_none_means_none(
    rate: float, manner: Manner, patience: float, waits: list[float], lasts: float, longer: float
) -> None:
    needing = Needing(rate_per_s=rate, manner=manner, patience_s=patience, waits_s=tuple(waits))
    short, long = of(needing, lasts_s=lasts), of(needing, lasts_s=lasts + longer)
    assert long.waiting >= short.waiting - 1e-9
    assert long.retries >= short.retries - 1e-9
    # Nobody waits longer than the outage lasts, and everybody tries so often at most.
    assert short.waiting <= 1 + rate * lasts + 1e-6
    assert short.retries <= rate * lasts * len(waits) + 1e-6
    assert of(needing, lasts_s=0.0).waiting == 1.0
