"""What passes between Loadpath and its tap process: msgpack, its length in four bytes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from loadpath.tap.orders import AnyOrder, OrderState
from loadpath.tap.plan import Place, Stats, Tap, Window, WindowResult

LENGTH_BYTES = 4
CONTROL_FD = 3
"""The descriptor at which the tap process finds its end of the socket pair."""


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


class Ordered(msgspec.Struct, frozen=True, tag=True):
    """The order stands, under that number."""

    number: int


class Came(msgspec.Struct, frozen=True, tag=True):
    """What an order has come to."""

    state: OrderState


class Failed(msgspec.Struct, frozen=True, tag=True):
    """What was asked could not be done. `kind` names a `LoadpathError` when it was expected."""

    kind: str
    message: str
    advice: str | None = None


Command: TypeAlias = (
    OpenTap | BeginWindow | EndWindow | AskStats | GiveOrder | WithdrawOrder | AskOrder
)
Answer: TypeAlias = Opened | Begun | Ended | Told | Ordered | Came | Failed


def _encode_other(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot send a {type(value).__name__}")


def _decode_other(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise TypeError(f"cannot receive a {kind.__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_other)
_COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(
    Command, dec_hook=_decode_other
)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer, dec_hook=_decode_other)


def encode(message: Command | Answer) -> bytes:
    """A message with its length before it."""
    content = _ENCODER.encode(message)
    return len(content).to_bytes(LENGTH_BYTES) + content


def decode_command(content: bytes) -> Command:
    """A message to the tap process, without its length."""
    return _COMMANDS.decode(content)


def decode_answer(content: bytes) -> Answer:
    """A message from the tap process, without its length."""
    return _ANSWERS.decode(content)
