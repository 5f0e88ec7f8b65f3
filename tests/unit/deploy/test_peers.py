"""Whom a process is connected to, by the kernel's tables."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from loadpath.deploy import peers, sockets
from loadpath.deploy.address import Address
from loadpath.deploy.sockets import Endpoint

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(params=["127.0.0.1", "::1"])
def connected(request: pytest.FixtureRequest) -> Iterator[tuple[int, Address]]:
    """A connection of this process to a listener, which stands for another process's."""
    host = request.param
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            yield client.fileno(), Address(host, port)


def test_addresses_are_read_as_the_kernel_writes_them() -> None:
    assert sockets._endpoint("0100007F:1F90") == Endpoint("127.0.0.1", 8080)
    assert sockets._endpoint("00000000000000000000000001000000:0050") == Endpoint("::1", 80)
    mapped = "0000000000000000FFFF00000100007F:0050"
    assert sockets._endpoint(mapped) == Endpoint("127.0.0.1", 80)


def test_a_connection_is_found_with_who_holds_it(connected: tuple[int, Address]) -> None:
    descriptor, address = connected
    held = sockets.inodes_of((os.getpid(),))
    inode = os.fstat(descriptor).st_ino
    assert held[inode] == os.getpid()
    (found,) = [c for c in sockets.tcp_sockets() if c.inode == inode]
    assert found.remote == Endpoint(address.host, address.port)
    assert found.state == sockets.ESTABLISHED
    assert sockets.listening_ports((os.getpid(),))[address.port] == os.getpid()
    assert sockets.holder_of(address.port) == f"{_own_name()} (pid {os.getpid()})"
    assert sockets.holder_of(1) is None


def _own_name() -> str:
    with open("/proc/self/comm", encoding="utf-8") as file:  # noqa: PTH123
        return file.read().strip()


@pytest.fixture
def foreign(connected: tuple[int, Address], monkeypatch: pytest.MonkeyPatch) -> tuple[int, Address]:
    """The same, with only the client's socket taken for the service's."""
    descriptor, _ = connected
    inode = os.fstat(descriptor).st_ino
    monkeypatch.setattr(peers, "inodes_of", lambda pids: {inode: os.getpid()})
    return connected


def test_a_peer_that_nobody_declared_is_told(foreign: tuple[int, Address]) -> None:
    _, address = foreign
    seen = peers.look([os.getpid()], {"database": [Address("127.0.0.1", 1)]})
    (peer,) = seen.undeclared
    assert peer.address == str(address)
    assert peer.pid == os.getpid()
    assert seen.used == frozenset()
    error = peers.unsafe(seen.undeclared, ["DATABASE_URL"])
    assert str(address) in error.message
    assert error.advice is not None
    assert "DATABASE_URL" in error.advice


def test_a_declared_dependency_is_used_by_whichever_loopback(foreign: tuple[int, Address]) -> None:
    port = foreign[1].port
    for host in ("127.0.0.1", "::1", "localhost"):
        seen = peers.look([os.getpid()], {"cache": [Address(host, port)]})
        assert seen.undeclared == ()
        assert seen.used == {"cache"}


@pytest.mark.parametrize("pattern", ["{0}", "{1}:{2}", "*:{2}", "{1}:*"])
def test_an_allowed_peer_is_passed_over(foreign: tuple[int, Address], pattern: str) -> None:
    _, address = foreign
    allowed = pattern.format(address, address.host, address.port)
    assert peers.look([os.getpid()], {}, allowed=(allowed,)).undeclared == ()
    assert peers.look([os.getpid()], {}, allowed=("other.invalid:1", "x", ":1")).undeclared != ()


def test_connections_to_itself_and_from_its_clients_are_no_peers(
    connected: tuple[int, Address],
) -> None:
    # Here both ends are this process's own.
    undeclared = peers.look([os.getpid()], {}).undeclared
    assert str(connected[1]) not in [peer.address for peer in undeclared]


@pytest.mark.parametrize(
    ("port", "kind"), [(5432, "PostgreSQL"), (6379, "Valkey or Redis"), (3306, "MySQL")]
)
def test_the_kind_is_guessed_by_the_port(
    monkeypatch: pytest.MonkeyPatch, port: int, kind: str
) -> None:
    far = sockets.Connection(
        Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.5", port), sockets.SYN_SENT, 77
    )
    monkeypatch.setattr(peers, "tcp_sockets", lambda pid: [far])
    monkeypatch.setattr(peers, "inodes_of", lambda pids: {77: 1})
    (peer,) = peers.look([1], {}).undeclared
    assert peer.kind == kind
    assert f"10.0.0.5:{port} ({kind})" in peers.unsafe([peer], []).message


def test_a_closed_connection_counts_as_use_unless_it_is_older(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = sockets.Connection(
        Endpoint("127.0.0.1", 40000), Endpoint("127.0.0.1", 5000), sockets.TIME_WAIT, 0
    )
    monkeypatch.setattr(peers, "tcp_sockets", lambda pid: [gone])
    declared = {"cache": [Address("127.0.0.1", 5000)]}
    assert peers.look([1], declared).used == {"cache"}
    assert peers.look([1], declared, lingering=[gone]).used == frozenset()
