"""What a fault did to the wires: calls a request, new connections, how many were open. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[np.generic]]

HERD_S = 0.1
"""A herd comes within so long of the heal, or it is none."""

HERD_WINDOW_S = 2.0
"""How long after the heal it is looked for."""


class WireCourse(msgspec.Struct, frozen=True, kw_only=True):
    """One wire during a fault. Rates are per request due then, peaks per `HERD_S`.

    `calls_*` are exchanges begun and `opened_*` connections opened per request; `open_*` the most
    connections open at once. `calls_peak_*` and `opened_peak_*`: the most in `HERD_S`, before the
    onset and within `HERD_WINDOW_S` of the heal. `calls_usual` are calls and connections in the
    control: what came before may have been the end of another fault.
    """

    calls_before: float
    calls_during: float
    calls_after: float
    opened_before: float
    opened_during: float
    opened_after: float
    calls_peak_before: int
    calls_peak_after: int
    opened_peak_before: int
    opened_peak_after: int
    open_before: int
    open_most: int
    calls_usual: float = 0.0

    @property
    def amplification(self) -> float:
        """Calls and attempts to connect per request, at the most, as a multiple of before."""
        before = max(self.calls_before + self.opened_before, self.calls_usual)
        most = max(self.calls_during + self.opened_during, self.calls_after + self.opened_after)
        return most / before if before > 0 else float("nan")


def wire_courses(
    exchanges: Columns,
    connections: Columns,
    due_s: Floats,
    span: tuple[float, float],
    onset_s: float,
    healed_s: float,
    usual: Mapping[str, float] | None = None,
) -> dict[str, WireCourse]:
    """By tap. `due_s` are the requests of the segment, which lasted over `span`; `usual` what
    `calls_in` says of the control."""
    windows = ((span[0], onset_s), (onset_s, healed_s), (healed_s, span[1]))
    requests = [max(1, _within(due_s, *window)) for window in windows]
    found = {}
    for tap in sorted({str(name) for name in connections["tap"]}):
        own = (exchanges["tap"] == tap) & ~np.asarray(exchanges["pushed"], dtype=bool)
        began_s = np.asarray(exchanges["began_s"], dtype=float)[own]
        mine = connections["tap"] == tap
        opened_s = np.asarray(connections["opened_s"], dtype=float)[mine]
        closed_s = _closed_by_client(connections)[mine]
        calls = [_within(began_s, *w) / n for w, n in zip(windows, requests, strict=True)]
        opened = [_within(opened_s, *w) / n for w, n in zip(windows, requests, strict=True)]
        herd = (healed_s, min(healed_s + HERD_WINDOW_S, span[1]))
        found[tap] = WireCourse(
            calls_before=calls[0],
            calls_during=calls[1],
            calls_after=calls[2],
            opened_before=opened[0],
            opened_during=opened[1],
            opened_after=opened[2],
            calls_peak_before=_peak(began_s, *windows[0]),
            calls_peak_after=_peak(began_s, *herd),
            opened_peak_before=_peak(opened_s, *windows[0]),
            opened_peak_after=_peak(opened_s, *herd),
            open_before=_open_most(opened_s, closed_s, span[0], onset_s),
            open_most=_open_most(opened_s, closed_s, onset_s, span[1]),
            calls_usual=(usual or {}).get(tap, 0.0),
        )
    return found


def calls_in(exchanges: Columns, connections: Columns, requests: int) -> dict[str, float]:
    """By tap, calls begun and connections opened per request in a whole segment."""
    asked = exchanges["tap"][~np.asarray(exchanges["pushed"], dtype=bool)].tolist()
    counts = Counter([*asked, *connections["tap"].tolist()])
    return {str(tap): count / max(1, requests) for tap, count in counts.items()}


def _closed_by_client(connections: Columns) -> Floats:
    """When the service was done with each: a server that is stopped closes none, so what the
    service gave up would count as its own until the heal. 0: recorded before this was."""
    closed_s = np.asarray(connections["closed_s"], dtype=float)
    left_s = np.asarray(connections["left_s"], dtype=float)
    return np.where(left_s > 0, left_s, closed_s)


def _within(at_s: Floats, from_s: float, to_s: float) -> int:
    return int(np.count_nonzero((at_s >= from_s) & (at_s < to_s)))


def _peak(at_s: Floats, from_s: float, to_s: float) -> int:
    """The most in any `HERD_S` of the span that begins with one of them."""
    inside = np.sort(at_s[(at_s >= from_s) & (at_s < to_s)])
    if not len(inside):
        return 0
    return int((np.searchsorted(inside, inside + HERD_S) - np.arange(len(inside))).max())


def _open_most(opened_s: Floats, closed_s: Floats, from_s: float, to_s: float) -> int:
    until = np.where(np.isnan(closed_s), np.inf, closed_s)
    alive = (opened_s < to_s) & (until > from_s)
    if not alive.any():
        return 0
    at = np.concatenate((np.maximum(opened_s[alive], from_s), until[alive]))
    step = np.concatenate((np.ones(alive.sum()), -np.ones(alive.sum())))
    # One that closes as another opens was not open with it.
    order = np.lexsort((step, at))
    return int(np.cumsum(step[order]).max())
