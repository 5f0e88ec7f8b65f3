"""One fit of one set of observations: what all its draws share, and the figures of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from loadpath.model.assemble import Figures, assembled, cores_left, planned
from loadpath.model.calibrate import factor_for, quiet_stretch, residuals, spreads
from loadpath.model.network import Model
from loadpath.model.observations import Observations, Stretch
from loadpath.model.outcome import TOLERANCE, knee_per_s
from loadpath.model.stations import ENGINE, SERVICE, Placed, placed_stations
from loadpath.model.structure import visits, waited_s
from loadpath.model.weigh import Demands, Sample, law

RATES_MIN = 3
"""CPU at fewer rates of the mix than this does not tell work from wake-ups."""

KEPT_UP = 0.9
"""A stretch that completed less than this share of what was offered is not weighed."""

STRUCTURE = 0.08
"""How far off the knee of a model is by itself: standard deviation of its logarithm."""

DRAWN_REQUESTS, DRAWN_TOLERANCE = 8_000, 0.01
"""Simulated to calibrate a draw, and how sharply its knee is placed."""


class Plan:
    """What all fits of one set of observations share: stations, pools, what is weighed."""

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self.placed = placed_stations(observations)
        self.layout = planned(observations, self.placed)
        self.weighed = weighed(observations.stretches)
        self.paths = {path.operation: path for path in observations.paths}
        self.quiet = quiet_stretch(observations)

    def model(self, figures: Figures) -> Model:
        """The model with those figures."""
        return assembled(self.observations, self.placed, self.layout, figures)

    def fitted(
        self,
        stretches: Sequence[Stretch],
        *,
        requests: int,
        seed: int,
        off: float = 0.0,
        speed: float = 1.0,
        start: Figures | None = None,
    ) -> Figures:
        """The figures that explain those stretches, at a machine that takes `speed` times as long.

        The knee to meet is `off` standard deviations from the likeliest. `start`: figures that are
        nearly right, to begin with.
        """
        observations = self.observations
        demands = {
            placed.station.name: scaled(self.demands(placed, stretches), speed)
            for placed in self.placed
        }
        # As it was where the knee was found.
        holds = [s for s in stretches if s.purpose == "hold"] or stretches
        taken = float(np.median([s.others_cores for s in holds]))
        figures = Figures(
            demands=demands,
            residuals={},
            spreads=spreads(self.quiet) if self.quiet is not None else {},
            cores=cores_left(observations.cores, taken),
        )
        if self.quiet is not None:
            then = cores_left(observations.cores, self.quiet.others_cores)
            rest, wires = residuals(
                lambda each, watched: self.model(
                    msgspec.structs.replace(figures, residuals=each, wires=watched, cores=then)
                ),
                self.quiet,
                {name: waited_s(path) for name, path in self.paths.items()},
                requests=requests,
                seed=seed,
                start=None if start is None else (start.residuals, start.wires),
            )
            figures = msgspec.structs.replace(figures, residuals=rest, wires=wires)
        target = self._target(figures, off, requests=requests, seed=seed, start=start)
        if target is None:
            return figures
        for slower in (fewer_cores, more_work):
            begin = 1.0
            if start is not None:
                begin = start.overhead if slower is fewer_cores else start.factor
            by = factor_for(
                _at(self, figures, slower),
                observations,
                target,
                requests=requests,
                seed=seed,
                start=begin,
                steps=4 if start is None else 1,
                tolerance=TOLERANCE if start is None else DRAWN_TOLERANCE,
            )
            if by is not None:
                return slower(figures, by)
        return figures

    def _target(
        self, figures: Figures, off: float, *, requests: int, seed: int, start: Figures | None
    ) -> float | None:
        """The knee that is to be met (1/s): between the one measured and the one that follows from
        the figures, each by how well it is known; None where none was measured."""
        measured = self.observations.knee_per_s
        if measured is None:
            return None
        value, low, high = measured
        spread = max(1e-3, math.log(max(high, value) / max(low, 1e-9)) / 2 / 1.96)
        own = knee_per_s(
            self.model(figures),
            self.observations.objectives,
            requests=requests,
            seed=seed,
            near=value,
            tolerance=TOLERANCE if start is None else DRAWN_TOLERANCE,
        )
        if own <= 0:
            return value
        trust = STRUCTURE**2 / (STRUCTURE**2 + spread**2)
        middle = trust * math.log(value) + (1 - trust) * math.log(own)
        return math.exp(middle + off * spread * math.sqrt(trust))

    def demands(self, placed: Placed, stretches: Sequence[Stretch]) -> Demands:
        """The demand of each operation at a station."""
        station = placed.station
        per_request = {
            name: visits(self.layout, self.paths.get(name), not self.paths).get(station.name, 0.0)
            for name in self.observations.weights
        }
        samples = [
            Sample(
                duration_s=s.duration_s,
                rates_per_s=s.done_per_s,
                cores=sum(s.cores.get(name, 0.0) for name in placed.groups),
                busy=self._busy(placed, s),
                visits_per_s=sum(
                    rate * per_request.get(name, 0.0) for name, rate in s.done_per_s.items()
                ),
                servers=station.servers,
            )
            for s in stretches
        ]
        return law(samples, self._prior(placed, per_request), wakes=placed.waking, shares=True)

    def _busy(self, placed: Placed, stretch: Stretch) -> float:
        running = sum(
            stretch.cores.get(name, 0.0) + stretch.waiting.get(name, 0.0) for name in placed.groups
        )
        servers = placed.station.servers
        return float(min(1.0, running / servers) ** servers)

    def _prior(self, placed: Placed, per_request: Mapping[str, float]) -> dict[str, float]:
        """CPU of a request as far as the wires let expect it: the service's own time of a visit
        alone, the time of calls to a dependency; the same for all where there were none."""
        part = placed.station.part
        found = {}
        for name, times in per_request.items():
            path = self.paths.get(name)
            if part == ENGINE or path is None or (part == SERVICE and not placed.main):
                expected = 1e-4 * times
            elif part == SERVICE:
                expected = path.last_gap_s + sum(
                    e.gap_s * max(1.0, e.calls) for e in path.exchanges if not e.after
                )
            else:
                expected = sum(
                    e.calls * max(e.time.mean_s, 1e-5)
                    for e in path.exchanges
                    if e.dependency == part
                )
            # What was not seen to call may still do so at times.
            found[name] = max(expected, 1e-6)
        return found

    def drawn(self, generator: np.random.Generator, best: Figures, *, seed: int) -> Model:
        """A model of stretches drawn again, its speed and its knee as uncertain as they are."""
        stretches = self.weighed
        chosen = [stretches[n] for n in generator.integers(0, len(stretches), len(stretches))]
        if len({round(s.rate_per_s) for s in chosen}) < RATES_MIN:
            chosen = list(stretches)
        figures = self.fitted(
            chosen,
            requests=DRAWN_REQUESTS,
            seed=seed,
            off=float(generator.normal()),
            start=best,
            speed=float(np.exp(generator.normal(0.0, self._speed_spread()))),
        )
        return self.model(figures)

    def _speed_spread(self) -> float:
        """How much the machine's speed varied, in the mean over the stretches."""
        taken = np.array([s.speed_s for s in self.weighed if s.speed_s > 0])
        if len(taken) < 2:
            return 0.02
        return float(np.std(np.log(taken)) / np.sqrt(len(set(taken.tolist()))))


def _at(
    plan: Plan, figures: Figures, slower: Callable[[Figures, float], Figures]
) -> Callable[[float], Model]:
    return lambda by: plan.model(slower(figures, by))


def fewer_cores(figures: Figures, by: float) -> Figures:
    """The host gives out before all its cores are busy: threads wait for each other, caches and
    interrupts take their share. The CPU that was metered stays as it is."""
    return msgspec.structs.replace(figures, overhead=by)


def more_work(figures: Figures, by: float) -> Figures:
    """All work takes longer than was metered."""
    return msgspec.structs.replace(figures, factor=by)


def scaled(demands: Demands, by: float) -> Demands:
    """The demands at a machine that takes so many times as long."""
    return msgspec.structs.replace(
        demands,
        work_s={name: seconds * by for name, seconds in demands.work_s.items()},
        wakeup_s=demands.wakeup_s * by,
        shared_s=demands.shared_s * by,
    )


def weighed(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Those whose CPU tells demands: some work, and no queue that grew."""
    return [
        s
        for s in stretches
        if s.rate_per_s > 0 and s.rate_per_s >= KEPT_UP * sum(s.offered_per_s.values())
    ]
