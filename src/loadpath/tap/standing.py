"""An order that stands: what it was about so far, and which of that it takes."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from loadpath.tap.orders import AnyOrder, OrderState


class Standing:
    """One order at one tap. `has_hit` says of another order's number whether it has hit."""

    def __init__(
        self, number: int, tap: str, order: AnyOrder, has_hit: Callable[[int], bool]
    ) -> None:
        self.number = number
        self.tap = tap
        self.order = order
        self.draw = random.Random(order.when.seed)
        self.seen = 0
        self.hits = 0
        self.uncovered: Counter[str] = Counter()
        self._first_hit_s: float | None = None
        self._last_hit_s: float | None = None
        self._has_hit = has_hit

    def taken(self) -> bool:
        """Count one more thing that the order is about; whether it takes it."""
        when = self.order.when
        if when.after is not None and not self._has_hit(when.after):
            return False
        self.seen += 1
        if when.nth is not None and self.seen != when.nth:
            return False
        if when.first is not None and self.hits >= when.first:
            return False
        if when.probability < 1.0 and self.draw.random() >= when.probability:
            return False
        self.hit()
        return True

    def hit(self, count: int = 1) -> None:
        """Count things that were taken without being asked for."""
        if count <= 0:
            return
        now_s = time.monotonic()
        self.hits += count
        if self._first_hit_s is None:
            self._first_hit_s = now_s
        self._last_hit_s = now_s

    def unhit(self) -> None:
        """What was taken was not hit after all."""
        self.hits -= 1

    def state(self) -> OrderState:
        """What it has come to."""
        return OrderState(
            number=self.number,
            tap=self.tap,
            seen=self.seen,
            hits=self.hits,
            first_hit_s=self._first_hit_s,
            last_hit_s=self._last_hit_s,
            uncovered=dict(self.uncovered),
        )
