"""A service for tests: stdlib HTTP, with the manners and faults that its first argument names."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

connections: list[socket.socket] = []


def connect(target: str) -> None:
    """Connect to host:port or to the path of a Unix socket, and stay connected."""
    family = socket.AF_UNIX if target.startswith("/") else socket.AF_INET
    connection = socket.socket(family)
    host, _, port = target.rpartition(":")
    connection.connect(target if family == socket.AF_UNIX else (host, int(port)))
    connections.append(connection)


class Handler(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        if self.path.startswith("/connect?"):
            connect(self.path.partition("?")[2])
        body = "\n".join(f"{key}={value}" for key, value in sorted(os.environ.items())).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(port: int, host: str = "127.0.0.1") -> None:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    Server((host, port), Handler).serve_forever()


def become_daemon() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)


def main() -> None:
    manner, port, *rest = sys.argv[1:]
    number = int(port)
    if manner == "exits":
        print("reading settings", "no such table: links", sep="\n", flush=True)
        sys.exit(3)
    if manner == "ends":
        sys.exit(0)
    if manner == "hangs":
        print("waiting for a lock", flush=True)
        time.sleep(1000)
    if manner == "503":
        Handler.status = 503
    if manner == "elsewhere":
        number = int(rest[0])
    if manner == "daemon":
        become_daemon()
    if manner == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if manner == "workers":
        for _ in range(2):
            if os.fork() == 0:
                os.setsid()
                time.sleep(1000)
    if manner == "floods" and os.fork() == 0:
        line = b"x" * 4095 + b"\n"
        while True:
            os.write(1, line * 16)
    if manner == "connects":
        for target in rest:
            connect(target)
    serve(number, "::1" if manner == "six" else "127.0.0.1")


main()
