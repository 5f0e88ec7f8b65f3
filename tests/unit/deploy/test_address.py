"""Free ports, and which hosts are this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.deploy import address
from loadpath.deploy.address import Address


def test_an_address_is_written_as_in_a_url() -> None:
    assert str(Address("127.0.0.1", 80)) == "127.0.0.1:80"
    assert str(Address("::1", 80)) == "[::1]:80"


def test_a_free_port_can_be_listened_on_and_is_none_for_outgoing_connections() -> None:
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32768
    for _ in range(20):
        port = address.free_port()
        assert 1024 < port < max(lowest, 32768)
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            server.listen()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (10, "::1")])
def test_a_port_that_something_listens_on_is_not_free(family: int, host: str) -> None:
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not address.port_is_free(port)
    assert address.port_is_free(port)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0"])
def test_hosts_that_are_this_machine(host: str) -> None:
    assert address.is_this_machine(host)


@given(st.integers(1, 254))
def test_documentation_addresses_are_not_this_machine(last: int) -> None:
    assert not address.is_this_machine(f"203.0.113.{last}")


def test_a_host_without_an_address_is_not_this_machine() -> None:
    assert not address.is_this_machine("no such host")
