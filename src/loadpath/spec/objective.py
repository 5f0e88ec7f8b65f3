"""Objectives: what counts as good enough, as thresholds on response time and on errors."""

from __future__ import annotations

import msgspec


class QuantileLimit(msgspec.Struct, frozen=True):
    """`quantile` (0 < quantile < 1) of the response time must not exceed `limit_s` seconds."""

    quantile: float
    limit_s: float


class Objective(msgspec.Struct, frozen=True):
    """Thresholds that must all hold. `errors_ratio` is the share of requests that may fail.

    `staleness_ratio` is the share of what a cache would answer that may be out of date; it bounds
    what is recommended and is no promise about the service as it is.
    """

    quantiles: tuple[QuantileLimit, ...] = (QuantileLimit(0.99, 0.1),)
    errors_ratio: float = 0.001
    staleness_ratio: float = 0.01
