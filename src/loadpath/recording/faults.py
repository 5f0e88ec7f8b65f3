"""faults.jsonl and outages.jsonl: what was done to the service and its dependencies, when, and
whether it hit; and what it should come to, foretold."""

from __future__ import annotations

import msgspec

from loadpath.answer import Interval
from loadpath.model.outage import Outage


class ReadyLook(msgspec.Struct, frozen=True, array_like=True):
    """One look at the service's readiness: when (monotonic s), and whether it said it was ready."""

    at_s: float
    ready: bool


class OutageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of outages.jsonl: what an outage should come to, written before its fault begins.

    `segment` is that of the load in which `fault` is done; it should last `lasts_s` from the onset.
    `operations` need what is out, and their requests do what `manner` says: `waits` or `fails`.
    `known` is what all of that is derived from, so that it can be for as long as it did last.
    `waiting` are the most requests without an answer at once, `retries` those sent again, `drain_s`
    how long after the heal there are no more than usual; each None where it cannot be told.
    `assumes` is what that rests on, `why` says why nothing could be told; empty: it could.
    """

    segment: int
    fault: str
    manner: str
    lasts_s: float = 0.0
    operations: tuple[str, ...] = ()
    known: Outage | None = None
    waiting: Interval | None = None
    retries: Interval | None = None
    drain_s: Interval | None = None
    assumes: tuple[str, ...] = ()
    why: str = ""


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of faults.jsonl: a fault during one segment. Times are monotonic seconds.

    `name` is what the command line calls it, `summary` what its kind does. `healed_s` None: it did
    not heal. `accepts_s`: when a service that was started again took connections, before it served
    (None: it was not, or that was not seen). `hits` 0: it hit nothing, and says nothing; `proof`
    says how that is known, `uncovered` what it could not reach, with how many connections each.
    `failed` says why it could not be done or healed; `ended` what part of the deployment ended by
    itself. `ready` are looks at the service's readiness while it lasted.
    """

    segment: int
    name: str
    target: str
    layer: str
    summary: str
    onset_s: float
    healed_s: float | None
    accepts_s: float | None = None
    hits: int
    proof: str
    uncovered: dict[str, int] = {}
    failed: str = ""
    ended: str = ""
    ready: tuple[ReadyLook, ...] = ()
