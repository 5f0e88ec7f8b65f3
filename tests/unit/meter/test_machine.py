"""The machine is described, its owner is not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from loadpath.meter import describe_machine


def test_this_machine() -> None:
    """What any machine has."""
    machine = describe_machine()
    assert 1 <= machine.cores <= machine.cores_online
    assert machine.memory_bytes > 1 << 27
    assert machine.cpu_model
    assert machine.kernel == os.uname().release
    assert machine.python.startswith("CPython 3.")
    assert machine.cpu_quota_cores is None or machine.cpu_quota_cores > 0


def test_nothing_names_it() -> None:
    """A recording may be passed on."""
    text = msgspec.json.encode(describe_machine()).decode()
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4
    assert str(Path.home()) not in text
