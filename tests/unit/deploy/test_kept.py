"""The folder that keeps data: whose it is, what it refuses, and what it never touches."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadpath.deploy.data import Snapshot
from loadpath.deploy.embedded import SavedData
from loadpath.deploy.kept import Kept
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    directory = tmp_path / "shop"
    directory.mkdir()
    service = Service(
        name="shop",
        directory=directory,
        start=("shopd",),
        dependencies=(Dependency(name="cache", kind="valkey", env={}),),
    )
    return Setup(service=service, workload=Workload(arrivals=OpenArrivals(1.0), operations=()))


def with_service(setup: Setup, **changes: object) -> Setup:
    service = msgspec.structs.replace(setup.service, **changes)
    return msgspec.structs.replace(setup, service=service)


@pytest.fixture
def folder(setup: Setup, tmp_path: Path) -> Path:
    """A folder in which the data of `setup` is kept."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "dump.rdb").write_text("data")
    with Kept.open(tmp_path / "kept", setup) as kept:
        assert kept.is_new
        asyncio.run(kept.fill(Snapshot({"cache": SavedData(made, "secret")})))
        assert kept.note_ports({"cache": 7001}, 8001) == {}
    return tmp_path / "kept"


def test_what_was_filled_is_found_again(setup: Setup, folder: Path) -> None:
    with Kept.open(folder, setup) as kept:
        assert not kept.is_new
        assert not kept.is_outdated
        home = kept.homes()["cache"]
        assert (home.password, home.port, kept.service_port) == ("secret", 7001, 8001)
        assert (home.folder / "data" / "dump.rdb").read_text() == "data"
        assert kept.note_ports({"cache": 7001}, 8002) == {"service": 8001}
        assert kept.note_ports({"cache": 7001}, 8002) == {}


def test_it_is_refused_while_it_is_in_use(setup: Setup, folder: Path) -> None:
    said = rf"in use by another Loadpath \(pid {os.getpid()}\)"
    with Kept.open(folder, setup), pytest.raises(ConfigurationError, match=said):
        Kept.open(folder, setup)
    Kept.open(folder, setup).__exit__(None, None, None)


def test_the_lock_of_a_killed_one_lives_as_long_as_its_servers(setup: Setup, folder: Path) -> None:
    script = (
        "import fcntl, os, sys, subprocess\n"
        "lock = os.open(sys.argv[1], os.O_RDWR)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "os.pwrite(lock, b'%d\\n' % os.getpid(), 0)\n"
        "subprocess.Popen(['sleep', '1'], pass_fds=[lock])\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder / "lock")], check=True)
    with Kept.open(folder, setup) as kept:
        assert not kept.is_new
    assert (folder / "lock").read_text() == f"{os.getpid()}\n"


def test_data_of_another_service_is_refused_but_a_moved_one_is_the_same(
    setup: Setup, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"it holds the data of shop in .*, not of bank"):
        Kept.open(folder, with_service(setup, name="bank"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = with_service(setup, directory=elsewhere)
    with pytest.raises(ConfigurationError, match="it holds the data of shop in"):
        Kept.open(folder, moved)
    setup.service.directory.rmdir()
    with Kept.open(folder, moved) as kept:
        assert not kept.is_new


def test_other_dependencies_are_refused_and_another_seed_is_told(
    setup: Setup, folder: Path
) -> None:
    queue = Dependency(name="queue", kind="nats", env={})
    with pytest.raises(ConfigurationError, match=r"holds cache \(valkey\).* declares .*queue"):
        Kept.open(folder, with_service(setup, dependencies=(*setup.service.dependencies, queue)))
    seeded = msgspec.structs.replace(setup.service.dependencies[0], seed=("seed",))
    with Kept.open(folder, with_service(setup, dependencies=(seeded,))) as kept:
        assert kept.is_outdated


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "copying"}, "half made"),
        ({"format": 9}, "a newer Loadpath made it: format 9"),
        ({"parts": 1}, "is damaged"),
    ],
)
def test_what_cannot_be_used_is_said(
    setup: Setup, folder: Path, changes: dict[str, object], said: str
) -> None:
    file = folder / "loadpath.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(ConfigurationError, match=said) as raised:
        Kept.open(folder, setup)
    assert raised.value.advice
    assert (folder / "cache" / "data" / "dump.rdb").exists()


def test_data_that_is_gone_is_said(setup: Setup, folder: Path) -> None:
    (folder / "cache").rename(folder / "moved")
    with (
        Kept.open(folder, setup) as kept,
        pytest.raises(WouldNotRunError, match="is not there any more"),
    ):
        kept.homes()


def test_logs_of_the_last_time_are_put_aside(setup: Setup, folder: Path) -> None:
    logs = folder / "logs"
    for name in ("cache.log", "cache.log.1", "cache.previous.log"):
        (logs / name).write_text(name)
    with Kept.open(folder, setup):
        found = {path.name: path.read_text() for path in logs.iterdir()}
    assert found == {"cache.previous.log": "cache.log", "cache.previous.log.1": "cache.log.1"}


def test_a_folder_of_others_is_left_as_it_is(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"found mine\.txt, shop"):
        Kept.open(tmp_path, setup)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "shop"}
