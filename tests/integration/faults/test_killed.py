"""Whatever ends Loadpath while faults are on, nothing stays stopped, held or mounted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..deploy.conftest import eventually, open_folder, start

__all__ = ["eventually", "open_folder", "start"]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

HERE = Path(__file__).parent


def mounts(folder: Path) -> list[str]:
    return [
        line for line in Path("/proc/mounts").read_text("utf-8").splitlines() if str(folder) in line
    ]


def test_a_killed_loadpath_leaves_no_fault_behind(
    start: Callable[..., Any], open_folder: Path
) -> None:
    victim = start("", services=HERE)
    victim.until("ALL")
    assert len(victim.marked()) > 5
    victim.kill()
    assert victim.left_in_the_end() == []
    assert mounts(open_folder) == []


def test_an_interrupted_loadpath_undoes_every_fault_before_it_ends(
    start: Callable[..., Any], open_folder: Path
) -> None:
    victim = start("", services=HERE)
    victim.until("ALL")
    victim.process.send_signal(signal.SIGINT)
    assert victim.until("STOPPED") == "STOPPED 0\n"
    assert victim.process.wait(timeout=20) != 0
    assert victim.left_in_the_end() == []
    assert mounts(open_folder) == []


def test_a_loadpath_killed_before_the_last_onset_leaves_nothing(
    start: Callable[..., Any], open_folder: Path
) -> None:
    victim = start("early", services=HERE)
    victim.until("FAULT service stopped")
    victim.kill()
    assert victim.left_in_the_end() == []
    assert mounts(open_folder) == []


def test_a_loadpath_killed_while_a_fault_heals_leaves_nothing(start: Callable[..., Any]) -> None:
    """The cache is started and killed over and over, while the service is stopped."""
    victim = start("healing", services=HERE)
    victim.until("ALL")
    victim.kill()
    assert victim.left_in_the_end() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_loadpath_killed_while_it_moves_data_to_a_small_disk_leaves_nothing(
    start: Callable[..., Any], open_folder: Path, eventually: Callable[..., None]
) -> None:
    victim = start("preparing", services=HERE)
    eventually(lambda: mounts(open_folder))
    victim.kill()
    assert victim.left_in_the_end() == []
    assert mounts(open_folder) == []
