"""The messaging server on real servers, over HTTP, as its users run it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from messaging.testing import Messaging, migrated_database, new_database, start_messaging
from systems_common.testing import EmbeddedServer, postgres_server

Starter = Callable[..., contextlib.AbstractContextManager[Messaging]]


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
    """Starts services on copies of one migrated database."""
    return partial(start_messaging, postgres.url, migrated_database(postgres.url))


@pytest.fixture(scope="session")
def messaging(starter: Starter) -> Iterator[Messaging]:
    """One service with every default, shared by tests that keep to users of their own."""
    with starter() as running:
        yield running


@pytest.fixture(scope="session")
def proving(starter: Starter) -> Iterator[Messaging]:
    """One service for tests that send much, and wrong, and ask at once for what they sent."""
    with starter(RECEIPTS="sync", LOGIN_FAILURES_MAX="0") as running:
        yield running


@pytest.fixture(scope="session")
def switched(starter: Starter) -> Iterator[Messaging]:
    """One service that tells presence, has a web page and pushes to gateways here, without search,
    and impatient."""
    settings = {
        "PRESENCE": "on",
        "SEARCH": "off",
        "GATEWAY_SLOW_S": "1",
        "WEB_PAGE": "on",
        "PUSH_GATEWAYS": "any",
        "TURN_URIS": "turn:turn.example.org?transport=udp, turns:turn.example.org",
        "TURN_SECRET": "shared",
    }
    with starter(**settings) as running:
        yield running
