"""How the service used its connections: open, busy, held; and the rate that would fill them all.

A connection is held from the first byte of a call, or of a transaction's first one, until the reply
that leaves it free. Times from the wire are a lower bound of what a pool lends: how long a
connection was out before its first call, and after its last, does not cross it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from loadpath.experiment.assess import responses
from loadpath.experiment.attribution import Crossing
from loadpath.experiment.knee import measured_window
from loadpath.experiment.limits import IDLE_STATES
from loadpath.experiment.wires import recorded_crossings, segment_of
from loadpath.recording import Recording, SegmentRecord
from loadpath.stats.quantiles import quantile

Span = tuple[float, float]


class ConnectionUse(msgspec.Struct, frozen=True, kw_only=True):
    """The service's connections to one dependency at a modest load.

    `open_count` and `busy_max` are the most at once, `busy_mean` over the time, `busy_ratio` the
    latter's share of those that were open. `holds` is how often one was held, for `held_mean_s`
    each; `held_per_request_s` are connection-seconds per request of the mix. `unread`: why some of
    them could not be read, or None.
    """

    dependency: str
    kind: str
    open_count: int
    busy_max: int
    busy_mean: float
    busy_ratio: float
    holds: int
    held_mean_s: float
    held_p99_s: float
    held_per_request_s: float
    unread: str | None

    def fills_at_per_s(self, size: float) -> float | None:
        """The rate of the mix at which so many connections are all held, all the time."""
        return size / self.held_per_request_s if self.held_per_request_s > 0 else None


def connection_uses(traced: Recording) -> tuple[ConnectionUse, ...]:
    """Each dependency that was connected to while the mix was driven with taps on the wires."""
    segment = segment_of(traced, "traced")
    if segment is None:
        return ()
    from_s, to_s = segment.started_s, segment.ended_s
    asked = len(responses(traced.requests(segment.index)))
    crossed = recorded_crossings(traced, segment)
    rows = traced.connections(segment.index)
    found = []
    for dependency in traced.setup.service.dependencies:
        own = rows["tap"] == dependency.name
        if not own.any() or not asked:
            continue
        closed_s = np.where(np.isnan(rows["closed_s"][own]), np.inf, rows["closed_s"][own])
        lived = list(zip(rows["opened_s"][own].tolist(), closed_s.tolist(), strict=True))
        opened = [(max(a, from_s), min(b, to_s)) for a, b in lived if a < to_s and b > from_s]
        held = [
            span
            for span in holds([c for c in crossed if c.dependency == dependency.name])
            if from_s <= span[0] < to_s
        ]
        lasted_s = [until - since for since, until in held]
        busy_s = sum(min(until, to_s) - since for since, until in held)
        open_s = sum(until - since for since, until in opened)
        reasons = [reason for reason in rows["unread"][own].tolist() if reason]
        found.append(
            ConnectionUse(
                dependency=dependency.name,
                kind=dependency.kind,
                open_count=most_at_once(opened),
                busy_max=most_at_once(held),
                busy_mean=busy_s / (to_s - from_s),
                busy_ratio=busy_s / open_s if open_s > 0 else 0.0,
                holds=len(held),
                held_mean_s=sum(lasted_s) / len(held) if held else 0.0,
                held_p99_s=quantile(lasted_s, 0.99) if held else 0.0,
                held_per_request_s=sum(lasted_s) / asked,
                unread=reasons[0] if reasons else None,
            )
        )
    return tuple(found)


def holds(crossings: Sequence[Crossing]) -> list[Span]:
    """From when to when connections were held, each by one call or one transaction at a time.

    `crossings` in the order they began. What a server sends unasked holds nothing.
    """
    found: list[Span] = []
    by_connection: dict[int, list[Crossing]] = {}
    for each in crossings:
        if not each.pushed:
            by_connection.setdefault(each.connection, []).append(each)
    for mine in by_connection.values():
        current: Span | None = None
        in_transaction = False
        for each in mine:
            if current is not None and (in_transaction or each.began_s < current[1]):
                current = (current[0], max(current[1], each.ended_s))
            else:
                if current is not None:
                    found.append(current)
                current = (each.began_s, each.ended_s)
            in_transaction = each.transaction != "none"
        if current is not None:
            found.append(current)
    return sorted(found)


def most_at_once(spans: Sequence[Span]) -> int:
    """How many of them overlap at most; one that ends as another begins does not."""
    steps = sorted([(until, -1) for _, until in spans] + [(since, 1) for since, _ in spans])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def server_side(main: Recording, segment: SegmentRecord) -> dict[str, tuple[float, float]]:
    """By database that was watched: connections open in a segment, and how many of them waited for
    a lock of the database, both on average."""
    rows = main.table("postgres", segment.index)
    from_s, to_s = measured_window(segment)
    inside = (rows["at_s"] >= from_s) & (rows["at_s"] < to_s)
    found = {}
    for part in sorted(set(rows["part"][inside])):
        chosen = inside & (rows["part"] == part)
        samples = len(np.unique(rows["at_s"][chosen]))
        backends = rows["backends"][chosen].astype(float)
        busy = ~np.isin(rows["state"][chosen], IDLE_STATES)
        locked = busy & (rows["wait_event_type"][chosen] == "Lock")
        found[str(part)] = (backends.sum() / samples, backends[locked].sum() / samples)
    return found
