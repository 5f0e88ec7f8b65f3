"""Messages as bytes: msgpack, its length in four bytes (big-endian) first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

LENGTH_BYTES = 4
CONTROL_FD = 3
"""The descriptor at which a process finds its end of the socket pair that messages pass."""

_C = TypeVar("_C")
_A = TypeVar("_A")


class Codec(Generic[_C, _A]):
    """Of commands, which go to a process, and the answers that come back: tagged structs both."""

    def __init__(self, commands: Any, answers: Any) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other)
        self._commands: msgspec.msgpack.Decoder[_C] = msgspec.msgpack.Decoder(
            commands, dec_hook=_decode_other
        )
        self._answers: msgspec.msgpack.Decoder[_A] = msgspec.msgpack.Decoder(
            answers, dec_hook=_decode_other
        )

    def encode(self, message: Any) -> bytes:
        """A command or an answer, with its length before it."""
        content = self._encoder.encode(message)
        return len(content).to_bytes(LENGTH_BYTES) + content

    def command(self, content: bytes) -> _C:
        """A command, without its length."""
        return self._commands.decode(content)

    def answer(self, content: bytes) -> _A:
        """An answer, without its length."""
        return self._answers.decode(content)


def _encode_other(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot send a {type(value).__name__}")


def _decode_other(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise TypeError(f"cannot receive a {kind.__name__}")
