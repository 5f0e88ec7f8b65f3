"""Servers that the user runs: whose processes listen at an address, and what they use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import loadpath
from loadpath.deploy import Address, Deployment, Guard
from loadpath.deploy.listeners import GivenServers, listeners_at
from loadpath.meter import Meter, window
from loadpath.spec import Dependency, Setup

MakeSetup = Callable[..., Setup]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

FORKING = """
import os, socket, sys, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen()
first = os.fork()
while not first:
    time.sleep(60)
print(server.getsockname()[1], first, flush=True)
for line in sys.stdin:
    # A process that is started only when a request comes, and keeps no listening socket.
    if os.fork() == 0:
        server.close()
        burn(float(line))
        print("burnt", os.getpid(), flush=True)
        time.sleep(60)
"""


class Server:
    """A server that forks: a worker at once, and one more for each request to `burn`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKING, host, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.port, self.worker = map(int, self.process.stdout.readline().split())
        self.family = {self.process.pid, self.worker}

    def burn(self, seconds: float) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.family.add(int(self.process.stdout.readline().split()[1]))

    def end(self) -> None:
        for pid in self.family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def begin(*where: object) -> Server:
        servers.append(Server(*where))  # type: ignore[arg-type]
        return servers[-1]

    yield begin
    for server in servers:
        server.end()


def test_a_forking_server_is_all_who_hold_its_socket(serve: Callable[..., Server]) -> None:
    server = serve()
    found = listeners_at(Address("127.0.0.1", server.port))
    assert set(found.pids) == {server.process.pid, server.worker}
    assert found.unseen == ""
    assert listeners_at(Address("localhost", server.port)) == found


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_one_that_listens_at_every_address_listens_at_this_one(
    serve: Callable[..., Server], host: str
) -> None:
    server = serve(host)
    assert server.process.pid in listeners_at(Address("127.0.0.1", server.port)).pids


def test_a_server_elsewhere_has_no_process_here() -> None:
    found = listeners_at(Address("192.0.2.1", 80))
    assert (found.pids, found.unseen) == ((), "")


def test_where_nobody_listens_that_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = listeners_at(Address("127.0.0.1", taken.getsockname()[1]))
    assert found.pids == ()
    assert "in a container, perhaps" in found.unseen


def test_its_cpu_is_its_own_and_not_that_of_others(serve: Callable[..., Server]) -> None:
    server = serve()
    given = GivenServers({"payments": Address("127.0.0.1", server.port)})
    with Meter(given.roots, interval_s=0.05) as meter:
        began_s = time.monotonic()
        server.burn(0.4)
        tables = meter.take()
        used = window(tables.threads, tables.processes, tables.host, began_s, time.monotonic())
    assert used.cpu_by_part["payments"] == pytest.approx(0.4, rel=0.1)
    # What it burnt is missing among others, however much those took.
    took_s = used.to_s - used.from_s
    host_s = used.host.busy_cores * took_s
    assert used.host.others_cores * took_s < host_s - 0.3


def test_one_that_was_started_again_is_found_again(serve: Callable[..., Server]) -> None:
    server = serve()
    given = GivenServers({"payments": Address("127.0.0.1", server.port)})
    assert set(given.roots()["payments"]) == server.family
    server.end()
    again = serve("127.0.0.1", server.port)
    # By itself, since the processes it knew have ended.
    deadline_s = time.monotonic() + 10
    while set(given.roots()["payments"]) != again.family and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert set(given.roots()["payments"]) == again.family


def test_a_server_of_two_dependencies_is_the_first_ones(serve: Callable[..., Server]) -> None:
    address = Address("127.0.0.1", serve().port)
    roots = GivenServers({"orders": address, "payments": address}).roots()
    assert len(roots["orders"]) == 2
    assert roots["payments"] == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a server of another user")
def test_another_users_processes_are_said_to_be_unseen(serve: Callable[..., Server]) -> None:
    server = serve()
    script = (
        "import os\nfrom loadpath.deploy.address import Address\n"
        "from loadpath.deploy.listeners import GivenServers, listeners_at\n"
        f"address = Address('127.0.0.1', {server.port})\n"
        # Loads what another user may not be allowed to read.
        "assert len(listeners_at(address).pids) == 2\n"
        "os.setresuid(65534, 65534, 65534)\n"
        "given = GivenServers({'payments': address})\n"
        "print(given.roots(), given.unseen())\n"
    )
    sources = str(Path(loadpath.__file__).parents[1])
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "{'payments': ()} {'payments': 'its processes belong to another user'}\n"


def test_a_given_dependency_is_a_part_to_meter_and_none_to_end(
    make_setup: MakeSetup, serve: Callable[..., Server]
) -> None:
    server = serve()
    payments = Dependency(
        name="payments", kind="http", env={}, url=f"http://127.0.0.1:{server.port}"
    )

    async def main() -> None:
        async with (
            Guard() as guard,
            Deployment(make_setup("plain", dependencies=(payments,)), guard=guard) as deployment,
        ):
            assert set(deployment.parts()) == {"service"}
            assert set(deployment.given_parts()["payments"]) == server.family
            assert deployment.unmetered() == ()

    asyncio.run(main())
    assert server.process.poll() is None
    assert Path(f"/proc/{server.worker}").exists()
