"""How many requests a cache answers, from how often each key is asked for."""

from __future__ import annotations

import numpy as np

from loadpath.spec import KeySet
from loadpath.stats.quantiles import Floats

RANKS_EXACT = 1 << 20
BINS = 4096
"""Ranks beyond that many are taken together, so many groups of them: neighbors that far down are
asked for equally often but for a thousandth."""


def hit_ratio(rate_per_s: float, ttl_s: float, keys: KeySet | None) -> float:
    """The share of requests that find their key filled less than `ttl_s` ago, in the long run.

    Requests for one key come at a rate l (a part of the Poisson arrivals); what fills it is used
    for `ttl_s` from then on, so of l * ttl + 1 requests all but one are hits (Jung, Berger &
    Balakrishnan 2003). `keys` None: all requests are for the same. No limit on how much is kept.
    """
    if keys is None:
        shares, sizes = np.ones(1), np.ones(1)
    else:
        shares, sizes = _popularity(keys)
    expected = rate_per_s * shares * ttl_s
    return float((sizes * shares * expected / (1 + expected)).sum())


def _popularity(keys: KeySet) -> tuple[Floats, Floats]:
    """The share of requests of a key by rank, and of how many keys alike."""
    if keys.distribution == "uniform" or keys.exponent == 0:
        return np.array([1 / keys.count]), np.array([float(keys.count)])
    exact = min(keys.count, RANKS_EXACT)
    ranks = np.arange(1, exact + 1, dtype=np.float64)
    sizes = np.ones(exact)
    if keys.count > exact:
        edges = np.unique(np.geomspace(exact + 1, keys.count + 1, BINS).round())
        ranks = np.r_[ranks, np.sqrt(edges[:-1] * (edges[1:] - 1))]
        sizes = np.r_[sizes, np.diff(edges)]
    weights = ranks**-keys.exponent
    return weights / float((weights * sizes).sum()), sizes
