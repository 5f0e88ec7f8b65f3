"""CPU that a request costs at a station, by operation, from the CPU that was used at many rates.

Work d, wake-ups and what visits share apart:

    U = Σ λ·d + w·V·(1 − B) + b·V / (1 + V·τ/n)

with λ the rate of each operation, V the visits per second to n servers and B the share of the time
that all of them are busy or stand ready, so that (1 − B) of the visits wake one up. The last term
is what visits that come within τ of each other share: a turn of the event loop, a message, a flush,
a batch. (The rate of payments of a counter with dead time τ, Feller 1948.) With one visit a request
and no sharing it is U = λ(d + w) / (1 + λw). The parameters are found by least squares without
negative ones (Lawson & Hanson 1974), for each τ of a grid.
Interpolating the cost over the rate instead (MVASD) was tried and left: decision 33.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Floats = npt.NDArray[np.float64]

WINDOWS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
"""Within how long requests are tried to share work."""

PRIOR_SPREAD = 3.0
"""How far, as a share of it, an operation's work may lie off what its visits let expect before the
fit minds: only what was hardly driven is told by it."""

NOISE = 0.05
NOISE_S = 0.007
"""A measured utilization is off by so much of itself, and by so many seconds of the meter."""

WORTH_IT = 1.15
"""A further parameter has to lower the error by this factor."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch at one station of `servers`: the rates of the operations, the `cores` used, the
    share of the time that all servers were `busy`, and the visits per second."""

    duration_s: float
    rates_per_s: Mapping[str, float]
    cores: float
    busy: float
    visits_per_s: float
    servers: int = 1


class Demands(msgspec.Struct, frozen=True, kw_only=True):
    """`work_s` by operation and request; `wakeup_s` per visit that finds a server idle; `shared_s`
    for all that come within `window_s`. `error` is the weighted root mean square of what is left,
    as a share of the utilization."""

    work_s: dict[str, float]
    wakeup_s: float = 0.0
    shared_s: float = 0.0
    window_s: float = 0.0
    error: float = 0.0

    def cores(self, sample: Sample) -> float:
        """What these demands let expect of a stretch."""
        own = sum(rate * self.work_s.get(name, 0.0) for name, rate in sample.rates_per_s.items())
        woken = self.wakeup_s * sample.visits_per_s * (1 - sample.busy)
        return own + woken + self.shared_s * _payments(sample, self.window_s)


def _payments(sample: Sample, window_s: float) -> float:
    """How many times a second the shared work is done."""
    return sample.visits_per_s / (1 + sample.visits_per_s * window_s / sample.servers)


def law(
    samples: Sequence[Sample],
    prior_s: Mapping[str, float],
    *,
    wakes: bool,
    shares: bool,
) -> Demands:
    """The demands that explain the samples best. `prior_s`: CPU of a request by operation up to one
    common factor, as its visits let expect it; operations that it lacks cost nothing.

    `wakes`, `shares`: whether wake-ups and shared work are looked for at that station.
    """
    names = [name for name, seconds in prior_s.items() if seconds > 0]
    # Nothing asked of it, nothing used.
    if not names or not samples:
        return Demands(work_s={})
    best = _solve(samples, prior_s, names, woken=False, window_s=None)
    candidates = []
    if wakes:
        candidates.append(_solve(samples, prior_s, names, woken=True, window_s=None))
    if shares:
        candidates += [
            _solve(samples, prior_s, names, woken=woken, window_s=window_s)
            for window_s in WINDOWS_S
            for woken in ((False, True) if wakes else (False,))
        ]
    # Simpler ones come first, and are kept unless another explains clearly more.
    for found in sorted(candidates, key=_parameters):
        if found.error * WORTH_IT ** max(0, _parameters(found) - _parameters(best)) < best.error:
            best = found
    return best


def _parameters(found: Demands) -> int:
    return (found.wakeup_s > 0) + 2 * (found.shared_s > 0)


def _solve(
    samples: Sequence[Sample],
    prior_s: Mapping[str, float],
    names: Sequence[str],
    *,
    woken: bool,
    window_s: float | None,
) -> Demands:
    used = np.array([sample.cores for sample in samples])
    rates = np.array([[s.rates_per_s.get(name, 0.0) for name in names] for s in samples])
    prior = np.array([prior_s[name] for name in names])
    extra = []
    if woken:
        extra.append([s.visits_per_s * (1 - s.busy) for s in samples])
    if window_s is not None:
        extra.append([_payments(s, window_s) for s in samples])
    more: Floats = np.array(extra).reshape(len(extra), len(samples)).T
    spread = np.array([math.hypot(NOISE * s.cores, NOISE_S / s.duration_s) for s in samples])
    # First one common factor for all operations, then each by itself, held to it.
    scale, *_ = _least((np.c_[rates @ prior, more]) / spread[:, None], used / spread)
    pulled = prior * max(float(scale), 1e-12)
    held = np.c_[np.diag(1 / (PRIOR_SPREAD * pulled)), np.zeros((len(names), more.shape[1]))]
    left = np.r_[np.c_[rates, more] / spread[:, None], held]
    right = np.r_[used / spread, np.full(len(names), 1 / PRIOR_SPREAD)]
    found = _least(left, right)
    demands = Demands(
        work_s=dict(zip(names, found[: len(names)].tolist(), strict=True)),
        wakeup_s=float(found[len(names)]) if woken else 0.0,
        shared_s=float(found[-1]) if window_s is not None else 0.0,
        window_s=window_s or 0.0,
    )
    off = np.array([demands.cores(s) for s in samples]) - used
    error = float(np.sqrt(np.mean((off / spread) ** 2))) * NOISE
    return msgspec.structs.replace(demands, error=error)


def _least(left: Floats, right: Floats) -> Floats:
    # Columns of one size, so that the solver's tolerance means the same for all of them.
    size = np.linalg.norm(left, axis=0)
    size[size == 0] = 1.0
    found: Any = nnls(left / size, right, maxiter=50 * left.shape[1])[0]
    return np.asarray(found / size, dtype=np.float64)
