"""The taps as the rest of Loadpath sees them: a process of their own behind an async context."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, TypeVar

import msgspec

from loadpath.control.asking import Asker
from loadpath.control.link import Link, Spawn, exit_words
from loadpath.errors import LoadpathError
from loadpath.tap.messages import (
    CODEC,
    AskOrder,
    AskStatements,
    AskStats,
    BeginWindow,
    Begun,
    Came,
    Ended,
    EndWindow,
    GiveOrder,
    Kept,
    Opened,
    OpenTap,
    Ordered,
    Told,
    WithdrawOrder,
)
from loadpath.tap.orders import AnyOrder, OrderState
from loadpath.tap.plan import Place, Stats, Tap, Window, WindowResult
from loadpath.tap.statements import KeptStatement

SERVICE = "service"
"""The name of the tap before the service itself."""


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

    With `keep_parameters` the process keeps, in its memory, some of what statements are run with:
    `statements` fetches that. With `digest_replies` exchanges are recorded with a digest of what
    came back.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        *,
        spawn: Spawn,
        stderr_fd: int | None = None,
        keep_parameters: bool = False,
        digest_replies: bool = False,
    ) -> None:
        self._keep_parameters = keep_parameters
        self._digest_replies = digest_replies
        self._kinds = dict(kinds)
        self._link = Link("loadpath.tap", name="taps", spawn=spawn, stderr_fd=stderr_fd)
        self._asker = Asker(self._link, CODEC, "tap process", _gone)

    @property
    def pid(self) -> int:
        """The tap process: its CPU time is no part's of what is measured."""
        return self._link.pid

    async def __aenter__(self) -> Taps:
        await self._link.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._link.end()

    async def wrap(self, name: str, address: _Address) -> _Address:
        """Stand a tap before the dependency of that name; where the service shall connect.

        It fits `wrap` of loadpath.deploy.Deployment. A name that was wrapped before gets a new tap.
        """
        place = await self.open(
            Tap(
                name,
                self._kinds.get(name, ""),
                Place(address.host, address.port),
                keep_parameters=self._keep_parameters,
                digest_replies=self._digest_replies,
            )
        )
        return msgspec.convert({"host": place.host, "port": place.port}, type(address))

    async def wrap_service(self, address: _Address) -> _Address:
        """Stand a tap before the service itself; where the load shall go."""
        place = await self.open(Tap(SERVICE, "http", Place(address.host, address.port)))
        return msgspec.convert({"host": place.host, "port": place.port}, type(address))

    async def open(self, tap: Tap) -> Place:
        """Open one tap; where it listens. Raises `LoadpathError` when it cannot listen there."""
        return (await self._asker.ask(OpenTap(tap), Opened)).place

    async def begin(self, window: Window) -> None:
        """Record what passes from now on, in the tables of a segment."""
        await self._asker.ask(BeginWindow(window), Begun)

    async def end(self) -> WindowResult:
        """Record no more; the tables are written when this returns.

        Raises `RecordingError` when they could not be written.
        """
        return (await self._asker.ask(EndWindow(), Ended)).result

    async def stats(self) -> Stats:
        """What the process has used, and what each tap has seen."""
        return (await self._asker.ask(AskStats(), Told)).stats

    async def statements(self) -> list[KeptStatement]:
        """What was kept of statements in the windows so far; it is kept no more afterwards."""
        return (await self._asker.ask(AskStatements(), Kept)).statements

    async def order(self, tap: str, order: AnyOrder) -> int:
        """Have the tap of that name obey an order from now on; the order's number.

        Raises `LoadpathError` when there is no such tap or it cannot obey.
        """
        return (await self._asker.ask(GiveOrder(tap, order), Ordered)).number

    async def withdraw(self, number: int) -> OrderState:
        """Have an order obeyed no more; what it has come to."""
        return (await self._asker.ask(WithdrawOrder(number), Came)).state

    async def order_state(self, number: int) -> OrderState:
        """What an order has come to so far."""
        return (await self._asker.ask(AskOrder(number), Came)).state

    async def died(self) -> LoadpathError:
        """Wait until the tap process ends by itself; the error that says so."""
        assert self._link.child is not None, "the taps have not been started"
        return _gone(exit_words(await self._link.child.wait()))


def _gone(how: str) -> LoadpathError:
    return LoadpathError(
        f"the tap process {how}, and with it every connection between the service and its "
        "dependencies; what the service did from then on says nothing about it",
        advice="Run it again.",
    )
