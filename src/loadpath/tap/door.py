"""Where a tap listens on TCP: a socket of its own that keeps its port while nobody may enter.

`shutdown` on a listening socket takes it out of the listening state and leaves it bound (Linux,
`inet_shutdown`), so a port that refuses can listen again later and no other program gets it
meanwhile. A queue of one, filled by ourselves and never accepted from, has the kernel drop each
further SYN, which is what a machine that is gone looks like.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from loadpath.errors import LoadpathError

BACKLOG = 4096
_FILLERS_MAX = 8
_FILL_TIMEOUT_S = 0.3
_SYN_SENT = "02"
_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))


class Door:
    """A listening address. `accept` makes the protocol of a new connection."""

    def __init__(self, host: str, port: int, accept: Callable[[], asyncio.BaseProtocol]) -> None:
        self._host = host
        self._port = port
        self._accept = accept
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._fillers: list[socket.socket] = []
        self._listening = False

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

    async def open(self) -> None:
        """Listen and accept. Raises `OSError`."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        ours = _bound(family, self._host, self._port)
        if self._port == 0:
            # A port that the kernel chose is given up when the socket stops listening; one that was
            # asked for is not. So it is asked for, before the first socket lets go of it.
            with ours:
                self._port = ours.getsockname()[1]
                ours = _bound(family, self._host, self._port)
        try:
            ours.setblocking(False)
            self._socket = ours
            await self._let_in()
        except BaseException:
            ours.close()
            self._socket = None
            raise

    def close(self) -> None:
        """Give the port back."""
        self._stop_accepting()
        self._send_away_fillers()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def refuse(self) -> None:
        """Listen no more; the kernel refuses who comes. Raises `LoadpathError`."""
        await self._leave_listening()

    async def ignore(self) -> None:
        """Have the kernel drop each SYN. Raises `LoadpathError` when it does not come to that."""
        ours = await self._leave_listening()
        ours.listen(0)
        self._listening = True
        loop = asyncio.get_running_loop()
        for _ in range(_FILLERS_MAX):
            filler = socket.socket(ours.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            self._fillers.append(filler)
            try:
                async with asyncio.timeout(_FILL_TIMEOUT_S):
                    await loop.sock_connect(filler, ours.getsockname()[:2])
            except TimeoutError:
                filler.close()
                self._fillers.remove(filler)
                return
        await self.let_in()
        raise LoadpathError(
            f"port {self._port} took {_FILLERS_MAX} connections with a queue of none: the kernel "
            "here does not drop the SYNs that such a queue cannot take",
            advice="Use the fault that accepts and stays silent instead.",
        )

    async def let_in(self) -> None:
        """Listen and accept again."""
        self._send_away_fillers()
        if self._server is None and self._socket is not None:
            self._listen_no_more(self._socket)
            await self._let_in()

    def knocking(self) -> set[int]:
        """The ports of this machine from which somebody tries to connect and gets no answer."""
        found = set()
        for table in _TABLES:
            try:
                lines = table.read_text("ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                _, local, remote, state, *_ = line.split()
                if state == _SYN_SENT and int(remote.rpartition(":")[2], 16) == self._port:
                    found.add(int(local.rpartition(":")[2], 16))
        return found

    async def _let_in(self) -> None:
        assert self._socket is not None
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, sock=self._socket.dup(), backlog=BACKLOG
        )
        self._listening = True

    def _stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _leave_listening(self) -> socket.socket:
        if self._socket is None:
            raise LoadpathError("the tap does not listen any more")
        self._stop_accepting()
        await asyncio.sleep(0)  # the loop lets go of its copy of the socket at its next turn
        await asyncio.sleep(0)
        self._send_away_fillers()
        self._listen_no_more(self._socket)
        return self._socket

    def _listen_no_more(self, ours: socket.socket) -> None:
        # A socket that does not listen must not be shut down: what it accepts later would be, too.
        if self._listening:
            self._listening = False
            ours.shutdown(socket.SHUT_RDWR)

    def _send_away_fillers(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()


def _bound(family: int, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
