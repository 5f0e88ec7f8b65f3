"""What is to be done at a time: the few timed things of a loop besides its arrivals."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TypeAlias

Task: TypeAlias = Callable[[float], None]
"""Called with the present time in monotonic seconds."""


class Agenda:
    """Tasks by time. `next_at` is when the first of them is due; infinite when there is none."""

    __slots__ = ("_heap", "_number", "next_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._number = 0
        self.next_at = math.inf

    def at(self, when_s: float, task: Task) -> None:
        """Do `task` at `when_s`, or as soon after as the loop comes round."""
        self._number += 1
        heappush(self._heap, (when_s, self._number, task))
        self.next_at = self._heap[0][0]

    def run(self, now: float) -> None:
        """Do what is due at `now`; tasks that these add for `now` wait for the next call."""
        due: list[Task] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        self.next_at = self._heap[0][0] if self._heap else math.inf
        for task in due:
            task(now)

    def clear(self) -> None:
        """Forget every task."""
        self._heap.clear()
        self.next_at = math.inf
