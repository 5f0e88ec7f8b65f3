"""The process of the cache: answers requests, and commands until its control socket is closed."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket

import uvloop

from loadpath.control.asking import answering
from loadpath.control.process import control_socket, raise_file_limit
from loadpath.errors import LoadpathError
from loadpath.proxy.cache import Cache
from loadpath.proxy.client import Client
from loadpath.proxy.origin import Origins
from loadpath.proxy.plan import (
    CODEC,
    Answer,
    AskCounts,
    Begin,
    Begun,
    Command,
    Flush,
    Sample,
    Told,
)

BACKLOG = 4096
_GARBAGE_THRESHOLD = 50_000


class Process:
    """Answers commands, one at a time."""

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._server: asyncio.Server | None = None

    async def serve(self, sock: socket.socket) -> None:
        """Until the other end is closed."""
        try:
            await answering(sock, CODEC, self._answer)
        finally:
            if self._server is not None:
                self._server.close()

    async def _answer(self, command: Command) -> Answer:
        if isinstance(command, Begin):
            return await self._begin(command)
        if self._cache is None:
            raise LoadpathError("the cache was asked before it began")
        match command:
            case Sample(every):
                self._cache.sample_every = every
            case Flush():
                self._cache.flush()
            case AskCounts():
                pass
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Told(self._cache.counts(used.ru_utime + used.ru_stime))

    async def _begin(self, begin: Begin) -> Answer:
        origins = Origins(begin.host, begin.port, begin.tls)
        cache = self._cache = Cache(begin.rules, origins, begin.size_bytes)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Client(cache), "127.0.0.1", 0, backlog=BACKLOG
            )
        except OSError as error:
            raise LoadpathError(f"the cache cannot listen: {error.strerror}") from None
        return Begun(self._server.sockets[0].getsockname()[1])


def main() -> int:
    """Serve at descriptor 3. The exit status is 0 when the other end closed it."""
    sock = control_socket("loadpath.proxy.Front")
    if sock is None:
        return 2
    sock.setblocking(False)
    raise_file_limit()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Process().serve(sock))
    return 0
