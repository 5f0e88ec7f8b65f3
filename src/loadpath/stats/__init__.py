"""Statistics of what was measured: quantiles, intervals, steady state, comparison, knee. Pure."""

from loadpath.stats.batches import batch_means, design_effect, lag1_correlation
from loadpath.stats.compare import Comparison, Verdict, compare, interleaved, judge_ratio
from loadpath.stats.intervals import (
    clustered_ratio_interval,
    correlated_ratio_interval,
    mean_interval,
    quantile_interval,
    ratio_interval,
    ratio_of_pairs_interval,
    response_quantile_interval,
    sectioned_quantile_interval,
)
from loadpath.stats.knee import KneeResult, KneeSearch
from loadpath.stats.quantiles import quantile, quantiles
from loadpath.stats.steady import Trend, Truncation, is_drifting, trend, warmup

__all__ = [
    "Comparison",
    "KneeResult",
    "KneeSearch",
    "Trend",
    "Truncation",
    "Verdict",
    "batch_means",
    "clustered_ratio_interval",
    "compare",
    "correlated_ratio_interval",
    "design_effect",
    "interleaved",
    "is_drifting",
    "judge_ratio",
    "lag1_correlation",
    "mean_interval",
    "quantile",
    "quantile_interval",
    "quantiles",
    "ratio_interval",
    "ratio_of_pairs_interval",
    "response_quantile_interval",
    "sectioned_quantile_interval",
    "trend",
    "warmup",
]
