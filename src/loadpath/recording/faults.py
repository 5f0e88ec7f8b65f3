"""faults.jsonl: what was done to the service and its dependencies, when, and whether it hit."""

from __future__ import annotations

import msgspec


class ReadyLook(msgspec.Struct, frozen=True, array_like=True):
    """One look at the service's readiness: when (monotonic s), and whether it said it was ready."""

    at_s: float
    ready: bool


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of faults.jsonl: a fault during one segment. Times are monotonic seconds.

    `name` is what the command line calls it, `summary` what its kind does. `healed_s` None: it did
    not heal. `hits` 0: it hit nothing, and says nothing; `proof` says how that is known,
    `uncovered` what it could not reach, with how many connections each. `failed` says why it could
    not be done or healed; `ended` what part of the deployment ended by itself. `ready` are looks
    at the service's readiness while it lasted.
    """

    segment: int
    name: str
    target: str
    layer: str
    summary: str
    onset_s: float
    healed_s: float | None
    hits: int
    proof: str
    uncovered: dict[str, int] = {}
    failed: str = ""
    ended: str = ""
    ready: tuple[ReadyLook, ...] = ()
