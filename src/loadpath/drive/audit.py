"""How long replies lie in the kernel before the engine reads them: its own part of response times.

The kernel stamps what arrives with its wall clock (SO_TIMESTAMPNS, socket(7)), on loopback as well;
the same clock is read right after each read. A reply that came in several pieces counts each read.
"""

from __future__ import annotations

import socket
import struct
from array import array
from collections.abc import Callable
from time import clock_gettime_ns

import numpy as np

_SO_TIMESTAMPNS = 35  # of Linux; the socket module does not name it
_CLOCK_REALTIME = 0
_STAMP = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMP.size)
_PLAUSIBLE_NS = 60_000_000_000  # beyond that the wall clock was set between stamp and reading


class ReadDelays:
    """Read delays in seconds since `forget` was called last."""

    def __init__(self) -> None:
        self._delays_ns = array("q")

    def receiver(self, sock: socket.socket) -> Callable[[int], bytes]:
        """As `sock.recv`, with the delay of each read noted. Raises `OSError`."""
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receive = sock.recvmsg
        unpack = _STAMP.unpack_from
        delays_ns = self._delays_ns

        def recv(size: int) -> bytes:
            data, ancillary, _, _ = receive(size, _ANCILLARY_BYTES)
            now_ns = clock_gettime_ns(_CLOCK_REALTIME)
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, rest_ns = unpack(content)
                    delays_ns.append(now_ns - seconds * 1_000_000_000 - rest_ns)
            return data

        return recv

    def forget(self) -> None:
        """Begin anew."""
        del self._delays_ns[:]

    def quantiles(self, *shares: float) -> tuple[float, ...] | None:
        """Quantiles in seconds; None when nothing was stamped."""
        taken = np.array(self._delays_ns, dtype=np.int64)
        taken = taken[(taken >= 0) & (taken < _PLAUSIBLE_NS)]
        if not len(taken):
            return None
        return tuple(float(each) / 1e9 for each in np.quantile(taken, shares))
