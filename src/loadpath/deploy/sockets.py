# ruff: noqa: PTH115, PTH208
# os instead of pathlib: thousands of descriptors are looked at.
"""The kernel's tables of sockets: who is connected to whom. Linux only; elsewhere all is empty."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from loadpath.deploy.processes import name_of

ESTABLISHED, SYN_SENT, TIME_WAIT, CLOSE_WAIT, LISTEN = 1, 2, 6, 8, 10

_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP_REQUEST = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SHOW_NAME, _SHOW_PEER = 1, 4
_ATTRIBUTE_NAME, _ATTRIBUTE_PEER = 0, 2


class Endpoint(NamedTuple):
    """One end of a TCP connection. An IPv4 address mapped into IPv6 stands as IPv4."""

    host: str
    port: int


class Connection(NamedTuple):
    """One TCP socket. `inode` is 0 when no process holds it any more."""

    local: Endpoint
    remote: Endpoint
    state: int
    inode: int


def tcp_sockets(pid: int | None = None) -> list[Connection]:
    """Every TCP socket of that process's network namespace (None: of this process's)."""
    found = []
    for version in ("tcp", "tcp6"):
        try:
            path = Path("/proc", "self" if pid is None else str(pid), "net", version)
            lines = path.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            found.append(
                Connection(
                    _endpoint(fields[1]), _endpoint(fields[2]), int(fields[3], 16), int(fields[9])
                )
            )
    return found


def _endpoint(text: str) -> Endpoint:
    digits, port = text.split(":")
    # The kernel prints each 32-bit word of the address in the machine's own byte order.
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return Endpoint(plain(ipaddress.ip_address(packed)), int(port, 16))


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as text, one mapped into IPv6 as the IPv4 address it is."""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def inodes_of(pids: Iterable[int]) -> dict[int, int]:
    """Socket inode to one pid that holds it, for the sockets of these processes."""
    held = {}
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if target.startswith("socket:["):
                held[int(target[8:-1])] = pid
    return held


def listening_ports(pids: Iterable[int]) -> dict[int, int]:
    """TCP port to one pid, for the ports that these processes listen on."""
    held = inodes_of(pids)
    return {
        connection.local.port: held[connection.inode]
        for connection in tcp_sockets()
        if connection.state == LISTEN and connection.inode in held
    }


def holder_of(port: int) -> str | None:
    """The process that listens on a port, as `name (pid 12)`; None when it cannot be told."""
    wanted = [c.inode for c in tcp_sockets() if c.state == LISTEN and c.local.port == port]
    pid = next((held[0] for held in holders_of(wanted).values()), None)
    return None if pid is None else f"{name_of(pid)} (pid {pid})"


def holders_of(inodes: Iterable[int]) -> dict[int, list[int]]:
    """Socket inode to every process that holds it, of the processes that may be looked at: without
    root those of one's own user. A socket that none of them holds is left out."""
    wanted = set(inodes)
    found: dict[int, list[int]] = {}
    if wanted:
        for name in os.listdir("/proc"):
            if name.isdigit():
                for inode in wanted & inodes_of((int(name),)).keys():
                    found.setdefault(inode, []).append(int(name))
    return found


def unix_peers(inodes: Iterable[int]) -> dict[int, str]:
    """Inode to the path of the server it is connected to, for Unix sockets that have one.

    The kernel is asked over netlink: /proc/net/unix does not say who the other end is. Empty where
    the kernel does not answer.
    """
    wanted = set(inodes)
    names: dict[int, str] = {}
    peers: dict[int, int] = {}
    try:
        for inode, name, peer in _unix_dump():
            if name:
                names[inode] = name
            if peer:
                peers[inode] = peer
    except OSError:
        return {}
    return {
        inode: names[peer] for inode, peer in peers.items() if inode in wanted and peer in names
    }


def _unix_dump() -> Iterable[tuple[int, str, int]]:
    found: list[tuple[int, str, int]] = []
    request = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_NAME | _SHOW_PEER, 0, 0
    )
    header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
    with socket.socket(getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, _SOCK_DIAG) as netlink:
        netlink.settimeout(1.0)
        netlink.send(header + request)
        while True:
            data = netlink.recv(1 << 17)
            at = 0
            while at < len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    return found
                found.append(_unix_socket(data[at + 16 : at + length]))
                at += (length + 3) & ~3


def _unix_socket(message: bytes) -> tuple[int, str, int]:
    """Inode, bound path and the peer's inode from a `struct unix_diag_msg` and its attributes."""
    (inode,) = struct.unpack_from("=I", message, 4)
    name, peer, at = "", 0, 16
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        content = message[at + 4 : at + length]
        if kind == _ATTRIBUTE_NAME:
            name = content.rstrip(b"\0").decode("utf-8", "replace")
        elif kind == _ATTRIBUTE_PEER:
            (peer,) = struct.unpack_from("=I", content)
        at += max(4, (length + 3) & ~3)
    return inode, name, peer
