"""How popular the keys of a stream are: the exponent of a Zipf law, and whether there is one.

The k-th most popular of N keys is asked for with probability ∝ k⁻ˢ. Neither which key is the k-th
nor N is known: sorting keys by how often they came and fitting a line through that is biased, since
the order of the rare ones is chance (Piantadosi 2014). So what is fitted is the frequency spectrum:
how many keys came once, twice, and so on, which needs no ranks.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaincc, gammaln

from loadpath.answer import Interval
from loadpath.caching.stream import Floats, Ids
from loadpath.stats.batches import normal_critical

REQUESTS_MIN, KEYS_MIN = 500, 30
"""Fewer say nothing about a law."""
MISFIT_MAX = 0.02
"""The largest part of the requests that may lie elsewhere than the law says, and it still holds.

For fewer than 22,500 requests 3 ÷ √n: so much chance does alone."""
MOVING_MIN = 0.05
"""How many fewer keys half of the stream may hold than with a popularity that does not change."""
_EXPONENT_MAX = 4.0
_LARGEST = 1e9


class Kind(StrEnum):
    """What the popularity of keys is like."""

    POWER_LAW = "power law"
    UNIFORM = "uniform"
    MOVING = "moving"
    OTHER = "no power law"
    TOO_FEW = "too few requests"


class Popularity(msgspec.Struct, frozen=True):
    """How popular the keys are.

    `exponent` of the Zipf law that fits best, None where `kind` is `TOO_FEW` · `catalogue`: the
    number of keys it says there are, seen or not · `misfit`: the largest part of the requests that
    comes for other keys than the law says · `moving`: by how much fewer keys each
    half of the stream holds than it would if popularity did not change; above `MOVING_MIN` keys
    come in bursts or in and out of fashion, and the exponent speaks of the sum only ·
    `once_keys`: keys asked for once, `top_share`: the requests for the most popular 1 % of keys.
    """

    kind: Kind
    requests: int
    keys: int
    exponent: Interval | None
    catalogue: float | None
    misfit: float | None
    moving: float
    once_keys: int
    top_share: float


def fit_popularity(key: Ids, confidence: float = 0.95) -> Popularity:
    """The popularity of a stream's keys, in the order they were asked for."""
    _, dense = np.unique(key, return_inverse=True)
    counts = np.bincount(dense)
    first = np.bincount(dense[: len(dense) // 2], minlength=len(counts))
    return popularity_of(counts, first, confidence)


def popularity_of(counts: Ids, first_half: Ids, confidence: float = 0.95) -> Popularity:
    """The same from how often each key came, and how often within the first half of the stream.

    The likelihood is that of how the keys of the catalogue, seen or not, fall into classes of
    counts (multinomial), over the exponent and the size of the catalogue. The interval comes from
    its curvature (observed information), widened by how much worse the classes fit than chance
    alone would have it (McCullagh & Nelder 1989, 4.5).
    """
    requests, keys = int(counts.sum()), len(counts)
    moving = _moving(counts, first_half) if keys else 0.0
    ordered = np.sort(counts)[::-1]
    top_share = float(ordered[: max(1, keys // 100)].sum() / requests) if requests else 0.0
    once = int((counts == 1).sum())
    if requests < REQUESTS_MIN or keys < KEYS_MIN:
        return Popularity(Kind.TOO_FEW, requests, keys, None, None, None, moving, once, top_share)
    edges = _classes(int(counts.max()))
    seen = np.histogram(counts, edges)[0].astype(np.float64)
    exponent, size, expected = _fitted(seen, edges, requests, keys)
    error = _standard_error(seen, edges, requests, keys, exponent, size)
    error *= math.sqrt(max(1.0, _dispersion(seen, expected)))
    half = min(_EXPONENT_MAX, normal_critical(confidence) * error)
    misfit = _misfit(counts, exponent, size, requests)
    low = max(0.0, exponent - half)
    if misfit > max(MISFIT_MAX, 3 / math.sqrt(requests)):
        kind = Kind.OTHER
    elif moving > MOVING_MIN:
        kind = Kind.MOVING
    elif low == 0.0 and exponent < 0.2:
        kind = Kind.UNIFORM
    else:
        kind = Kind.POWER_LAW
    interval = Interval(exponent, low, exponent + half, confidence, "frequency spectrum", keys)
    return Popularity(kind, requests, keys, interval, size, misfit, moving, once, top_share)


def _classes(most: int) -> Floats:
    """Edges of classes of counts: single ones, then wider and wider, the last without end."""
    edges = [1]
    while edges[-1] <= most:
        edges.append(max(edges[-1] + 1, int(edges[-1] * 1.2)))
    return np.array([*edges, np.inf])


def _ranks(size: float) -> tuple[Floats, Floats]:
    """Ranks 1 to `size`, the first one by one, later ones in blocks: (rank, how many it is for)."""
    single = np.arange(1.0, min(size, 200.0) + 1)
    if size <= 200:
        return single, np.ones(len(single))
    blocks = max(2, int(math.log(size / 200) / 0.02))
    edges = np.geomspace(200.5, size + 0.5, blocks + 1)
    rank = np.sqrt(edges[1:] * edges[:-1])
    return np.concatenate([single, rank]), np.concatenate([np.ones(200), np.diff(edges)])


def _rates(exponent: float, size: float, requests: int) -> tuple[Floats, Floats]:
    """How often the key of each rank is asked for on average, and how many keys that stands for."""
    rank, weight = _ranks(size)
    share = rank**-exponent
    return requests * share / float((share * weight).sum()), weight


def _expected(edges: Floats, exponent: float, size: float, requests: int) -> Floats:
    """How many keys are expected in each class of counts."""
    rate, weight = _rates(exponent, size, requests)
    # P(count < edge) of a Poisson number is the upper incomplete gamma function.
    below: Floats = gammaincc(edges[:-1, None], rate[None, :]) @ weight
    return np.maximum(np.diff(np.append(below, weight.sum())), 1e-12)


def _log_likelihood(
    seen: Floats, edges: Floats, requests: int, keys: int, exponent: float, excess: float
) -> float:
    size = keys * math.exp(excess)
    expected = _expected(edges, exponent, size, requests)
    unseen = max(0.0, size - keys)
    due_unseen = max(1e-300, size - float(expected.sum()))
    ways = gammaln(size + 1) - gammaln(unseen + 1) - size * math.log(size)
    return float(ways + (seen * np.log(expected)).sum() + unseen * math.log(due_unseen))


def _fitted(seen: Floats, edges: Floats, requests: int, keys: int) -> tuple[float, float, Floats]:
    """The most likely exponent and size of the catalogue, and what they expect in each class."""
    excess_max = math.log(_LARGEST / keys)

    def cost(x: Floats) -> float:
        inside = (min(max(x[0], 0.0), _EXPONENT_MAX), min(max(x[1], 0.0), excess_max))
        outside = abs(x[0] - inside[0]) + abs(x[1] - inside[1])
        likely = _log_likelihood(seen, edges, requests, keys, *inside)
        return float(1e6 * outside - likely)

    starts = [(0.2, 0.05), (0.9, 0.7), (1.3, 2.5)]
    best = np.array(min(starts, key=lambda x: cost(np.array(x))))
    for _ in range(2):  # begun again where it ended, it leaves a simplex that had collapsed
        best = minimize(cost, best, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4}).x
    exponent = float(min(max(best[0], 0.0), _EXPONENT_MAX))
    size = keys * math.exp(float(min(max(best[1], 0.0), excess_max)))
    return exponent, size, _expected(edges, exponent, size, requests)


def _standard_error(
    seen: Floats, edges: Floats, requests: int, keys: int, exponent: float, size: float
) -> float:
    """Of the exponent, from the curvature of the likelihood; that of the size taken into account
    unless it lies at an end of what it can be."""
    excess = math.log(size / keys)
    step, wide = 2e-3, 1e-2

    def at(more: float, larger: float) -> float:
        return _log_likelihood(
            seen, edges, requests, keys, max(exponent, step) + more * step, excess + larger * wide
        )

    middle = at(0, 0)
    curve = -(at(1, 0) - 2 * middle + at(-1, 0)) / step**2
    if excess > 2 * wide and size < _LARGEST / 2:
        of_size = -(at(0, 1) - 2 * middle + at(0, -1)) / wide**2
        mixed = -(at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * step * wide)
        if of_size > 0:
            curve -= mixed**2 / of_size
    return float(1 / math.sqrt(curve)) if curve > 0 else math.inf


def _dispersion(seen: Floats, expected: Floats) -> float:
    """How much worse the classes fit than Poisson numbers would: Pearson's chi-squared ÷ degrees.

    Neighboring classes are taken together until five keys are expected.
    """
    total, classes, got, due = 0.0, 0, 0.0, 0.0
    for one, other in zip(seen, expected, strict=True):
        got += one
        due += other
        if due >= 5:
            total += (got - due) ** 2 / due
            classes += 1
            got = due = 0.0
    return total / (classes - 2) if classes > 2 else 1.0


def _misfit(counts: Ids, exponent: float, size: float, requests: int) -> float:
    """The largest difference between the parts of the requests that so many keys take together.

    Keys are taken from the most asked for on, in the data as in what the law expects of data: by
    how often they came, not by how often they are asked for on average.
    """
    edges = _classes(int(counts.max()))[:-1]
    ordered = np.sort(counts)[::-1]
    rate, weight = _rates(exponent, size, requests)
    # Of X, Poisson with mean λ: P(X ≥ m), and E[X; X ≥ m] = λ P(X ≥ m - 1).
    keys = (1 - gammaincc(edges[:, None], rate[None, :])) @ weight
    before = np.maximum(edges - 1, 1e-9)
    taken = (1 - gammaincc(before[:, None], rate[None, :])) @ (weight * rate) / requests
    places = np.searchsorted(-ordered, -edges, side="right")  # keys that came so often at least
    really = np.concatenate([[0.0], np.cumsum(ordered) / requests])[places]
    expected = np.interp(places, np.append(keys[::-1], size), np.append(taken[::-1], 1.0), left=0.0)
    return float(np.abs(really - expected).max())


def _moving(counts: Ids, first_half: Ids) -> float:
    """How many fewer keys each half holds than if the order of the requests were chance.

    Then a key that came c times is missing in a half with probability 2⁻ᶜ. 0 where chance explains
    the difference: it has to be four standard errors.
    """
    missing = np.exp2(-counts.astype(np.float64))
    expected = 2 * float((1 - missing).sum())
    found = int((first_half > 0).sum()) + int((counts > first_half).sum())
    # Of the two halves a key is missing in one at most, each with that probability.
    error = math.sqrt(float((2 * missing * (1 - 2 * missing)).clip(0).sum()))
    lacking = expected - found
    return lacking / expected if lacking > 4 * max(error, 1.0) else 0.0
