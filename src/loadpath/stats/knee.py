"""Looking for the load at which an objective is first missed, with answers that may be wrong.

Pure: `next_rate` follows from what was observed alone, so a search replayed from a recording takes
the same steps. A rate may be asked for again. Each answer is a vote; the knee lies where the fewest
votes contradict a system that meets its objective below and misses it above (the most likely step,
when every vote is wrong with the same probability), so one disturbed stretch does not decide.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from loadpath.answer import Interval


class Votes(msgspec.Struct):
    """What was seen at one rate. `undecided` are stretches that could not tell."""

    rate: float
    met: int = 0
    missed: int = 0
    undecided: int = 0
    log_ratios: list[float] = []

    @property
    def times(self) -> int:
        """How often this rate was observed."""
        return self.met + self.missed + self.undecided

    @property
    def margin(self) -> int:
        """By how many votes it was met (negative: missed)."""
        return self.met - self.missed


class KneeResult(msgspec.Struct, frozen=True):
    """Where the knee is. `low` is the highest rate that is met, `high` the lowest that is missed.

    `low` None: missed at every rate tried; `high` None: met at every one; `knee` is None then.
    `settled`: the search ended by itself, within its tolerance, rather than for want of
    observations. `contradicting` counts votes on the wrong side of the knee.
    """

    low: float | None
    high: float | None
    knee: Interval | None
    settled: bool
    observations: int
    contradicting: int


class KneeSearch:
    """A search for the knee: ask `next_rate`, observe that rate, until it is None.

    It goes from `start` by the factor `growth`, up while the objective is met or down while it is
    missed, then halves the bracket (on a logarithmic scale) until its ends differ by `tolerance` at
    most. A stretch that could not tell, and a contradiction, are repeated up to `repeats` times in
    all; both ends are `confirmations` votes sure in the end. Rates stay in [`floor`, `ceiling`] and
    are multiples of `step` when that is given. `observations_max` bounds the whole.
    """

    def __init__(
        self,
        start: float,
        *,
        growth: float = 1.5,
        tolerance: float = 0.05,
        repeats: int = 3,
        confirmations: int = 2,
        observations_max: int = 30,
        floor: float = 0.0,
        ceiling: float = math.inf,
        step: float = 0.0,
        confidence: float = 0.95,
    ) -> None:
        if not (0 <= floor <= start <= ceiling and start > 0):
            raise ValueError(f"the start {start} must lie above 0, within [{floor}, {ceiling}]")
        if growth <= 1 or tolerance <= 0:
            raise ValueError("growth must be above 1 and tolerance above 0")
        self._start = start
        self._growth = growth
        self._tolerance = tolerance
        self._repeats = repeats
        self._confirmations = min(confirmations, repeats)
        self._observations_max = observations_max
        self._floor = floor
        self._ceiling = ceiling
        self._step = step
        self._confidence = confidence
        self._votes: list[Votes] = []

    def observe(self, rate: float, met: bool | None, ratio: float | None = None) -> None:
        """Take the outcome of one stretch at `rate` (any rate, not only the one asked for).

        `met` None: it could not tell. `ratio` is the quantile divided by its limit, if known; it
        places the knee within the bracket.
        """
        votes = self._at(rate)
        if met is None:
            votes.undecided += 1
        elif met:
            votes.met += 1
        else:
            votes.missed += 1
        if ratio is not None and 0 < ratio < math.inf:
            votes.log_ratios.append(math.log(ratio))

    def next_rate(self) -> float | None:
        """The rate to observe next; None when there is nothing more to learn, or no budget."""
        return None if self._observations() >= self._observations_max else self._wanted()

    def result(self) -> KneeResult:
        """Where the knee is by what was observed so far."""
        low, high = self._bracket()
        contradicting = sum(v.missed for v in self._votes if low and v.rate <= low.rate)
        contradicting += sum(v.met for v in self._votes if high and v.rate >= high.rate)
        return KneeResult(
            low=low.rate if low else None,
            high=high.rate if high else None,
            knee=self._knee(low, high) if low and high else None,
            settled=bool(self._votes) and self._wanted() is None,
            observations=self._observations(),
            contradicting=contradicting,
        )

    def _wanted(self) -> float | None:
        if not self._votes:
            return self._start
        low, high = self._bracket()
        doubtful = self._contradictions(low, high)
        if doubtful:
            return doubtful[0].rate
        if high is None and self._votes[-1].rate < self._ceiling:
            return self._repeated_edge(self._votes[-1]) or self._above(self._votes[-1].rate)
        if low is None and (below := self._below(self._votes[0].rate)):
            return self._repeated_edge(self._votes[0]) or below
        return self._within(low, high) or self._unconfirmed(low, high)

    def _within(self, low: Votes | None, high: Votes | None) -> float | None:
        """A rate between the ends of the bracket that would narrow it."""
        if low is None or high is None:
            return None
        inside = [v for v in self._votes if low.rate < v.rate < high.rate]
        for votes in inside:
            if votes.times < self._repeats:
                return votes.rate
        rates = [low.rate, *(v.rate for v in inside), high.rate]
        for below, above in sorted(pairwise(rates), key=lambda gap: gap[0] / gap[1]):
            middle = self._snap(math.sqrt(below * above))
            if above / below > 1 + self._tolerance and below < middle < above:
                return middle
        return None

    def _unconfirmed(self, low: Votes | None, high: Votes | None) -> float | None:
        """An end of the bracket that rests on too few votes."""
        for votes in (high, low):
            sure = votes is None or abs(votes.margin) >= self._confirmations
            if votes is not None and not sure and votes.times < self._repeats:
                return votes.rate
        return None

    def _contradictions(self, low: Votes | None, high: Votes | None) -> list[Votes]:
        """Rates whose own votes speak against the bracket and that may still be asked again."""

        def speaks_against(v: Votes) -> bool:
            if low is not None and v.rate <= low.rate:
                return v.missed > 0 and v.margin <= 0
            if high is not None and v.rate >= high.rate:
                return v.met > 0 and v.margin >= 0
            # Between the ends votes cancel each other: without a contradiction there are none.
            return v.met + v.missed > 0

        doubtful = [v for v in self._votes if v.times < self._repeats and speaks_against(v)]
        return sorted(doubtful, key=lambda v: (v.times, v.rate))

    def _repeated_edge(self, votes: Votes) -> float | None:
        """The outermost rate again, while it could not tell which way to go on."""
        undecided = votes.margin == 0 and votes.times < self._repeats
        return votes.rate if undecided else None

    def _above(self, rate: float) -> float:
        above = max(self._snap(rate * self._growth), rate + self._step)
        return min(above, self._ceiling)

    def _below(self, rate: float) -> float | None:
        """The next rate down; None at the floor."""
        below = max(min(self._snap(rate / self._growth), rate - self._step), self._floor)
        return below if 0 < below < rate else None

    def _snap(self, rate: float) -> float:
        return round(rate / self._step) * self._step if self._step else rate

    def _bracket(self) -> tuple[Votes | None, Votes | None]:
        """The most likely step: the rates next below and above, as far apart as ties leave them."""
        below = 0
        above = sum(v.met for v in self._votes)
        costs = [below + above]
        for votes in self._votes:
            below += votes.missed
            above -= votes.met
            costs.append(below + above)
        least = min(costs)
        first = costs.index(least)
        last = len(costs) - 1 - costs[::-1].index(least)
        low = self._votes[first - 1] if first > 0 else None
        high = self._votes[last] if last < len(self._votes) else None
        return low, high

    def _knee(self, low: Votes, high: Votes) -> Interval:
        share = 0.5
        if low.log_ratios and high.log_ratios:
            under = sum(low.log_ratios) / len(low.log_ratios)
            over = sum(high.log_ratios) / len(high.log_ratios)
            if under < 0 < over:
                share = -under / (over - under)
        return Interval(
            low.rate * (high.rate / low.rate) ** share,
            low.rate,
            high.rate,
            self._confidence,
            "bracket of the most likely step",
            self._observations(),
        )

    def _observations(self) -> int:
        return sum(v.times for v in self._votes)

    def _at(self, rate: float) -> Votes:
        """The votes for a rate; one that differs by a sliver only is the same."""
        for votes in self._votes:
            if abs(votes.rate - rate) <= self._tolerance / 10 * rate:
                return votes
        made = Votes(rate)
        self._votes.append(made)
        self._votes.sort(key=lambda v: v.rate)
        return made
