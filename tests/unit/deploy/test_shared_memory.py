"""Whether PostgreSQL may count on /dev/shm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadpath.deploy.accounts import Account
from loadpath.deploy.shared_memory import has_shared_memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has /dev/shm")
NOBODY = Account("nobody", 65534, 65534)


def test_one_that_is_not_there_is_not_counted_on(tmp_path: Path) -> None:
    assert not has_shared_memory(None, tmp_path / "shm")


def test_it_must_be_open_to_the_user_that_postgres_runs_as(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert has_shared_memory(None, tmp_path)
    assert not has_shared_memory(NOBODY, tmp_path)
    tmp_path.chmod(0o1777)
    assert has_shared_memory(NOBODY, tmp_path)
