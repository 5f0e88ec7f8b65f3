"""What passes between Loadpath and its tap process."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from loadpath.control.codec import Codec
from loadpath.control.failure import Failed
from loadpath.tap.orders import AnyOrder, OrderState
from loadpath.tap.plan import Place, Stats, Tap, Window, WindowResult
from loadpath.tap.statements import KeptStatement


class OpenTap(msgspec.Struct, frozen=True, tag=True):
    """Listen; answered by `Opened`. A tap of that name is closed first."""

    tap: Tap


class BeginWindow(msgspec.Struct, frozen=True, tag=True):
    """Record from now on; answered by `Begun`."""

    window: Window


class EndWindow(msgspec.Struct, frozen=True, tag=True):
    """Record no more and write what was recorded; answered by `Ended`."""


class AskStats(msgspec.Struct, frozen=True, tag=True):
    """Answered by `Told`."""


class AskStatements(msgspec.Struct, frozen=True, tag=True):
    """Hand over what was kept of statements, and keep it no more; answered by `Kept`."""


class GiveOrder(msgspec.Struct, frozen=True, tag=True):
    """Obey an order at the tap of that name; answered by `Ordered`."""

    tap: str
    order: AnyOrder


class WithdrawOrder(msgspec.Struct, frozen=True, tag=True):
    """Obey it no more; answered by `Came`."""

    number: int


class AskOrder(msgspec.Struct, frozen=True, tag=True):
    """Answered by `Came`."""

    number: int


class Opened(msgspec.Struct, frozen=True, tag=True):
    """It listens there."""

    place: Place


class Begun(msgspec.Struct, frozen=True, tag=True):
    """It is recording."""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The window's tables are written."""

    result: WindowResult


class Told(msgspec.Struct, frozen=True, tag=True):
    """How the taps stand."""

    stats: Stats


class Kept(msgspec.Struct, frozen=True, tag=True):
    """Statements, each with some of what it was run with."""

    statements: list[KeptStatement]


class Ordered(msgspec.Struct, frozen=True, tag=True):
    """The order stands, under that number."""

    number: int


class Came(msgspec.Struct, frozen=True, tag=True):
    """What an order has come to."""

    state: OrderState


Command: TypeAlias = (
    OpenTap
    | BeginWindow
    | EndWindow
    | AskStats
    | AskStatements
    | GiveOrder
    | WithdrawOrder
    | AskOrder
)
Answer: TypeAlias = Opened | Begun | Ended | Told | Kept | Ordered | Came | Failed


CODEC: Codec[Command, Answer] = Codec(Command, Answer)
