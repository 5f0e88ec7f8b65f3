"""Servers for the tests of what the systems share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from systems_common.testing import EmbeddedServer, nats_server, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    with postgres_server({"fsync": "off"}) as server:
        yield server


@pytest.fixture
def broker_server() -> Iterator[EmbeddedServer]:
    """A NATS server of the test's own, which it may kill."""
    with nats_server() as server:
        yield server
