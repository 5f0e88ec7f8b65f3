"""What stands in a direction of a connection while an order about its bytes does: gates.

A gate is fed every piece and the end, and passes on what it will, when it will, through `out` and
`out_end`. `close` lets go of what it holds. Gates of one direction form a chain; without any, the
bytes go straight to the other side and nothing of this costs anything.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

from loadpath.tap import orders

Taken: TypeAlias = Callable[[], bool]
"""Whether the next piece is one that the order takes; counts it."""

HELD_MAX_BYTES = 1 << 20
"""So much is held before nothing more is read: the sender will notice in the end."""


class Line(Protocol):
    """The connection that a gate stands in, seen from one direction of it."""

    def hold(self) -> None:
        """Read nothing more from the sender for now."""
        ...

    def go_on(self) -> None:
        """Read on."""
        ...

    def sever(self, reset: bool) -> None:
        """End both connections, by a reset or in order."""
        ...


class Gate:
    """Passes everything on. Base of the others.

    `stays`: its connection is never the same again, so it remains when its order is withdrawn.
    """

    def __init__(self, line: Line, taken: Taken) -> None:
        self.stays = False
        self.line = line
        self.taken = taken
        self.out: Callable[[bytes], None] = _nowhere
        self.out_end: Callable[[], None] = _nobody

    def feed(self, data: bytes) -> None:
        """A piece has come."""
        self.out(data)

    def end(self) -> None:
        """Nothing more will come."""
        self.out_end()

    @property
    def holding(self) -> bool:
        """Whether the sender is kept waiting."""
        return False

    def close(self) -> None:
        """The order is withdrawn: pass on what is held."""

    def discard(self) -> None:
        """The connection is gone: nothing is passed on any more."""


class TimedGate(Gate):
    """Passes pieces on at a time that each is given, in order."""

    def __init__(self, line: Line, taken: Taken) -> None:
        super().__init__(line, taken)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last_s = 0.0

    @property
    def holding(self) -> bool:
        return self._held_bytes > HELD_MAX_BYTES

    def put(self, data: bytes | None, at_s: float) -> None:
        """Pass `data` (None: the end) on at a time of the loop's clock, never before earlier."""
        self._last_s = max(self._last_s, at_s)
        self._waiting.append((self._last_s, data))
        if data is not None:
            self._held_bytes += len(data)
        if self._timer is None:
            self._timer = self._loop.call_at(self._last_s, self._look)
        if self.holding:
            self.line.hold()

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def end(self) -> None:
        if self._waiting:
            self.put(None, self._last_s)
        else:
            self.out_end()

    def close(self) -> None:
        self._release(float("inf"))

    def discard(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        # uvloop's timers have whole milliseconds.
        self._release(self._loop.time() + 0.0005)

    def _release(self, until_s: float) -> None:
        was_holding = self.holding
        while self._waiting and self._waiting[0][0] <= until_s:
            _, data = self._waiting.popleft()
            if data is None:
                self.out_end()
            else:
                self._held_bytes -= len(data)
                self.out(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._look)
        if was_holding and not self.holding:
            self.line.go_on()


class DelayGate(TimedGate):
    """`orders.Delay`."""

    def __init__(self, line: Line, taken: Taken, order: orders.Delay, draw: random.Random) -> None:
        super().__init__(line, taken)
        self._order = order
        self._draw = draw

    def feed(self, data: bytes) -> None:
        if self.taken():
            jitter_s = self._order.jitter_s
            late_s = self._order.delay_s + (self._draw.uniform(-jitter_s, jitter_s))
            self.put(data, self.now() + max(0.0, late_s))
        elif self._waiting:
            self.put(data, 0.0)
        else:
            self.out(data)


class ThrottleGate(TimedGate):
    """`orders.Throttle`: passed on in pieces of a fiftieth of a second's worth."""

    def __init__(self, line: Line, taken: Taken, order: orders.Throttle) -> None:
        super().__init__(line, taken)
        self._rate = order.bytes_per_s
        self._piece = max(1, int(order.bytes_per_s / 50))
        self._free_s = 0.0

    def feed(self, data: bytes) -> None:
        if not self.taken():
            self.put(data, 0.0)
            return
        for at in range(0, len(data), self._piece):
            piece = data[at : at + self._piece]
            self._free_s = max(self._free_s, self.now()) + len(piece) / self._rate
            self.put(piece, self._free_s)


class SliceGate(TimedGate):
    """`orders.Slice`."""

    def __init__(self, line: Line, taken: Taken, order: orders.Slice) -> None:
        super().__init__(line, taken)
        self._order = order
        self._free_s = 0.0

    def feed(self, data: bytes) -> None:
        if not self.taken():
            self.put(data, 0.0)
            return
        for at in range(0, len(data), self._order.size_bytes):
            self.put(data[at : at + self._order.size_bytes], max(self._free_s, self.now()))
            self._free_s = max(self._free_s, self.now()) + self._order.pause_s


class StallGate(Gate):
    """`orders.Stall`."""

    def __init__(self, line: Line, taken: Taken) -> None:
        super().__init__(line, taken)
        self._held: list[bytes] = []
        self._ended = False

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def feed(self, data: bytes) -> None:
        if not self._held and not self.taken():
            self.out(data)
            return
        self._held.append(data)
        self.line.hold()

    def end(self) -> None:
        # A stalled wire carries no end either: the other machine learns nothing.
        self._ended = True

    def close(self) -> None:
        held, self._held = self._held, []
        for data in held:
            self.out(data)
        if self._ended:
            self.out_end()
        self.line.go_on()

    def discard(self) -> None:
        self._held.clear()
        self._ended = False


class HalfOpenGate(Gate):
    """`orders.HalfOpen`. It stays in its connection for good once it has swallowed something."""

    def __init__(self, line: Line, taken: Taken) -> None:
        super().__init__(line, taken)
        self._closed = False

    def feed(self, data: bytes) -> None:
        if self._closed and self.stays:
            self.line.sever(reset=True)
        elif self.stays or (not self._closed and self.taken()):
            self.stays = True
        else:
            self.out(data)

    def end(self) -> None:
        if not self.stays:
            self.out_end()
        elif self._closed:
            self.line.sever(reset=True)

    def close(self) -> None:
        self._closed = True


class SeverGate(Gate):
    """`orders.Sever`, for what is sent after it came."""

    def __init__(self, line: Line, taken: Taken, order: orders.Sever) -> None:
        super().__init__(line, taken)
        self._reset = order.reset

    def feed(self, data: bytes) -> None:
        if self.taken():
            self.line.sever(self._reset)
        else:
            self.out(data)


class CutGate(Gate):
    """`orders.CutAt`."""

    def __init__(self, line: Line, taken: Taken, order: orders.CutAt) -> None:
        super().__init__(line, taken)
        self._left = order.at_byte

    def feed(self, data: bytes) -> None:
        if len(data) < self._left or self._left < 0:
            self._left -= len(data) if self._left >= 0 else 0
            self.out(data)
        elif self.taken():
            self.out(data[: self._left])
            self.line.sever(reset=True)
        else:
            self._left = -1
            self.out(data)


def gate_of(order: orders.StreamOrder, line: Line, taken: Taken, draw: random.Random) -> Gate:
    """The gate that does what an order says."""
    match order:
        case orders.Delay():
            return DelayGate(line, taken, order, draw)
        case orders.Throttle():
            return ThrottleGate(line, taken, order)
        case orders.Slice():
            return SliceGate(line, taken, order)
        case orders.Stall():
            return StallGate(line, taken)
        case orders.HalfOpen():
            return HalfOpenGate(line, taken)
        case orders.Sever():
            return SeverGate(line, taken, order)
        case orders.CutAt():
            return CutGate(line, taken, order)


def _nowhere(data: bytes) -> None:
    """Where pieces go that come when nobody is left to take them."""


def _nobody() -> None:
    """The same for an end."""
