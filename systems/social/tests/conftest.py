"""Tests of the social platform: the running service on real servers, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from social.testing import Social, Starter, migrated_database, start_social
from systems_common.testing import EmbeddedServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    # Only processes are killed here, never the machine, so the disk need not be waited for.
    with postgres_server({"fsync": "off", "max_connections": "200"}) as server:
        yield server


@pytest.fixture(scope="session")
def starter(postgres: EmbeddedServer) -> Starter:
    """Starts services on copies of one migrated database."""
    return partial(start_social, postgres.url, migrated_database(postgres.url))


@pytest.fixture(scope="session")
def social(starter: Starter) -> Iterator[Social]:
    """One service with every default, shared by tests that keep to accounts of their own."""
    with starter() as running:
        yield running
