"""Whom the service is connected to, and which of them nobody declared.

A service's own `.env` may override the addresses it is given. Then load, and writes, would go to
a server that nobody meant, so its sockets are looked for in the kernel's tables.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from loadpath.deploy.address import Address, addresses_of
from loadpath.deploy.processes import name_of
from loadpath.deploy.sockets import (
    CLOSE_WAIT,
    ESTABLISHED,
    LISTEN,
    SYN_SENT,
    TIME_WAIT,
    Connection,
    Endpoint,
    inodes_of,
    tcp_sockets,
    unix_peers,
)
from loadpath.errors import UnsafeTargetError

if TYPE_CHECKING:
    from loadpath.deploy.deployment import Deployment

SUPPORTED = sys.platform.startswith("linux")

_BY_PORT = {
    53: "DNS",
    80: "HTTP",
    443: "HTTPS",
    1433: "SQL Server",
    1521: "Oracle",
    2181: "ZooKeeper",
    3306: "MySQL",
    4222: "NATS",
    4317: "OpenTelemetry",
    4318: "OpenTelemetry",
    5432: "PostgreSQL",
    5671: "RabbitMQ",
    5672: "RabbitMQ",
    6379: "Valkey or Redis",
    6432: "PgBouncer",
    8123: "ClickHouse",
    9042: "Cassandra",
    9092: "Kafka",
    9200: "Elasticsearch",
    11211: "memcached",
    26257: "CockroachDB",
    27017: "MongoDB",
}
_BY_PATH = (
    (re.compile(r"/\.s\.PGSQL\.\d+$"), "PostgreSQL"),
    (re.compile(r"(redis|valkey)[^/]*\.sock", re.IGNORECASE), "Valkey or Redis"),
    (re.compile(r"mysqld?[^/]*\.sock", re.IGNORECASE), "MySQL"),
    (re.compile(r"mongodb[^/]*\.sock", re.IGNORECASE), "MongoDB"),
    (re.compile(r"memcached[^/]*\.sock", re.IGNORECASE), "memcached"),
)
_LOOPBACK = "loopback"
_OUTWARD = (ESTABLISHED, SYN_SENT, CLOSE_WAIT)


class Peer(msgspec.Struct, frozen=True):
    """A server that a process of the service is connected to. `kind` is "" when it is unknown."""

    address: str
    kind: str
    pid: int
    process: str


class Seen(msgspec.Struct, frozen=True):
    """What one look found: peers nobody declared, and the declared dependencies that are in use."""

    undeclared: tuple[Peer, ...]
    used: frozenset[str]


def undeclared_peers(deployment: Deployment) -> list[Peer]:
    """The servers that the deployed service is connected to now and that nobody declared."""
    return list(deployment.look_at_peers().undeclared)


def look(
    pids: Collection[int],
    declared: Mapping[str, Iterable[Address]],
    *,
    allowed: Collection[str] = (),
    ignored_folder: str = "",
    lingering: Collection[Connection] = (),
) -> Seen:
    """Look at the sockets of the processes `pids` of a service.

    `declared` maps each dependency to where it is reached; `allowed` are further peers as
    host:port, either of which may be `*`, or paths of Unix sockets. `lingering` are closed
    connections to dependencies from before the service was started.
    """
    held = inodes_of(pids)
    everything = tcp_sockets(next(iter(pids), None))
    own = [c for c in everything if c.inode in held]
    listening = {c.local.port for c in own if c.state == LISTEN}
    ends = {_key(c.local) for c in own}
    names = _names(declared)
    patterns = _patterns(allowed)
    used = set()
    undeclared: dict[str, Peer] = {}
    for connection in own:
        remote = connection.remote
        if connection.state not in _OUTWARD or connection.local.port in listening:
            continue
        if (name := names.get(_key(remote))) is not None:
            used.add(name)
        elif not _is_inner(connection, listening, ends) and not _matches(remote, patterns):
            pid = held[connection.inode]
            address = str(Address(*remote))
            undeclared[address] = Peer(address, _BY_PORT.get(remote.port, ""), pid, name_of(pid))
    for inode, path in unix_peers(held).items():
        kind = next((kind for pattern, kind in _BY_PATH if pattern.search(path)), "")
        ours = bool(ignored_folder) and path.startswith(ignored_folder)
        if kind and not ours and path not in allowed:
            undeclared[path] = Peer(path, kind, held[inode], name_of(held[inode]))
    before = set(lingering)
    used |= {
        names[_key(c.remote)]
        for c in everything
        if c.state == TIME_WAIT and c not in before and _key(c.remote) in names
    }
    return Seen(tuple(undeclared.values()), frozenset(used))


def lingering_connections() -> tuple[Connection, ...]:
    """Closed connections that the kernel still remembers."""
    return tuple(c for c in tcp_sockets() if c.state == TIME_WAIT)


def unsafe(peers: Iterable[Peer], variables: Iterable[str]) -> UnsafeTargetError:
    """The error that names undeclared peers. `variables` are those the service was given."""
    found = "; ".join(
        f"{peer.process} (pid {peer.pid}) is connected to {peer.address}"
        + (f" ({peer.kind})" if peer.kind else "")
        for peer in peers
    )
    given = ", ".join(variables)
    return UnsafeTargetError(
        f"the service talks to a server that no dependency declares: {found}",
        advice="A .env or settings file of the service may override the addresses it is given"
        + (f" in {given}" if given else "")
        + "; let the environment win. If the peer is meant, declare it: a dependency with url =, "
        'or under [service] as peers = ["host:port"].',
    )


def _key(end: Endpoint) -> tuple[str, int]:
    return (_LOOPBACK if ipaddress.ip_address(end.host).is_loopback else end.host, end.port)


def _names(declared: Mapping[str, Iterable[Address]]) -> dict[tuple[str, int], str]:
    names = {}
    for name, addresses in declared.items():
        for address in addresses:
            for host in _addresses(address.host):
                names[_key(Endpoint(host, address.port))] = name
    return names


def _is_inner(
    connection: Connection, listening: Collection[int], ends: Collection[tuple[str, int]]
) -> bool:
    """Whether both ends are the service's own."""
    local, remote = _key(connection.local), _key(connection.remote)
    return remote in ends or (remote[0] in (_LOOPBACK, local[0]) and remote[1] in listening)


def _patterns(allowed: Iterable[str]) -> list[str]:
    """Each host:port with its host as the addresses it has now."""
    patterns = []
    for text in allowed:
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
        if not host or "/" in text:
            continue
        hosts = (host,) if "*" in host else _addresses(host)
        patterns += [f"{found} {port}" for found in hosts]
    return patterns


def _addresses(host: str) -> tuple[str, ...]:
    """The addresses of a host now; none when its name cannot be looked up."""
    try:
        return addresses_of(host)
    except OSError:
        return ()


def _matches(end: Endpoint, patterns: Iterable[str]) -> bool:
    text = f"{end.host} {end.port}"
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)
