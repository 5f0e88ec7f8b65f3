"""The process of the cache: answers requests, and commands until its control socket is closed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
import signal
import socket
import sys

import uvloop

from loadpath.proxy.cache import Cache
from loadpath.proxy.client import Client
from loadpath.proxy.origin import Origins
from loadpath.proxy.plan import (
    COMMANDS,
    CONTROL_FD,
    LENGTH_BYTES,
    Answer,
    AskCounts,
    Begin,
    Begun,
    Command,
    Failed,
    Flush,
    Sample,
    Told,
    encode,
)

BACKLOG = 4096
_GARBAGE_THRESHOLD = 50_000
_PR_SET_PDEATHSIG = 1


class Process:
    """Answers commands, one at a time."""

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._server: asyncio.Server | None = None

    async def serve(self, sock: socket.socket) -> None:
        """Until the other end is closed."""
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    size = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
                    command = COMMANDS.decode(await reader.readexactly(size))
                    writer.write(encode(await self._answer(command)))
                    await writer.drain()
        finally:
            if self._server is not None:
                self._server.close()
            writer.close()

    async def _answer(self, command: Command) -> Answer:
        if isinstance(command, Begin):
            return await self._begin(command)
        if self._cache is None:
            return Failed("Begin comes first")
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
        cache = self._cache = Cache(begin.rules, Origins(begin.host, begin.port), begin.size_bytes)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Client(cache), "127.0.0.1", 0, backlog=BACKLOG
            )
        except OSError as error:
            return Failed(f"the cache cannot listen: {error.strerror}")
        return Begun(self._server.sockets[0].getsockname()[1])


def main() -> int:
    """Serve at descriptor 3. The exit status is 0 when the other end closed it."""
    # The other end decides what Ctrl-C means; it closes the socket when it wants an end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        sock = socket.socket(fileno=CONTROL_FD)
    except OSError:
        print(
            f"expected a socket as descriptor {CONTROL_FD}: "
            "this process is started by loadpath.proxy.Front",
            file=sys.stderr,
        )
        return 2
    sock.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Process().serve(sock))
    return 0
