"""Addresses: free ports of this machine, who holds a port, and which hosts are this machine."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

import msgspec

LOOPBACK = "127.0.0.1"

_LOWEST_PORT = 10240
_TRIES = 1000
_RANDOM = random.SystemRandom()


class Address(msgspec.Struct, frozen=True):
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def free_port() -> int:
    """A TCP port that nothing listens on now.

    It lies below the kernel's range for outgoing connections: a load engine opens thousands of
    those, and one of them could take the port before its server does, or while the server is down.
    Another program may still take it first, so what starts a server there looks and tries again.
    """
    highest = _lowest_ephemeral_port() - 1
    for _ in range(_TRIES):
        port = _RANDOM.randint(_LOWEST_PORT, highest)
        if port_is_free(port, fresh=True):
            return port
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


def _lowest_ephemeral_port() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        lowest = int(text.split()[0])
    except OSError:
        return 32768
    return lowest if lowest > _LOWEST_PORT + _TRIES else 32768


def port_is_free(port: int, *, fresh: bool = False) -> bool:
    """Whether a server could listen on that port, on every IPv4 address and on ::1.

    Most servers do not mind connections that linger from an earlier server of the port; `fresh`
    asks for a port without any.
    """
    four = _can_listen(socket.AF_INET, "", port, reuse=not fresh)
    return four and _can_listen(socket.AF_INET6, "::1", port, reuse=not fresh)


def _can_listen(family: int, host: str, port: int, *, reuse: bool) -> bool:
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind((host, port))
    except OSError as error:
        return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def addresses_of(host: str, port: int = 0) -> tuple[str, ...]:
    """The IP addresses of a host name, as text. Raises `socket.gaierror` when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(where[4][0]) for where in found))


def is_this_machine(host: str) -> bool:
    """Whether every address of a host is one of this machine's own; False when it has none."""
    try:
        addresses = addresses_of(host)
    except OSError:
        return False
    return bool(addresses) and all(_is_own(address) for address in addresses)


def _is_own(address: str) -> bool:
    """Only an address of its own can be bound to, so binding tells."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((address, 0))
    except OSError:
        return False
    return True
