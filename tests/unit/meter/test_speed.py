"""The machine's speed, by a fixed piece of work."""

from __future__ import annotations

import time

from loadpath.meter import fixed_work_s


def test_it_is_cpu_time_of_this_thread_and_repeatable() -> None:
    began_s = time.thread_time()
    found = sorted(fixed_work_s() for _ in range(5))
    used_s = time.thread_time() - began_s
    assert found[0] > 0
    # Each is the least of five tries, so all tries together took at least five times as long.
    assert used_s >= 5 * sum(found) * 0.99
