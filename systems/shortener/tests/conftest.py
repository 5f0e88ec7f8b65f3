"""The shortener on real servers, over HTTP, as its users run it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from shortener.testing import Shortener, Starter, new_database, seeded_database, start_shortener
from systems_common.testing import EmbeddedServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    # Only processes are killed here, never the machine, so the disk need not be waited for.
    with postgres_server({"fsync": "off", "max_connections": "200"}) as server:
        yield server


@pytest.fixture
def empty_database(postgres: EmbeddedServer) -> str:
    """The address of a new, empty database."""
    return new_database(postgres.url)


@pytest.fixture(scope="session")
def starter(postgres: EmbeddedServer) -> Starter:
    """Starts services on copies of one seeded database."""
    return partial(start_shortener, postgres.url, seeded_database(postgres.url))


@pytest.fixture(scope="session")
def shortener(starter: Starter) -> Iterator[Shortener]:
    """One service with every default, shared by tests that keep to links of their own."""
    with starter() as running:
        yield running
