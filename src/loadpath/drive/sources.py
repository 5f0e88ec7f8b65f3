"""Where arrivals come from while a segment runs: a schedule drawn ahead, or users who think."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import Protocol

import numpy as np

from loadpath.drive.arrivals import expected_arrivals, open_arrivals, think_times
from loadpath.drive.mix import Job, Made, Mix, stream_rng
from loadpath.drive.operations import CompiledWorkload
from loadpath.drive.plan import WHOLE, ClosedLoad, OpenLoad, Part, Segment
from loadpath.errors import ConfigurationError

ARRIVALS_MAX = 30_000_000  # a schedule takes some 30 bytes an arrival

_CHUNK = 256  # jobs made ready at a time: long enough to be cheap, short enough not to be late
_LOW = 64  # jobs left when more are made ready
_TAKES_S = 0.0002  # that takes about half of this
_BLOCK = 8192  # draws of a closed load at a time
_BACKGROUND_FLOWS = 1 << 31  # flow numbers of the background load begin here


class Source(Protocol):
    """Arrivals in the order they are due. `next_due` is infinite when none is known."""

    next_due: float

    @property
    def taken(self) -> int:
        """Arrivals taken so far."""
        ...

    def begin(self, start_s: float) -> None:
        """Fix when the schedule starts; before anything else."""
        ...

    def take(self) -> Job:
        """The next arrival; only when `next_due` has come."""
        ...

    def prepare(self, now: float) -> None:
        """Make later arrivals ready when few are left and the next one leaves time for it."""
        ...

    def completed(self, flow: int, now: float) -> None:
        """The operation of that flow number is over."""
        ...

    def stop(self) -> None:
        """No further arrivals."""
        ...


class OpenSource:
    """A schedule drawn ahead, begun at `start_s`; requests are made ready a chunk at a time.

    Every part draws the whole schedule and keeps its own arrivals, so that the schedule is the same
    however many there are.
    """

    def __init__(
        self,
        load: OpenLoad,
        duration_s: float,
        mix: Mix,
        rng: np.random.Generator,
        first_flow: int = 0,
        part: Part = WHOLE,
    ) -> None:
        times = open_arrivals(load, duration_s, rng)
        self._times = times[part.index :: part.of]
        self._mix = mix
        self._drawn = mix.draw(len(times)).of(part)
        self._first_flow = first_flow + part.index
        self._flow_step = part.of
        self._start_s = 0.0
        self._made = 0
        self._ready: list[Job] = []  # the next arrival is the last
        self.next_due = math.inf
        self.taken = 0

    def begin(self, start_s: float) -> None:
        """Fix when the schedule starts."""
        self._start_s = start_s
        self._make_ready()

    def take(self) -> Job:
        job = self._ready.pop()
        self.taken += 1
        if self._ready:
            self.next_due = self._ready[-1][2]
        else:
            self._make_ready()
        return job

    def prepare(self, now: float) -> None:
        left = len(self._ready)
        if left < _LOW and (self.next_due - now > _TAKES_S or left < _LOW // 4):
            self._make_ready()

    def completed(self, flow: int, now: float) -> None:
        """Nothing: arrivals do not wait for replies."""

    def stop(self) -> None:
        self._ready.clear()
        self._made = len(self._times)
        self.next_due = math.inf

    def _make_ready(self) -> None:
        low, high = self._made, min(self._made + _CHUNK, len(self._times))
        self._made = high
        if low == high:
            self.next_due = self._ready[-1][2] if self._ready else math.inf
            return
        due = (self._times[low:high] + self._start_s).tolist()
        first, step = self._first_flow, self._flow_step
        flows = range(first + low * step, first + high * step, step)
        operations, codes, requests = self._mix.requests(self._drawn, low, high)
        later = list(zip(flows, operations, due, codes, requests, strict=True))
        later.reverse()
        self._ready = later + self._ready
        self.next_due = self._ready[-1][2]


class ClosedSource:
    """Users: each does its next operation a think time after its last one was over.

    A part has every so-manieth user, and flow number n is the same operation in whichever part.
    """

    def __init__(
        self,
        load: ClosedLoad,
        duration_s: float,
        mix: Mix,
        rng: np.random.Generator,
        part: Part = WHOLE,
    ) -> None:
        self._part = part
        self._load = load
        self._duration_s = duration_s
        self._mix = mix
        self._rng = rng
        self._end_s = math.inf
        self._due: list[float] = []
        self._thinks: list[float] = []
        self._drawn = mix.draw(_BLOCK).of(part)
        self._blocks = 1
        self._made = 0
        self._ready: list[tuple[int, int, Made]] = []
        self.next_due = math.inf
        self.taken = 0

    def begin(self, start_s: float) -> None:
        """Fix when users begin: each after a first think time."""
        self._end_s = start_s + self._duration_s
        first = think_times(self._load.think_time_s, self._load.users, self._rng)
        first = first[self._part.index :: self._part.of]
        self._due = [at for at in (first + start_s).tolist() if at < self._end_s]
        heapify(self._due)
        self._make_ready()
        self._see_next()

    def take(self) -> Job:
        due = heappop(self._due)
        flow = self.taken * self._part.of + self._part.index
        self.taken += 1
        operation, code, request = self._ready.pop()
        if not self._ready:
            self._make_ready()
        self.next_due = self._due[0] if self._due else math.inf
        return flow, operation, due, code, request

    def prepare(self, now: float) -> None:
        left = len(self._ready)
        if left < _LOW and (self.next_due - now > _TAKES_S or left < _LOW // 4):
            self._make_ready()

    def completed(self, flow: int, now: float) -> None:
        if not self._thinks:
            drawn = think_times(self._load.think_time_s, _BLOCK * self._part.of, self._rng)
            self._thinks = drawn[self._part.index :: self._part.of].tolist()
        due = now + self._thinks.pop()
        if due < self._end_s:
            heappush(self._due, due)
            self.next_due = self._due[0]

    def stop(self) -> None:
        self._end_s = -math.inf
        self._due.clear()
        self.next_due = math.inf

    def _see_next(self) -> None:
        self.next_due = self._due[0] if self._due else math.inf

    def _make_ready(self) -> None:
        if self._made == len(self._drawn.operations):
            self._drawn = self._mix.draw(_BLOCK).of(self._part, self._blocks * _BLOCK)
            self._blocks += 1
            self._made = 0
        low, high = self._made, min(self._made + _CHUNK, len(self._drawn.operations))
        self._made = high
        later = list(zip(*self._mix.requests(self._drawn, low, high), strict=True))
        later.reverse()
        self._ready = later + self._ready


class BothSources:
    """A load and a second, open one under it."""

    def __init__(self, main: OpenSource | ClosedSource, background: OpenSource) -> None:
        self._main = main
        self._background = background
        self.next_due = math.inf

    @property
    def taken(self) -> int:
        """Arrivals of both."""
        return self._main.taken + self._background.taken

    def begin(self, start_s: float) -> None:
        """Begin both."""
        self._main.begin(start_s)
        self._background.begin(start_s)
        self._see_next()

    def take(self) -> Job:
        main, background = self._main, self._background
        job = main.take() if main.next_due <= background.next_due else background.take()
        self._see_next()
        return job

    def prepare(self, now: float) -> None:
        self._main.prepare(now)
        self._background.prepare(now)

    def completed(self, flow: int, now: float) -> None:
        if flow < _BACKGROUND_FLOWS:
            self._main.completed(flow, now)
            self._see_next()

    def stop(self) -> None:
        self._main.stop()
        self._background.stop()
        self.next_due = math.inf

    def _see_next(self) -> None:
        self.next_due = min(self._main.next_due, self._background.next_due)


def check_load(load: OpenLoad | ClosedLoad, duration_s: float) -> None:
    """Raise `ConfigurationError` for a load that cannot be driven."""
    if isinstance(load, ClosedLoad):
        if load.users < 1 or not 0 <= load.think_time_s < math.inf:
            raise ConfigurationError(
                f"expected at least one user and a think time of 0 s or more, "
                f"got {load.users} and {load.think_time_s:g}"
            )
        return
    rates = (
        [load.rate_per_s] if load.end_rate_per_s is None else [load.rate_per_s, load.end_rate_per_s]
    )
    lowest = 0.0 if len(rates) == 1 else 1e-6
    if not all(lowest <= rate < math.inf for rate in rates) or not 0 < duration_s < math.inf:
        raise ConfigurationError(
            f"expected rates above zero and a duration above zero, "
            f"got {' to '.join(f'{rate:g}/s' for rate in rates)} for {duration_s:g} s"
        )
    if expected_arrivals(load, duration_s) > ARRIVALS_MAX:
        raise ConfigurationError(
            f"{expected_arrivals(load, duration_s):,.0f} arrivals in one segment are more than "
            f"{ARRIVALS_MAX:,}",
            advice="Drive several shorter segments.",
        )


def draw_source(
    segment: Segment,
    workload: CompiledWorkload,
    default: dict[str, float],
    seed: int,
    part: Part = WHOLE,
) -> OpenSource | ClosedSource | BothSources:
    """The arrivals of a segment, or of one part of it; call `begin` next.

    They are drawn by `seed` and the segment's index, the same whatever the number of parts.
    `default` are the weights of a segment that says none. Raises `ConfigurationError` for weights
    or rates that cannot be driven.
    """

    check_load(segment.load, segment.duration_s)
    if segment.background is not None:
        check_load(segment.background, segment.duration_s)

    def mix(weights: dict[str, float], stream: int) -> Mix:
        return Mix(workload, *workload.weights(weights), stream_rng(seed, segment.index, stream))

    def clock(stream: int) -> np.random.Generator:
        return stream_rng(seed, segment.index, stream)

    main_mix = mix(segment.weights or default, 0)
    main: OpenSource | ClosedSource
    if isinstance(segment.load, OpenLoad):
        main = OpenSource(segment.load, segment.duration_s, main_mix, clock(1), part=part)
    else:
        main = ClosedSource(segment.load, segment.duration_s, main_mix, clock(1), part)
    if segment.background is None or not segment.background_weights:
        return main
    return BothSources(
        main,
        OpenSource(
            segment.background,
            segment.duration_s,
            mix(segment.background_weights, 2),
            clock(3),
            first_flow=_BACKGROUND_FLOWS,
            part=part,
        ),
    )
