"""What a request waits for, by its load path; and what a limit at the knee is therefore one on.

The knee is measured without taps: there it is known how many requests were in service, and that the
CPU was idle. What those requests were doing is known from the wires at a modest load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loadpath.experiment.attribution import Call, LoadPath, short
from loadpath.experiment.concurrency import InService
from loadpath.experiment.holding import ConnectionUse
from loadpath.experiment.limits import Resource
from loadpath.figures import ms

MOST = 0.5
"""What takes this share of a request's time is what it waits for."""

SAME_COUNT = 0.25
"""So far may the number in service be from that of connections, for these to be the limit; and
always half a one."""

SHAPE_WIDTH = 60

INSIDE = ""
"""The dependency's name where no call is under way: the service itself."""


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request's response time: `time_s`, which is `ratio` of it, with calls to
    `dependency` under way (`INSIDE`: none). `dearest` is the call that most of it goes to."""

    dependency: str
    kind: str
    time_s: float
    ratio: float
    dearest: Call | None


class Wires(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from the wires, beside the knee.

    `open_at_knee` and `locked_at_knee` are from the database itself: its connections, and those
    that waited for a lock of it. `peers` are addresses called that are no declared dependency.
    Without `paths` the service has no wires: it depends on nothing.
    """

    paths: tuple[LoadPath, ...]
    uses: tuple[ConnectionUse, ...]
    open_at_knee: dict[str, float]
    locked_at_knee: dict[str, float]
    peers: tuple[str, ...]

    def use(self, dependency: str) -> ConnectionUse | None:
        """How connections to that one were used."""
        return next((use for use in self.uses if use.dependency == dependency), None)


def waits(paths: Sequence[LoadPath], weights: Mapping[str, float]) -> list[Wait]:
    """Where the time of a request of that mix goes, the longest first. Calls under way at once to
    two dependencies count for both."""
    total = sum(weights.get(path.operation, 0.0) for path in paths)
    mean_s = sum(weights.get(p.operation, 0.0) * p.response_time_s for p in paths)
    if total <= 0 or mean_s <= 0:
        return []
    spent: dict[str, float] = {}
    dearest: dict[str, tuple[float, Call]] = {}
    for path in paths:
        weight = weights.get(path.operation, 0.0) / total
        spent[INSIDE] = spent.get(INSIDE, 0.0) + weight * path.inside_s
        for use in path.uses:
            spent[use.dependency] = spent.get(use.dependency, 0.0) + weight * use.time_s
        for call in path.calls:
            time_s = weight * call.time_s
            most_s, _ = dearest.get(call.dependency, (0.0, call))
            if time_s > most_s and not call.after_reply and not call.pushed:
                dearest[call.dependency] = (time_s, call)
    found = [
        Wait(
            dependency=name,
            kind=dearest[name][1].kind if name in dearest else "",
            time_s=time_s,
            ratio=time_s * total / mean_s,
            dearest=dearest[name][1] if name in dearest else None,
        )
        for name, time_s in spent.items()
    ]
    return sorted(found, key=lambda wait: -wait.time_s)


def explained(
    resource: Resource | None,
    found: InService | None,
    wires: Wires,
    weights: Mapping[str, float],
) -> Resource | None:
    """What ran out, named by what requests were doing meanwhile; as it is where that is not known.

    CPU needs no explanation. Connections that were all busy are named with what held them, or with
    the lock that they waited for; a limit on requests in service with what these were doing.
    """
    if resource is None or resource.kind not in {"pool", "limit"}:
        return resource
    if resource.kind == "pool":
        return _of_a_pool(resource, wires, weights)
    if found is None:
        return resource
    parts = waits(wires.paths, weights)
    if not parts:
        return _of_the_service(resource, found, wires)
    most = parts[0]
    if most.ratio < MOST:
        split = ", ".join(f"{part.ratio * 100:.0f} % {_where(part)}" for part in parts[:3])
        return msgspec.structs.replace(
            resource, name=f"{found.words()} while the CPU is idle", note=f"of a request, {split}"
        )
    if most.dependency == INSIDE:
        return _of_the_service(resource, found, wires)
    return _of_a_dependency(resource, found, wires, most)


def _of_a_pool(resource: Resource, wires: Wires, weights: Mapping[str, float]) -> Resource:
    count = wires.open_at_knee.get(resource.part, 0.0)
    locked = wires.locked_at_knee.get(resource.part, 0.0)
    if count and locked >= MOST * count:
        return msgspec.structs.replace(
            resource,
            kind="limit",
            name=f"a lock in {resource.part}",
            note=f"{locked:.0f} of {count:.0f} connections waited for one",
        )
    parts = waits(wires.paths, weights)
    own = next((part for part in parts if part.dependency == resource.part), None)
    return msgspec.structs.replace(resource, note=_held(wires.use(resource.part), own))


def _of_the_service(resource: Resource, found: InService, wires: Wires) -> Resource:
    unread = next((use for use in wires.uses if use.unread is not None), None)
    where, what = "inside the service, on no wire", "a pool, a lock or a sleep"
    if unread is not None:
        where = f"inside the service or in {unread.dependency}"
        what = f"connections to {unread.dependency} could not be read: {unread.unread}"
    elif wires.peers:
        where = "inside the service or in a peer that is no declared dependency"
        what = ", ".join(wires.peers)
    name = f"{found.words()} while the CPU is idle, {where}"
    return msgspec.structs.replace(resource, name=name, note=what)


def _of_a_dependency(resource: Resource, found: InService, wires: Wires, most: Wait) -> Resource:
    count = max(1, round(found.requests))
    idle = "while the CPU is idle"
    use = wires.use(most.dependency)
    opened = wires.open_at_knee.get(most.dependency)
    name = f"about {count} call{'s' if count > 1 else ''} at once to {most.dependency} {idle}"
    note = f"{ms(most.time_s)} of a request each, {most.ratio * 100:.0f} % of it"
    if most.dearest is not None:
        note += f": {short_shape(most.dearest)}"
    if most.kind == "postgres" and opened and _is_about(found.requests, opened):
        size = f"{opened:.0f} connection{'s' if round(opened) != 1 else ''}"
        name, note = f"a pool of {size} to {most.dependency} {idle}", _held(use, most)
    elif most.kind == "postgres" and opened and opened > found.requests:
        note += f", with {opened:.0f} connections open: a lock, or a queue behind them"
    return msgspec.structs.replace(resource, part=most.dependency, name=name, note=note)


def _is_about(requests: float, opened: float) -> bool:
    return abs(requests - opened) <= max(0.5, SAME_COUNT * opened)


def _held(use: ConnectionUse | None, part: Wait | None) -> str:
    if use is None or not use.holds:
        return ""
    said = f"each request holds one for {ms(use.held_per_request_s)}"
    if part is None or part.dearest is None:
        return said
    return f"{said}, {part.ratio * 100:.0f} % of its time: {short_shape(part.dearest)}"


def _where(part: Wait) -> str:
    return f"in {part.dependency}" if part.dependency != INSIDE else "inside the service"


def short_shape(call: Call) -> str:
    """What tells a call from others, in few columns."""
    text = call.shape if call.kind == "postgres" else f"{call.verb} {call.shape}".strip()
    if call.kind == "http" and call.shape.startswith(call.verb):
        text = call.shape
    return short.short_shape(text, SHAPE_WIDTH)
