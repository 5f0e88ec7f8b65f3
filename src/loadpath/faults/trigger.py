"""When a fault begins, and which of the things that it is about it takes: pure."""

from __future__ import annotations

import msgspec

from loadpath.faults.quantities import count_words, duration_words, rate_words


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """All of it must hold.

    `at_s` counts from the start of the load; `at_rate_per_s` is a load that must be reached;
    `for_s` is how long until it heals (None: as the plan says). `after` is the name of a fault
    that must have hit something before. The rest is for faults of a tap and is about the pieces,
    connections or units that they see: the `nth` alone, the `first` so many, a `probability`, drawn
    with `seed`.
    """

    at_s: float | None = None
    at_rate_per_s: float | None = None
    for_s: float | None = None
    nth: int | None = None
    first: int | None = None
    probability: float | None = None
    seed: int = 1
    after: str | None = None

    @property
    def picks(self) -> bool:
        """Whether it chooses among what passes, which only a tap can do."""
        return self.nth is not None or self.first is not None or self.probability is not None


def is_due(
    trigger: Trigger, *, elapsed_s: float, rate_per_s: float, have_hit: frozenset[str]
) -> bool:
    """Whether a fault may begin now: so long after the load began, at that rate of arrivals.

    `have_hit` are the names of the faults that have hit something.
    """
    if trigger.at_s is not None and elapsed_s < trigger.at_s:
        return False
    if trigger.at_rate_per_s is not None and rate_per_s < trigger.at_rate_per_s:
        return False
    return trigger.after is None or trigger.after in have_hit


def trigger_words(trigger: Trigger) -> str:
    """The clauses that say it, each behind a comma; `language.parse_fault` takes them back."""
    said = []
    if trigger.at_s is not None:
        said.append(f"at {duration_words(trigger.at_s)}")
    if trigger.at_rate_per_s is not None:
        said.append(f"at {rate_words(trigger.at_rate_per_s)}")
    if trigger.for_s is not None:
        said.append(f"for {duration_words(trigger.for_s)}")
    if trigger.nth is not None:
        said.append(f"only {count_words(trigger.nth)}")
    if trigger.first is not None:
        said.append(f"first {trigger.first}")
    if trigger.probability is not None:
        said.append(f"{trigger.probability * 100:g}% of the time")
    if trigger.seed != 1:
        said.append(f"seed {trigger.seed}")
    if trigger.after is not None:
        said.append(f"after {trigger.after}")
    return "".join(f", {clause}" for clause in said)
