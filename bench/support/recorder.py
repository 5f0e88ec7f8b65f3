"""A server that notes when each request reached its machine, by the kernel's own clock.

    python recorder.py

Prints its port and answers every request with 200 and no body. For each line on standard input it
writes to standard output how many requests came since the last one (an int64) and their times
(float64, seconds of the monotonic clock, in the order of arrival). Ends with standard input.
"""

from __future__ import annotations

import array
import select
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35  # from asm-generic/socket.h; the socket module does not name it
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_STAMP = struct.Struct("qq")


def offset_s() -> float:
    """Monotonic less real time, from the closest of some pairs of readings."""
    best = (float("inf"), 0.0)
    for _ in range(50):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        best = min(best, (after - before, ((before + after) / 2 - real) / 1e9))
    return best[1]


def main() -> None:
    listener = socket.socket()
    # Here, and inherited: a request may be there before a connection has been accepted.
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    epoll.register(0, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    stamps_s = array.array("d")
    print(listener.getsockname()[1], flush=True)
    offset = offset_s()
    while True:
        for fd, _ in epoll.poll():
            if fd == 0:
                if not sys.stdin.buffer.readline():
                    return
                sys.stdout.buffer.write(struct.pack("q", len(stamps_s)))
                sys.stdout.buffer.write(stamps_s.tobytes())
                sys.stdout.buffer.flush()
                stamps_s = array.array("d")
                offset = offset_s()
            elif fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[sock.fileno()] = sock
                epoll.register(sock.fileno(), select.EPOLLIN)
            else:
                sock = connections[fd]
                try:
                    data, extra, _, _ = sock.recvmsg(65536, 64)
                except ConnectionResetError:
                    data = b""
                if not data:
                    epoll.unregister(fd)
                    connections.pop(fd).close()
                    continue
                seconds, nanos = _STAMP.unpack(extra[0][2][:16])
                for _ in range(data.count(b"\r\n\r\n")):
                    stamps_s.append(seconds + nanos / 1e9 + offset)
                    sock.send(_REPLY)


if __name__ == "__main__":
    main()
