"""`loadpath check` and `serve`: what answers, and what will not run, each named."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MakePlace = Callable[[], Any]
Place = Any

FAST = '[operations."GET /fast"]\nrequest = "GET /fast"\n'
BROKEN = '[operations."GET /broken"]\nrequest = "GET /broken"\n'
CACHE = """
[dependencies.cache]
kind = "valkey"
env = { CACHE_URL = "redis://:{password}@{host}:{port}" }
"""
READY_SOON = 'ready_timeout = "1s"\n'


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on loopback that nobody declared: it accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


class TestWhatAnswers:
    def test_every_operation_is_listed_with_its_status_and_times(self, place: Place) -> None:
        place.write(FAST, '[operations."GET /slow"]\nrequest = "GET /slow"\n')
        ended = place.run("check")
        assert ended.code == 0, ended
        assert re.search(r"^shop · ready in \d+\.\d s$", ended.out, re.MULTILINE)
        assert re.search(r"^✓ GET /fast +200 +\S+ ms +\S+ ms$", ended.out, re.MULTILINE)
        slow = re.search(r"^✓ GET /slow +200 +\S+ ms +(\S+) ms$", ended.out, re.MULTILINE)
        assert slow is not None
        assert float(slow[1]) >= 20
        assert ended.out.endswith("✓ every operation answers (2 of them)\n")
        assert place.left_in_the_end() == []

    def test_one_that_answers_500_is_named_with_the_start_of_its_reply(self, place: Place) -> None:
        place.write(FAST, BROKEN)
        ended = place.run("check")
        assert ended.code == 1, ended
        assert re.search(r"^✓ GET /fast +200 ", ended.out, re.MULTILINE)
        assert re.search(r"^✗ GET /broken +500 ", ended.out, re.MULTILINE)
        assert "no such table: links" in ended.out
        assert "failing: 1 of 2 operations" in ended.out
        for secret in ("hunter2", "ada@example.org", "\x1b"):
            assert secret not in ended.out

    def test_json_says_the_same_and_progress_is_json_lines(self, place: Place) -> None:
        place.write(FAST, BROKEN)
        ended = place.run("check", "--json")
        document = json.loads(ended.out)
        assert ended.code == document["exit_code"] == 1
        found = {o["operation"]: o["statuses"] for o in document["check"]["operations"]}
        assert found == {"GET /fast": [200], "GET /broken": [500]}
        events = [json.loads(line)["event"] for line in ended.err.splitlines()]
        assert {"PartStarting", "PartReady", "PartStopped"} <= set(events)

    def test_a_dependency_is_named_with_its_version_and_one_unused_is_told(
        self, place: Place
    ) -> None:
        place.write(FAST, CACHE)
        ended = place.run("check")
        assert ended.code == 2, ended
        assert re.search(r"^  cache +Valkey \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+$", ended.out, re.M)
        assert "✗ the service never connected to cache" in ended.out
        assert "CACHE_URL" in ended.out
        assert place.left_in_the_end() == []


class TestWhatWillNotRun:
    """Exit 4: what was started, what was waited for, and the last lines it printed."""

    def fails(self, place: Place, *said: str) -> str:
        ended = place.run("check")
        assert ended.code == 4, ended
        assert ended.out == ""
        for words in said:
            assert words in ended.err, ended
        assert "Traceback" not in ended.err
        assert place.left_in_the_end() == []
        return str(ended.err)

    def test_a_command_that_does_not_exist(self, place: Place) -> None:
        place.write(FAST, start="shopd --port {port}")
        self.fails(place, "[service] start: there is no program 'shopd'")

    def test_one_that_exits(self, place: Place) -> None:
        place.write(FAST, manner="exits")
        text = self.fails(place, "the service exited with 3", "the last lines it printed:")
        assert "    reading settings\n    no such table: links\n" in text

    def test_one_that_never_answers(self, place: Place) -> None:
        place.write(FAST, service=READY_SOON, manner="hangs")
        text = self.fails(place, "was not ready after 1 s", "GET http://127.0.0.1:")
        assert "nothing listened there" in text
        assert "    waiting for a lock\n" in text

    def test_one_whose_port_is_taken(self, place: Place, listener: socket.socket) -> None:
        port = port_of(listener)
        place.write(FAST, service=READY_SOON, start=f"{sys.executable} service.py {port}")
        self.fails(place, "the service exited with 1", "ddress already in use")

    def test_a_prepare_that_fails(self, place: Place) -> None:
        prepare = f"{sys.executable} -c 'print(1); print(2); raise SystemExit(7)'"
        place.write(FAST, f'{CACHE}prepare = "{prepare}"\n')
        text = self.fails(place, "prepare cache exited with 7")
        assert "    1\n    2\n" in text


class TestWhatIsNotSafe:
    """Exit 2, before any load is driven."""

    def test_a_dependency_on_another_machine(self, place: Place) -> None:
        url = "redis://user:hunter2@192.0.2.1:6379/0"
        place.write(FAST, f'{CACHE}url = "{url}"\n')
        ended = place.run("check")
        assert ended.code == 2, ended
        assert "dependency cache is at 192.0.2.1, which is not this machine" in ended.err
        assert "--allow-host 192.0.2.1" in ended.err
        assert "hunter2" not in ended.err
        assert place.left_in_the_end() == []

    def test_a_server_that_no_dependency_declares(
        self, place: Place, listener: socket.socket
    ) -> None:
        # What a .env of the service's own comes to: it talks to something nobody told of.
        upstream = f"127.0.0.1:{port_of(listener)}"
        settings = f'env = {{ UPSTREAM = "{upstream}" }}\n'
        place.write(FAST, service=settings, manner="connects")
        ended = place.run("check")
        assert ended.code == 2, ended
        assert "the service talks to a server that no dependency declares" in ended.err
        assert f"is connected to {upstream}" in ended.err
        assert "peers" in ended.err
        assert place.left_in_the_end() == []

    def test_one_that_is_declared_is_let_be(self, place: Place, listener: socket.socket) -> None:
        upstream = f"127.0.0.1:{port_of(listener)}"
        settings = f'env = {{ UPSTREAM = "{upstream}" }}\npeers = ["{upstream}"]\n'
        place.write(FAST, service=settings, manner="connects")
        ended = place.run("check")
        assert ended.code == 0, ended


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_the_service_until_it_is_told_to_stop(place: Place, sig: int) -> None:
    place.write(FAST, CACHE)
    started = place.start("serve", PYTHONUNBUFFERED="1")
    started.until_out("Ctrl-C stops it.")
    address = re.search(r"http://127\.0\.0\.1:\d+", started.out)
    assert address is not None
    with urllib.request.urlopen(f"{address[0]}/fast", timeout=10) as reply:
        assert reply.read() == b"ok"
    assert re.search(r"^cache +Valkey \S+ at 127\.0\.0\.1:\d+$", started.out, re.MULTILINE)
    assert re.search(r"^ +redis-cli -u redis://default:\S+@127\.0\.0\.1:\d+/0$", started.out, re.M)
    ended = started.end(sig)
    assert ended.code == 0, ended
    assert "stopped" in ended.err
    assert place.left_in_the_end() == []
