"""What a tap adds to a round trip, measured here and now: with it and without, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

from loadpath.tap import Place, Tap, Taps

NAME = "loadpath"
"""The tap that is measured: no dependency's."""

ROUND_TRIPS = 150
_WARM_UP = 30
_TIMEOUT_S = 5.0
_PING = b"*1\r\n$4\r\nPING\r\n"
_PONG = b"+PONG\r\n"


async def added_delay_s(taps: Taps) -> float | None:
    """Median seconds that a tap of kind `valkey` adds to a round trip; None: it cannot be told.

    Round trips to a server of one line in this process, over the tap and directly, take turns; call
    it while a window is recorded, so that the tap reads.
    """
    with _echo() as direct:
        tapped = await taps.open(Tap(NAME, "valkey", Place(*direct)))
        try:
            return await asyncio.to_thread(_compare, direct, (tapped.host, tapped.port))
        except OSError:
            return None


def _compare(direct: tuple[str, int], tapped: tuple[str, int]) -> float:
    with (
        socket.create_connection(direct, _TIMEOUT_S) as one,
        socket.create_connection(tapped, _TIMEOUT_S) as other,
    ):
        for sock in (one, other):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        added = [_round_trip(other) - _round_trip(one) for _ in range(_WARM_UP + ROUND_TRIPS)]
    return median(added[_WARM_UP:])


def _round_trip(sock: socket.socket) -> float:
    began_s = perf_counter()
    sock.sendall(_PING)
    left = len(_PONG)
    while left:
        data = sock.recv(left)
        if not data:
            raise ConnectionResetError("the connection was closed")
        left -= len(data)
    return perf_counter() - began_s


@contextmanager
def _echo() -> Iterator[tuple[str, int]]:
    """A server that answers each request with one line, in threads of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=_answer, args=(sock,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
        # Closing alone does not wake up who waits in accept.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _answer(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while sock.recv(4096):
            sock.sendall(_PONG)
