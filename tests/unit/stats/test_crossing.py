"""The knee from short stretches, against exact queues of which it is known."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from truth import knee_per_s, responses_s

from loadpath.answer import Interval
from loadpath.stats.crossing import crossing, lateness
from loadpath.stats.quantiles import quantile

QUEUES = {
    "one server, 2.1 ms": (0.0021, 1, 0.050),
    "3 servers, 10.6 ms": (0.0106, 3, 0.050),
    "10 servers, 50.6 ms": (0.0506, 10, 0.100),
    "2 servers, 2 ms": (0.002, 2, 0.020),
}


@functools.cache
def true_knee_per_s(queue: str) -> float:
    return knee_per_s(*QUEUES[queue])


def held(seed: int, queue: str, hold_s: float) -> Interval | None:
    """The knee from six stretches around it, the first 15 % of each left out."""
    service_s, servers, limit_s = QUEUES[queue]
    truth = true_knee_per_s(queue)
    random = np.random.default_rng(seed)
    rates = [truth * share for share in (0.9, 0.95, 1.0, 1.04, 1.08, 1.13)]
    ratios = []
    for rate in rates:
        arrivals = np.sort(random.uniform(0, hold_s, random.poisson(rate * hold_s)))
        counted = arrivals >= 0.15 * hold_s
        taken = responses_s(arrivals, service_s, servers)[counted]
        ratios.append(quantile(taken, 0.99) / limit_s)
    return crossing(rates, ratios, limit_s=limit_s, stretch_s=0.85 * hold_s)


@pytest.mark.parametrize("hold_s", [2.0, 10.0])
@pytest.mark.parametrize("queue", QUEUES)
def test_its_interval_holds_the_truth_and_its_value_is_not_late(queue: str, hold_s: float) -> None:
    truth = true_knee_per_s(queue)
    # Where each of a handful of stretches happens to meet it there is nothing to cross.
    found = [knee for seed in range(60) if (knee := held(seed, queue, hold_s))]
    assert len(found) >= 40
    inside = sum(knee.low <= truth <= knee.high for knee in found)
    assert inside >= 0.88 * len(found)
    assert float(np.median([knee.value for knee in found])) == pytest.approx(truth, rel=0.06)


def line(capacity: float, *rates: float) -> list[float]:
    """Quantile ÷ limit of a queue that reaches its limit at 90 % of its capacity."""
    return [0.1 * capacity / (capacity - rate) for rate in rates]


class TestLine:
    RATES = (800.0, 850.0, 900.0, 940.0, 960.0)

    def test_without_noise_it_is_where_the_line_reaches_1(self) -> None:
        found = crossing(self.RATES, line(1000, *self.RATES), limit_s=1e-9, stretch_s=10.0)
        assert found is not None
        assert found.value == pytest.approx(900, rel=1e-3)
        assert found.low < 900 < found.high
        assert found.samples == 5

    def test_an_overloaded_stretch_says_nothing_of_the_line(self) -> None:
        rates = (*self.RATES, 1500.0)
        ratios = [*line(1000, *self.RATES), 40.0]
        found = crossing(rates, ratios, limit_s=1e-9, stretch_s=10.0)
        assert found is not None
        assert found.value == pytest.approx(900, rel=1e-3)

    def test_longer_stretches_are_less_late_and_more_precise(self) -> None:
        ratios = line(1000, *self.RATES)
        short, long = (
            crossing(self.RATES, ratios, limit_s=0.05, stretch_s=length) for length in (2.0, 50.0)
        )
        assert short is not None
        assert long is not None
        assert short.value < long.value < 900
        assert short.half_width_ratio > long.half_width_ratio

    @pytest.mark.parametrize(
        ("rates", "ratios"),
        [
            ((800.0, 960.0), (0.5, 2.5)),
            ((700.0, 750.0, 800.0), (0.3, 0.4, 0.5)),
            ((950.0, 960.0, 970.0), (2.0, 2.5, 3.3)),
            ((800.0, 900.0, 960.0), (2.0, 1.0, 0.5)),
            ((900.0, 900.0, 900.0), (0.9, 1.0, 1.2)),
            ((), ()),
        ],
    )
    def test_without_both_sides_of_it_there_is_no_line(
        self, rates: tuple[float, ...], ratios: tuple[float, ...]
    ) -> None:
        assert crossing(rates, ratios, limit_s=0.05, stretch_s=4.0) is None


def test_what_hardly_forgets_reads_late_but_not_without_bound() -> None:
    assert lateness(0.05, 2.0) > lateness(0.05, 20.0)
    assert lateness(10.0, 0.1) == 0.5
