"""Several Loadpaths at once, each in a folder of its own: interrupted, killed, refusing to go on.

They mostly wait, so they are started together; that none of them disturbs another is tested so too.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

SLOW = '[operations."GET /slow"]\nrequest = "GET /slow"\n'
BROKEN = '[operations."GET /broken"]\nrequest = "GET /broken"\nweight = 0.5\n'
CACHE = """
[dependencies.cache]
kind = "valkey"
env = { CACHE_URL = "redis://:{password}@{host}:{port}" }
"""
LAX = '[objective]\np99 = "2s"\n'
"""Met however busy the machine is."""

QUICK = ("run", "--duration", "1")
"""With a ramp that lasts until it is interrupted."""

Place = Any


@pytest.fixture(scope="module")
def places(make_place: Callable[[], Place]) -> Iterator[dict[str, Place]]:
    """A Loadpath measuring in each, told what it does as JSON lines on its stderr."""
    tables = {
        "SIGINT": [SLOW],
        "SIGTERM": [SLOW],
        "killed": [SLOW],
        "killed beside a stopped dependency": [SLOW, CACHE],
        "failing": [SLOW, BROKEN],
    }
    made = {}
    for name, written in tables.items():
        made[name] = make_place()
        made[name].write(*written, LAX, rate="30/s")
        made[name].start(*QUICK, "--json")
    yield made


def ramping(place: Place) -> Any:
    """The Loadpath of that place, in its ramp."""
    (started,) = place.started[:1]
    started.until_event(event="LoadProgress", phase="ramp")
    return started


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_in_the_ramp_it_stops_everything_and_keeps_what_it_recorded(
    places: dict[str, Place], name: str
) -> None:
    place = places[name]
    ended = ramping(place).end(getattr(signal, name))
    assert ended.code == 130, ended
    assert ended.out == ""
    assert "Interrupted. What was recorded is kept in .loadpath/runs/" in ended.err
    assert "Traceback" not in ended.err
    assert place.left_in_the_end() == []
    info = json.loads((place.folder / ".loadpath/runs/latest/run.json").read_text())
    assert (info["status"], info["exit_code"]) == ("interrupted", 130)

    # The command that it names derives what the recording carries: today's load was measured.
    command = re.search(r"`loadpath (report .*)` derives", ended.err)
    assert command is not None
    report = place.run(*command[1].split())
    assert report.code == 3, report
    assert "· interrupted" in report.out.split("\n\n")[0].replace("\n", " ")
    assert "the knee was not found; today's is 30/s" in " ".join(report.out.split())
    assert "? inconclusive: " in report.out


def listening(processes: list[psutil.Process]) -> set[int]:
    """The ports that these processes listen on."""
    return {
        each.laddr.port
        for process in processes
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }


def alive(process: psutil.Process) -> bool:
    """Whether it still is a process: one that waits for its parent to look is none."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", ["killed", "killed beside a stopped dependency"])
def test_killed_in_the_ramp_it_leaves_nothing_behind(places: dict[str, Place], name: str) -> None:
    place = places[name]
    started = ramping(place)
    family = started.family()
    ports = listening(family)
    # Loadpath, its guard, the engine and the service at least; the service and the cache listen.
    servers = [process for process in family if "valkey-server" in process.name()]
    assert len(family) >= 4 + len(servers)
    assert len(servers) == ("dependency" in name)
    assert len(ports) == 1 + len(servers)
    for server in servers:
        server.suspend()
    started.process.kill()
    deadline_s = time.monotonic() + 5.0
    while (left := [*place.left(), *filter(alive, family), *filter(answers, ports)]) != []:
        assert time.monotonic() < deadline_s, left
        time.sleep(0.02)
    assert started.end().code == -signal.SIGKILL
    report = place.run("report")
    assert report.code == 3, report
    assert report.out.splitlines()[0].endswith(" · interrupted")
    assert "today's is 30/s" in " ".join(report.out.split())


def test_an_operation_whose_every_reply_is_an_error_is_named(places: dict[str, Place]) -> None:
    place = places["failing"]
    ended = place.started[0].end()
    assert ended.code == 3, ended
    assert ended.out == ""
    said = ended.err.splitlines()[-2:]
    assert re.match(r"loadpath: GET /broken: all of its \d+ requests failed; the first: ", said[0])
    assert "status 500: no such table: links" in said[0]
    assert "loadpath check" in said[1]
    for secret in ("hunter2", "ada@example.org", "\x1b"):
        assert secret not in ended.err
    assert place.left_in_the_end() == []
    info = json.loads((place.folder / ".loadpath/runs/latest/run.json").read_text())
    assert (info["status"], info["exit_code"]) == ("interrupted", 3)
    assert place.run("report").code == 3
