"""Whatever ends Loadpath, and whenever: nothing of it is left 5 seconds later."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadpath.deploy import processes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def roots(said: str) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = json.loads(said.partition(" ")[2])
    return parts


def signal_all(pids: list[int], sig: int) -> None:
    for pid in pids:
        # Some notice by themselves that their parent has ended, and end.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)


@pytest.mark.parametrize(
    ("manner", "line"),
    [
        ("plain", "GUARD"),
        ("plain", "PartStarting database"),
        ("plain", "PartReady cache"),
        ("seeding", "PhaseStarted seed database"),
        # Statistics are gathered and servers stopped then, for the snapshot.
        ("seeded", "PhaseFinished seed database"),
        ("hangs", "PartStarting service"),
        ("workers", "RUNNING"),
        ("daemon", "RUNNING"),
    ],
)
def test_a_killed_loadpath_leaves_nothing(
    start: Callable[[str], Any], manner: str, line: str
) -> None:
    victim = start(manner)
    victim.until(line)
    victim.kill()
    assert victim.left_in_the_end() == []


def test_a_loadpath_killed_while_initdb_runs_leaves_nothing(
    start: Callable[[str], Any], eventually: Callable[..., None]
) -> None:
    victim = start("plain")
    victim.until("PartStarting database")

    def initdb_runs() -> bool:
        return any("--pwfile" in command for command in victim.marked().values())

    eventually(initdb_runs)
    victim.kill()
    assert victim.left_in_the_end() == []


def test_a_loadpath_killed_while_it_installs_postgres_leaves_nothing(
    start: Callable[[str], Any], open_folder: Path, eventually: Callable[..., None]
) -> None:
    victim = start("plain")
    victim.until("GUARD")

    def installation() -> list[Path]:
        return list(open_folder.glob("loadpath-postgres-*"))

    eventually(installation)
    victim.kill()
    assert victim.left_in_the_end() == []


def test_a_loadpath_killed_while_it_restores_a_snapshot_leaves_nothing(
    start: Callable[[str], Any],
) -> None:
    victim = start("seeded")
    for _ in range(2):
        victim.until("PartStarting database")
    victim.kill()
    assert victim.left_in_the_end() == []


def test_a_loadpath_killed_while_it_stops_a_stubborn_service_leaves_nothing(
    start: Callable[[str], Any],
) -> None:
    victim = start("stubborn")
    victim.until("RUNNING")
    victim.go_on()
    victim.kill()
    assert victim.left_in_the_end() == []


def test_parts_that_are_stopped_at_the_time_are_ended_too(start: Callable[[str], Any]) -> None:
    victim = start("workers")
    for pids in roots(victim.until("RUNNING")).values():
        signal_all(processes.tree(pids), signal.SIGSTOP)
    victim.kill()
    assert victim.left_in_the_end() == []


def test_a_killed_guard_is_noticed_and_its_orphans_are_ended(
    start: Callable[[str], Any], eventually: Callable[..., None]
) -> None:
    victim = start("workers")
    guard = int(victim.until("GUARD").split()[1])
    parts = roots(victim.until("RUNNING"))
    signal_all(processes.tree(parts["cache"]), signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: set(victim.marked()) == {victim.process.pid}, within_s=victim.LIMIT_S)
    victim.go_on()
    # It reaches whoever uses the deployment: it is not taken for one that runs.
    assert victim.process.wait(victim.LIMIT_S) == 1
    assert victim.left_in_the_end() == []


def test_a_postgres_killed_from_outside_leaves_no_shared_memory_in_the_end(
    start: Callable[[str], Any],
) -> None:
    victim = start("plain")
    parts = roots(victim.until("RUNNING"))
    signal_all(processes.tree(parts["database"]), signal.SIGKILL)
    victim.kill()
    assert victim.left_in_the_end() == []
