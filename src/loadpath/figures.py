"""Figures as people say them: milliseconds, rates, multiples. Seconds and 1/s come in."""

from __future__ import annotations

import math


def ms(seconds: float | None) -> str:
    """Milliseconds to two or three figures: `0.38 ms`, `4.1 ms`, `250 ms`.

    `never` for infinite, `–` for nothing.
    """
    if seconds is None or math.isnan(seconds):
        return "–"
    if math.isinf(seconds):
        return "never"
    value = seconds * 1000
    if value >= 10:
        return f"{value:,.0f} ms"
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2g} ms"


def per_second(rate_per_s: float) -> str:
    """A rate to three significant figures: `2,930/s`, `482/s`, `48.2/s`, `0.5/s`."""
    rounded = float(f"{rate_per_s:.3g}")
    if rounded >= 100:
        return f"{rounded:,.0f}/s"
    return f"{rounded:g}/s"


def times(scale: float) -> str:
    """A multiple to two significant figures: `14 ×`, `1.8 ×`, `0.25 ×`."""
    if scale >= 9.95:
        return f"{scale:,.0f} ×"
    return f"{scale:.1f} ×" if scale >= 1 else f"{scale:.2g} ×"
