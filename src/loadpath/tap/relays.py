"""All taps of the process: opened, recorded while a window lasts, counted."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import time
from collections.abc import Mapping
from pathlib import Path

from loadpath.errors import LoadpathError
from loadpath.tap.link import Link
from loadpath.tap.listener import Listener
from loadpath.tap.orders import AnyOrder, OrderState
from loadpath.tap.pieces import Pieces
from loadpath.tap.plan import Place, Stats, Tap, Window, WindowResult
from loadpath.tap.readers import READERS, Reader
from loadpath.tap.recorder import Block, ConnectionRow, Recorder
from loadpath.tap.standing import Standing
from loadpath.tap.statements import KeptStatement, StatementKeeper
from loadpath.tap.tables import Meaning, Tables
from loadpath.wire import Exchange

_STATM = Path("/proc/self/statm")


class Relays:
    """The listeners of this process, and the recorder that they share.

    One window at a time. All its methods are called in the loop.
    """

    def __init__(self, readers: Mapping[str, Reader] = READERS) -> None:
        self._readers = readers
        self._listeners: list[Listener] = []
        self._open: dict[str, Listener] = {}
        self._numbers = itertools.count(1)
        self._pieces = Pieces()
        self._recorder = Recorder(self._write)
        self._tables = Tables()
        self._keeper = StatementKeeper()
        self._window: Window | None = None
        self._began_s = 0.0
        self._cpu_before_s = 0.0
        self._orders: dict[int, Standing] = {}
        self._order_numbers = itertools.count(1)

    async def open(self, tap: Tap) -> Place:
        """Listen for one tap; where. A tap of the same name is closed. Raises `LoadpathError`."""
        self.close_tap(tap.name)
        listener = Listener(
            tap,
            len(self._listeners),
            reader=self._readers.get(tap.kind),
            sink=self,
            pieces=self._pieces,
            next_number=self._numbers.__next__,
            reading=self._window is None or self._window.reading,
        )
        try:
            place = await listener.open()
        except OSError as error:
            raise LoadpathError(
                f"the tap of {tap.name} could not listen at {tap.listen}: {error}"
            ) from None
        self._listeners.append(listener)
        self._open[tap.name] = listener
        return place

    def close_tap(self, name: str) -> None:
        """Close the tap of that name, if there is one, and its connections."""
        listener = self._open.pop(name, None)
        if listener is not None:
            listener.close()

    def begin(self, window: Window) -> None:
        """Record from now on. Raises `LoadpathError` while another window is recorded."""
        if self._window is not None:
            raise LoadpathError(
                f"segment {self._window.segment} is still being recorded; end it first"
            )
        self._pieces.read_all()  # they came before it began
        self._tables.begin(window)
        self._window = window
        for listener in self._open.values():
            listener.read(window.reading)
        self._cpu_before_s = cpu_s()
        self._began_s = time.monotonic()
        self._recorder.begin()

    async def end(self) -> WindowResult:
        """Record no more; returns once the tables are written.

        Raises `LoadpathError` when none is recorded, `RecordingError` when they cannot be written.
        """
        window, tables = self._window, self._tables
        if window is None:
            raise LoadpathError("no window is being recorded")
        ended_s = time.monotonic()
        self._pieces.read_all()
        block = self._recorder.end()
        assert block is not None, "a window has a block"
        self._window = None
        for listener in self._listeners:
            block.connections.extend(ConnectionRow(link) for link in listener.links)
            if not window.reading and listener.tap.name in self._open:
                listener.read(True)
        meaning = self._meaning()
        tables.add(block, meaning, last=True)
        await asyncio.to_thread(tables.end, meaning)
        return WindowResult(
            segment=window.segment,
            began_s=self._began_s,
            ended_s=ended_s,
            exchange_count=self._recorder.exchange_count,
            lost_exchanges=tables.lost_exchanges,
            cpu_s=cpu_s() - self._cpu_before_s,
            unread={
                self._listeners[index].tap.name: dict(counts)
                for index, counts in self._recorder.unread.items()
            },
        )

    def statements(self) -> list[KeptStatement]:
        """Hand over what was kept of statements."""
        self._pieces.read_all()
        kept = self._keeper.statements()
        self._keeper = StatementKeeper()
        return kept

    async def order(self, tap: str, order: AnyOrder) -> int:
        """Have a tap obey an order from now on; the order's number. Raises `LoadpathError`."""
        listener = self._open.get(tap)
        if listener is None:
            raise LoadpathError(f"there is no tap {tap}; there are: {', '.join(self._open)}")
        self._pieces.read_all()  # what a conversation knows is what has passed
        number = next(self._order_numbers)
        standing = Standing(number, tap, order, self._has_hit)
        await listener.order(standing)
        self._orders[number] = standing
        return number

    async def withdraw(self, number: int) -> OrderState:
        """Have an order obeyed no more; what it has come to. Raises `LoadpathError`."""
        standing = self._standing(number)
        listener = self._open.get(standing.tap)
        if listener is not None:
            await listener.withdraw(standing)
        return standing.state()

    def order_state(self, number: int) -> OrderState:
        """What an order has come to so far, also once it is withdrawn. Raises `LoadpathError`."""
        return self._standing(number).state()

    def _standing(self, number: int) -> Standing:
        if number not in self._orders:
            raise LoadpathError(f"no order {number} was ever given to the taps")
        return self._orders[number]

    def _has_hit(self, number: int) -> bool:
        return number in self._orders and self._orders[number].hits > 0

    def stats(self) -> Stats:
        """How the process and its taps stand."""
        self._pieces.read_all()
        return Stats(
            pid=os.getpid(),
            cpu_s=cpu_s(),
            rss_bytes=resident_bytes(),
            faults=dict(self._recorder.faults),
            taps=[listener.state() for listener in self._open.values()],
        )

    def close(self) -> None:
        """Close every tap; what was being recorded is given up."""
        for name in list(self._open):
            self.close_tap(name)
        self._pieces.close()
        self._recorder.end()
        self._tables.close()

    # What the listeners tell

    def take(self, tap: int, connection: int, finished: list[Exchange]) -> None:
        """Record exchanges."""
        self._recorder.take(tap, connection, finished)
        if self._window is not None and self._listeners[tap].tap.keep_parameters:
            self._keeper.take(self._listeners[tap].tap.name, finished)

    def gone(self, link: Link) -> None:
        """Record a connection that is over."""
        self._recorder.gone(link)

    def became_unread(self, tap: int, reason: str) -> None:
        """Count a connection that is not read any more."""
        self._recorder.became_unread(tap, reason)

    def fault(self, what: str) -> None:
        """Count something that went wrong in here."""
        self._recorder.fault(what)

    def _write(self, block: Block) -> None:
        self._tables.add(block, self._meaning())

    def _meaning(self) -> Meaning:
        return Meaning(
            taps=tuple(listener.tap.name for listener in self._listeners),
            shapings=tuple(listener.shaping for listener in self._listeners),
            verbs=tuple(self._recorder.verbs.words),
            errors=tuple(self._recorder.errors.words),
        )


def cpu_s() -> float:
    """CPU time of this process so far, user and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_bytes() -> int:
    """Resident memory of this process."""
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except OSError:  # not Linux: the highest it ever was, in kilobytes or, on macOS, in bytes
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return highest if os.uname().sysname == "Darwin" else highest * 1024
    return pages * resource.getpagesize()
