"""The taps as the rest of Loadpath sees them: a process of their own behind an async context."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

import msgspec

from loadpath import errors
from loadpath.errors import LoadpathError
from loadpath.tap import messages
from loadpath.tap.messages import (
    CONTROL_FD,
    Answer,
    AskOrder,
    AskStats,
    BeginWindow,
    Begun,
    Came,
    Command,
    Ended,
    EndWindow,
    Failed,
    GiveOrder,
    Opened,
    OpenTap,
    Ordered,
    Told,
    WithdrawOrder,
)
from loadpath.tap.orders import AnyOrder, OrderState
from loadpath.tap.plan import Place, Stats, Tap, Window, WindowResult

SERVICE = "service"
"""The name of the tap before the service itself."""

END_TIMEOUT_S = 5.0

_A = TypeVar("_A", Opened, Begun, Ended, Told, Ordered, Came)


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def returncode(self) -> int | None:
        """None while it runs; −N when signal N ended it."""
        ...

    async def wait(self) -> int:
        """Wait until it has ended."""
        ...

    def signal(self, sig: int) -> None:
        """Send it a signal."""
        ...


class Spawn(Protocol):
    """Starts a process, as `Guard.spawn` of loadpath.deploy does."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fds: Mapping[int, int] | None = None,
        stdout: int | None = None,
    ) -> Child:
        """Start `argv`; `fds` maps descriptors of the child to ours."""
        ...


class HostAndPort(Protocol):
    """An address, as `Address` of loadpath.deploy: a struct of a host and a port."""

    @property
    def host(self) -> str:
        """Its name or number."""
        ...

    @property
    def port(self) -> int:
        """Its TCP port."""
        ...


_Address = TypeVar("_Address", bound=HostAndPort)


class Taps:
    """Relays in a process of their own, one for each dependency that `wrap` is asked about.

    `kinds` says by name what the dependencies are. Their bytes pass from the first connection on;
    they are recorded between `begin` and `end`. Leaving the context ends the process, and with it
    every connection through it. Any method raises `LoadpathError` when the process is gone; so does
    everything the service does through it, which `died` tells from the service's own failures.
    """

    def __init__(
        self, kinds: Mapping[str, str], *, spawn: Spawn, stderr_fd: int | None = None
    ) -> None:
        self._kinds = dict(kinds)
        self._spawn = spawn
        self._stderr_fd = stderr_fd
        self._asking = asyncio.Lock()
        self._child: Child | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """The tap process: its CPU time is no part's of what is measured."""
        assert self._child is not None, "the taps have not been started"
        return self._child.pid

    async def __aenter__(self) -> Taps:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._child = await self._spawn(
                    [sys.executable, "-m", "loadpath.tap"],
                    name="taps",
                    fds={CONTROL_FD: theirs.fileno()},
                    stdout=self._stderr_fd,
                )
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def wrap(self, name: str, address: _Address) -> _Address:
        """Stand a tap before the dependency of that name; where the service shall connect.

        It fits `wrap` of loadpath.deploy.Deployment. A name that was wrapped before gets a new tap.
        """
        place = await self.open(
            Tap(name, self._kinds.get(name, ""), Place(address.host, address.port))
        )
        return msgspec.convert({"host": place.host, "port": place.port}, type(address))

    async def wrap_service(self, address: _Address) -> _Address:
        """Stand a tap before the service itself; where the load shall go."""
        place = await self.open(Tap(SERVICE, "http", Place(address.host, address.port)))
        return msgspec.convert({"host": place.host, "port": place.port}, type(address))

    async def open(self, tap: Tap) -> Place:
        """Open one tap; where it listens. Raises `LoadpathError` when it cannot listen there."""
        return (await self._ask(OpenTap(tap), Opened)).place

    async def begin(self, window: Window) -> None:
        """Record what passes from now on, in the tables of a segment."""
        await self._ask(BeginWindow(window), Begun)

    async def end(self) -> WindowResult:
        """Record no more; the tables are written when this returns.

        Raises `RecordingError` when they could not be written.
        """
        return (await self._ask(EndWindow(), Ended)).result

    async def stats(self) -> Stats:
        """What the process has used, and what each tap has seen."""
        return (await self._ask(AskStats(), Told)).stats

    async def order(self, tap: str, order: AnyOrder) -> int:
        """Have the tap of that name obey an order from now on; the order's number.

        Raises `LoadpathError` when there is no such tap or it cannot obey.
        """
        return (await self._ask(GiveOrder(tap, order), Ordered)).number

    async def withdraw(self, number: int) -> OrderState:
        """Have an order obeyed no more; what it has come to."""
        return (await self._ask(WithdrawOrder(number), Came)).state

    async def order_state(self, number: int) -> OrderState:
        """What an order has come to so far."""
        return (await self._ask(AskOrder(number), Came)).state

    async def died(self) -> LoadpathError:
        """Wait until the tap process ends by itself; the error that says so."""
        assert self._child is not None, "the taps have not been started"
        code = await self._child.wait()
        return _gone(_exit_words(code))

    async def _ask(self, command: Command, wanted: type[_A]) -> _A:
        # Shielded: the answer to a cancelled command would be taken for that to the next one.
        answer = await asyncio.shield(asyncio.ensure_future(self._answer(command)))
        if isinstance(answer, Failed):
            kind = getattr(errors, answer.kind, None)
            if isinstance(kind, type) and issubclass(kind, LoadpathError):
                raise kind(answer.message, advice=answer.advice)
            raise LoadpathError(f"the tap process failed: {answer.message}")
        if isinstance(answer, wanted):
            return answer
        raise LoadpathError(
            f"the tap process answered {type(answer).__name__} to {type(command).__name__}"
        )

    async def _answer(self, command: Command) -> Answer:
        async with self._asking:
            if self._writer is None:
                raise LoadpathError("the taps are not running")
            try:
                self._writer.write(messages.encode(command))
                size = int.from_bytes(await self._reader.readexactly(messages.LENGTH_BYTES))
                return messages.decode_answer(await self._reader.readexactly(size))
            except (asyncio.IncompleteReadError, ConnectionError):
                raise _gone(await self._how_it_ended()) from None

    async def _how_it_ended(self) -> str:
        assert self._child is not None
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                return _exit_words(await self._child.wait())
        except TimeoutError:
            return "closed its control socket"

    async def _end(self) -> None:
        """Close the control socket, which ends the process; kill it when that does not."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
            self._writer = None
        if self._child is None:
            return
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._child.wait()
        except TimeoutError:
            self._child.signal(signal.SIGKILL)
            await self._child.wait()


def _exit_words(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def _gone(how: str) -> LoadpathError:
    return LoadpathError(
        f"the tap process {how}, and with it every connection between the service and its "
        "dependencies; what the service did from then on says nothing about it",
        advice="Run it again.",
    )
