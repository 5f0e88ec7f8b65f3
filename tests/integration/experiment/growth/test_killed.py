"""Whatever ends Loadpath while it grows a database, no clone, server or folder is left of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadpath.experiment.growth.clone import PREFIX
from tests.integration.deploy.conftest import open_folder, start
from tests.integration.experiment.growth.conftest import Server

__all__ = ["open_folder", "start"]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

HERE = Path(__file__).parent
CLONES = f"SELECT datname::text FROM pg_database WHERE starts_with(datname, '{PREFIX}')"


def test_killed_while_it_grows_its_own_it_leaves_nothing(start: Callable[..., Any]) -> None:
    victim = start("", services=HERE)
    victim.until("GROWING")
    assert len(victim.marked()) > 3
    victim.kill()
    assert victim.left_in_the_end() == []


@pytest.mark.parametrize("when", ["CLONED", "GROWING"])
def test_killed_while_it_grows_on_a_server_of_the_users_the_clone_is_dropped(
    server: Server, start: Callable[..., Any], when: str
) -> None:
    running = server.database("SELECT 1")
    theirs = msgspec.structs.replace(running, embedded=False)
    told = msgspec.json.encode(theirs).decode()
    victim = start("", services=HERE, env={**os.environ, "THEIRS": told})
    victim.until(when)
    assert len(server.fetch(running, CLONES)) == 1
    victim.kill()
    deadline_s = time.monotonic() + 15.0
    while server.fetch(running, CLONES) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert server.fetch(running, CLONES) == []
    assert victim.left_in_the_end() == []
    # Theirs is as it was: the clone alone was grown, and the process that dropped it is gone.
    assert server.fetch(running, "SELECT count(*) FROM notes")[0][0] == 50000
