"""Questions to a process of ours, one at a time, and the loop in which it answers them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from loadpath.control.codec import LENGTH_BYTES, Codec
from loadpath.control.failure import Failed, as_error, failed
from loadpath.control.link import Link
from loadpath.errors import LoadpathError

_C = TypeVar("_C")
_A = TypeVar("_A")
_W = TypeVar("_W")


class Asker(Generic[_C, _A]):
    """Asks the process behind `link`, which `process` names in errors. `gone` makes the error of a
    process that is there no more, from how it ended."""

    def __init__(
        self,
        link: Link,
        codec: Codec[_C, _A],
        process: str,
        gone: Callable[[str], LoadpathError],
    ) -> None:
        self._link = link
        self._codec = codec
        self._process = process
        self._gone = gone
        self._asking = asyncio.Lock()

    async def ask(self, command: _C, wanted: type[_W]) -> _W:
        """The answer, which has to be a `wanted`. Raises `LoadpathError`: what the process says
        went wrong, or that it is gone."""
        # Shielded: the answer to a cancelled command would be taken for that to the next one.
        answer = await asyncio.shield(asyncio.ensure_future(self._answer(command)))
        if isinstance(answer, Failed):
            raise as_error(answer, self._process)
        if isinstance(answer, wanted):
            return answer
        raise LoadpathError(
            f"the {self._process} answered {type(answer).__name__} to {type(command).__name__}"
        )

    async def _answer(self, command: _C) -> _A:
        async with self._asking:
            if not self._link.open:
                raise LoadpathError(f"the {self._process} is not running")
            self._link.write(self._codec.encode(command))
            try:
                return self._codec.answer(await self._link.read())
            except EOFError:
                raise self._gone(await self._link.how_it_ended()) from None


async def answering(
    sock: socket.socket, codec: Codec[_C, _A], answer: Callable[[_C], Awaitable[_A | Failed]]
) -> None:
    """Answer commands, one at a time, until the other end is closed. What `answer` raises is told
    to the other end, which raises it."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
                command = codec.command(await reader.readexactly(size))
                told: _A | Failed
                try:
                    told = await answer(command)
                except Exception as error:  # noqa: BLE001  raised again at the other end
                    told = failed(error)
                writer.write(codec.encode(told))
                await writer.drain()
    finally:
        writer.close()
