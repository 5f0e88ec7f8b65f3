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


def lifetime(seconds: float) -> str:
    """A time to live as one would set it: `0.5 s`, `30 s`, `5 min`, `1 h`, `7 d`; `no end`."""
    if math.isinf(seconds):
        return "no end"
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s or seconds == length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds:.3g} s"


def data_size(size_bytes: float) -> str:
    """Bytes to three figures, in powers of 1,000: `512 B`, `4.2 kB`, `1.05 GB`."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(float(f"{value:.3g}")) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB" if value < 1000 else f"{value:,.0f} TB"


def share(ratio: float) -> str:
    """A percentage that never rounds to all or to none: `91.4 %`, `0.02 %`, `> 99.99 %`."""
    percent = 100 * ratio
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    near = min(percent, 100 - percent)
    if near < 0.01:
        return "< 0.01 %" if percent < 50 else "> 99.99 %"
    digits = 0 if near >= 10 else 1 if near >= 1 else 2
    return f"{percent:.{digits}f} %"
