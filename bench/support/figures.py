"""Figures of a benchmark: measured round by round, shown with what is asked of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadpath.stats.intervals import ratio_of_pairs_interval


@dataclass
class Figure:
    """One row: what was measured in each round. `at_most` or `at_least` is what is asked of it."""

    name: str
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where nothing is asked."""
        if self.at_most is None and self.at_least is None:
            return ""
        met = (self.at_most is None or self.median <= self.at_most) and (
            self.at_least is None or self.median >= self.at_least
        )
        return "met" if met else "missed"

    @property
    def asked(self) -> str:
        if self.at_most is not None:
            return f"≤ {shown(self.at_most)}"
        return "" if self.at_least is None else f"≥ {shown(self.at_least)}"

    @property
    def spread(self) -> str:
        if len(self.values) < 2:
            return ""
        return f"{shown(min(self.values))} – {shown(max(self.values))}"


@dataclass(frozen=True)
class Ratio:
    """Ours ÷ a peer's over rounds that ran next to each other, with its 90 % interval."""

    name: str
    value: float
    low: float
    high: float
    at_most: float | None = None

    @property
    def verdict(self) -> str:
        if self.at_most is None:
            return ""
        return "met" if self.value <= self.at_most else "missed"

    @property
    def text(self) -> str:
        if math.isinf(self.high):  # a single round
            return f"{self.value:.2f} ×"
        return f"{self.value:.2f} × ({self.low:.2f} – {self.high:.2f})"


class Figures:
    """The rows of one benchmark, in the order in which they were first noted."""

    def __init__(self) -> None:
        self.rows: dict[str, Figure] = {}
        self.ratios: list[Ratio] = []

    def note(
        self,
        name: str,
        unit: str,
        value: float,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Add a round's value to a row."""
        row = self.rows.setdefault(name, Figure(name, unit, at_most, at_least))
        row.values.append(value)

    def ratio(self, ours: str, peer: str, *, at_most: float | None = None) -> None:
        """Compare two rows, paired round by round, where both were measured in each."""
        one, other = self.rows.get(ours), self.rows.get(peer)
        if one is None or other is None or len(one.values) != len(other.values):
            return
        found = ratio_of_pairs_interval(other.values, one.values, 0.9)
        self.ratios.append(Ratio(f"{ours} ÷ {peer}", found.value, found.low, found.high, at_most))

    @property
    def missed(self) -> list[str]:
        """What was asked and not reached."""
        rows = [row.name for row in self.rows.values() if row.verdict == "missed"]
        return rows + [ratio.name for ratio in self.ratios if ratio.verdict == "missed"]

    def as_text(self) -> str:
        """The rows for a terminal."""
        width = max((len(name) for name in self.rows), default=0)
        lines = [
            f"{row.name:{width}} {shown(row.median):>8} {row.unit:3} {row.spread:17} "
            f"{row.asked:8} {row.verdict}".rstrip()
            for row in self.rows.values()
        ]
        lines += [f"{ratio.name}: {ratio.text} {ratio.verdict}".rstrip() for ratio in self.ratios]
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """The rows as tables of a page."""
        lines = ["| figure | median | rounds | asked | |", "|---|---:|---|---|---|"]
        lines += [
            f"| {row.name} | {shown(row.median)} {row.unit} | {row.spread} | {row.asked} | "
            f"{row.verdict} |"
            for row in self.rows.values()
        ]
        if self.ratios:
            lines += ["", "| in the same rounds | ratio (90 % interval) | asked | |"]
            lines += ["|---|---|---|---|"]
            lines += [
                f"| {ratio.name} | {ratio.text} | "
                f"{'' if ratio.at_most is None else f'≤ {ratio.at_most:.3g}'} | {ratio.verdict} |"
                for ratio in self.ratios
            ]
        return "\n".join(lines)


def shown(value: float) -> str:
    """Three significant figures."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
