"""What the wires add to the answer on a bottleneck: its words and its lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.answer import Check, Line
from loadpath.experiment.attribution import Call, LoadPath
from loadpath.experiment.holding import ConnectionUse, connection_uses, server_side
from loadpath.experiment.knee import Hold
from loadpath.experiment.limits import usage_in
from loadpath.experiment.mixknee import MixKnee
from loadpath.experiment.traced import NAME
from loadpath.experiment.waiting import INSIDE, Wires, short_shape, waits
from loadpath.experiment.wires import recorded_paths, segment_of
from loadpath.figures import ms, per_second, times
from loadpath.recording import Recording

SHOWN_OPERATIONS = 2
"""So many operations are told of: the dearest, and the one that is slowest alone."""

SUSPICIONS_MAX = 3

_NOUNS = {"postgres": "statement", "http": "call", "valkey": "command", "nats": "message"}


def wires_of(recordings: Sequence[Recording], main: Recording, knee: MixKnee) -> Wires | None:
    """What the wires told; None where they were not read."""
    at = knee.above or knee.below
    opened = server_side(main, at.segment) if isinstance(at, Hold) else {}
    service = main.setup.service
    traced = next((r for r in recordings if r.name == NAME), None)
    paths = recorded_paths(traced) if traced else ()
    if not paths and service.dependencies:
        return None
    return Wires(
        paths=paths,
        uses=connection_uses(traced) if traced else (),
        open_at_knee={part: count for part, (count, _) in opened.items()},
        locked_at_knee={part: locked for part, (_, locked) in opened.items()},
        peers=tuple(service.peers),
    )


def wires_checks(recordings: Sequence[Recording], wires: Wires | None) -> tuple[Check, ...]:
    """At which rate the wires were read, and what that took; none where they were not."""
    traced = next((r for r in recordings if r.name == NAME), None)
    segment = segment_of(traced, NAME) if traced else None
    if traced is None or wires is None:
        return ()
    if segment is None:
        return (Check("wires", True, "wires read for single requests only"),)
    taps_cores = usage_in(traced, segment).cpu_cores("taps")
    rate_per_s = segment.arrivals / max(segment.ended_s - segment.started_s, 1e-9)
    if unread := [f"{use.dependency} ({use.unread})" for use in wires.uses if use.unread]:
        return (Check("wires", True, f"relayed, not read: connections to {', '.join(unread)}"),)
    said = f"wires read apart, at {per_second(rate_per_s)} (taps: {taps_cores * 100:.1f} %"
    return (Check("wires", True, f"{said} of a core)"),)


def pool_lines(wires: Wires | None, knee: MixKnee) -> list[Line]:
    """`database pool 10: fills at 3,400/s`, for each database."""
    if wires is None:
        return [Line("", "the wires were not read: what requests wait for is not known")]
    found = []
    for use in wires.uses:
        size = round(wires.open_at_knee.get(use.dependency, 0.0) or use.open_count)
        fills = use.fills_at_per_s(size)
        if use.kind != "postgres" or fills is None:
            continue
        beside = f", {times(fills / knee.rate.value)} the knee" if knee.rate else ""
        said = f"{use.dependency} pool {size}: fills at {per_second(fills)}{beside}"
        found.append(Line("", said, _holding(use)))
    return found


def _holding(use: ConnectionUse) -> str:
    per_request = use.held_per_request_s
    said = f"a request holds one for {ms(per_request)}"
    if use.holds and abs(per_request / use.held_mean_s - 1) > 0.1:
        return f"{said}, {ms(use.held_mean_s)} at a time (p99 {ms(use.held_p99_s)})"
    return f"{said} (p99 {ms(use.held_p99_s)})"


def shown(paths: Sequence[LoadPath], dearest: str | None) -> list[LoadPath]:
    """The load paths that the answer tells of: the dearest operation's and the slowest's."""
    slowest = sorted(paths, key=lambda path: -path.response_time_s)
    first = [path for path in paths if path.operation == dearest]
    return [*first, *(path for path in slowest if path not in first)][:SHOWN_OPERATIONS]


def wait_words(path: LoadPath) -> str:
    """`4.1 ms a request alone, 83 % of it one statement to database: SELECT … FROM short_url`."""
    parts = waits([path], {path.operation: 1.0})
    if not parts:
        return ""
    most = parts[0]
    head = f"{ms(path.response_time_s)} a request alone, {most.ratio * 100:.0f} % of it"
    if most.dependency == INSIDE or most.dearest is None:
        return f"{head} inside the service"
    return f"{head} {_calls_words(path, most.dearest)}"


def _calls_words(path: LoadPath, dearest: Call) -> str:
    noun = _NOUNS.get(dearest.kind, "call")
    every = sum(
        call.calls
        for call in path.calls
        if call.dependency == dearest.dependency and not call.after_reply and not call.pushed
    )
    shape = short_shape(dearest)
    if every <= 1.05:
        return f"one {noun} to {dearest.dependency}: {shape}"
    share = dearest.time_s / max(path.response_time_s, 1e-9)
    often = "" if dearest.calls <= 1.05 else f"{dearest.calls:.3g} × "
    return (
        f"{every:.3g} {noun}s to {dearest.dependency}, dearest {often}{shape} ({share * 100:.0f} %)"
    )


def suspicion_lines(paths: Sequence[LoadPath]) -> list[Line]:
    """What else a reviewer would ask about, of every operation; the rest is in the figures."""
    found = [(path.operation, each) for path in paths for each in path.suspicions]
    lines = [
        Line(operation, f"also: {'' if each.certain else 'perhaps '}{each.said}", each.advice)
        for operation, each in found[:SUSPICIONS_MAX]
    ]
    if left := len(found) - len(lines):
        lines.append(Line("", f"{left} more of the kind: loadpath check shows them"))
    return lines
