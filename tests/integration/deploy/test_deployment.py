"""A deployment: what the service is given, what is said when it will not run, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from loadpath.deploy import Address, Deployment, Guard, Snapshot, address, processes, service
from loadpath.deploy.logs import KEPT_BYTES, LIMIT_BYTES
from loadpath.errors import ExitCode, UnsafeTargetError, WouldNotRunError
from loadpath.events import AnyEvent, PartReady, PartStarting, PartStopped
from loadpath.spec import Dependency, Knob, Setup

MakeSetup = Callable[..., Setup]


def deployed(
    setup: Setup,
    work: Callable[[Deployment], Awaitable[None]],
    **options: object,
) -> None:
    async def main() -> None:
        async with Guard() as guard:
            async with Deployment(setup, guard=guard, **options) as deployment:  # type: ignore[arg-type]
                await work(deployment)
            assert processes.tree((guard.pid,)) == [guard.pid]

    asyncio.run(main())


async def nothing(deployment: Deployment) -> None:
    """Deploy, and be content."""


def fails(setup: Setup, **options: object) -> WouldNotRunError:
    with pytest.raises(WouldNotRunError) as failed:
        deployed(setup, nothing, **options)
    assert failed.value.exit_code is ExitCode.WOULD_NOT_RUN
    return failed.value


async def environment(deployment: Deployment) -> dict[str, str]:
    """What the service says its environment is."""

    def read() -> str:
        with urllib.request.urlopen(f"http://{deployment.address}/") as reply:
            return str(reply.read().decode())

    lines = (await asyncio.to_thread(read)).splitlines()
    return dict(line.split("=", 1) for line in lines)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


# What the service is given


def test_the_service_gets_its_own_variables_and_few_of_ours(
    make_setup: MakeSetup, three: tuple[Dependency, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production.example.com/shop")
    monkeypatch.setenv("POOL", "1000")
    cache = msgspec.structs.replace(
        three[1], env={"CACHE_URL": "redis://:{password}@{host}:{port}/{name}"}
    )
    setup = make_setup(
        "plain",
        dependencies=(cache,),
        env={"COLOR": "blue", "SELF": "http://localhost:{port}"},
        knobs=(Knob("pool", "POOL", "10", ("10", "20")),),
    )

    async def work(deployment: Deployment) -> None:
        env = await environment(deployment)
        running = deployment.dependencies["cache"]
        assert "DATABASE_URL" not in env
        assert env["COLOR"] == "blue"
        assert env["POOL"] == "20"
        assert env["PORT"] == str(deployment.address.port)
        assert env["SELF"] == f"http://localhost:{deployment.address.port}"
        assert env["HOME"] == os.environ["HOME"]
        assert env["CACHE_URL"] == f"redis://:{running.password}@127.0.0.1:{running.port}/0"

    deployed(msgspec.structs.replace(setup, knobs={"pool": "20"}), work)


def test_workers_stand_in_the_start_command(make_setup: MakeSetup) -> None:
    async def work(deployment: Deployment) -> None:
        (pid,) = deployment.parts()["service"]
        assert b"\0--workers=3\0" in Path(f"/proc/{pid}/cmdline").read_bytes()

    setup = make_setup("plain", "--workers={workers}")
    deployed(msgspec.structs.replace(setup, workers=3), work)


def test_a_relay_may_stand_before_a_dependency(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    asked = []

    async def wrap(name: str, address: Address) -> Address:
        asked.append((name, address))
        return Address("127.0.0.1", 4567)

    async def work(deployment: Deployment) -> None:
        running = deployment.dependencies["cache"]
        assert asked == [("cache", running.address)]
        assert running.port != 4567
        assert (await environment(deployment))["CACHE"].split()[3] == "4567"

    deployed(make_setup("plain", dependencies=three[1:2]), work, wrap=wrap)


def test_the_parts_are_told_in_order_and_nothing_is_left_but_their_logs(
    make_setup: MakeSetup, three: tuple[Dependency, ...], tmp_path: Path
) -> None:
    events: list[AnyEvent] = []
    pids: list[int] = []
    setup = make_setup("workers", dependencies=three)

    async def main() -> None:
        async with Guard() as guard:
            async with Deployment(setup, guard=guard, emit=events.append) as deployment:
                work(deployment)
            deployment.copy_logs(tmp_path)

    def work(deployment: Deployment) -> None:
        parts = deployment.parts()
        assert list(parts) == ["database", "cache", "queue", "service"]
        assert len(processes.tree(parts["database"])) > 5
        assert len(processes.tree(parts["service"])) == 3
        pids.extend(pid for roots in parts.values() for pid in processes.tree(roots))

    asyncio.run(main())
    assert [pid for pid in pids if processes.look(pid)] == []
    assert "ready to accept connections" in (tmp_path / "database.log").read_text()
    assert "Ready to accept connections" in (tmp_path / "cache.log").read_text()
    assert "Server is ready" in (tmp_path / "queue.log").read_text()
    assert (tmp_path / "service.log").read_text() == ""
    assert isinstance(events[-5], PartReady)
    stopped = [(event.part, event.expected) for event in events if isinstance(event, PartStopped)]
    assert stopped == [(name, True) for name in ("service", "database", "cache", "queue")]
    started = [event.part for event in events if isinstance(event, PartStarting)]
    assert started[-1] == "service"


@pytest.mark.parametrize("manner", ["daemon", "six"])
def test_services_of_other_manners_are_found(make_setup: MakeSetup, manner: str) -> None:
    async def work(deployment: Deployment) -> None:
        assert len(deployment.parts()["service"]) == 1
        assert (await environment(deployment))["PORT"] == str(deployment.address.port)
        deployment.raise_if_died()

    deployed(make_setup(manner), work)


def test_a_service_that_ignores_being_asked_is_killed(make_setup: MakeSetup) -> None:
    deployed(make_setup("stubborn", stop_timeout_s=0.2), nothing)


def test_a_service_that_floods_its_log_neither_fills_the_disk_nor_blocks(
    make_setup: MakeSetup, tmp_path: Path
) -> None:
    async def work(deployment: Deployment) -> None:
        log = deployment._logs["service"]
        await until(log.older.exists, within_s=20.0)
        for _ in range(20):
            await environment(deployment)
        assert 0 < len(deployment.log_tail("service")) <= 20
        assert log.older.stat().st_size < KEPT_BYTES + 100
        deployment.copy_logs(tmp_path / "logs")
        assert (tmp_path / "logs" / "service.log").stat().st_size <= LIMIT_BYTES + KEPT_BYTES

    deployed(make_setup("floods"), work)


# What is said when it will not run


def test_a_service_that_exits_is_shown_with_its_last_lines(make_setup: MakeSetup) -> None:
    error = fails(make_setup("exits", ready="GET /health"))
    assert "exited with 3" in error.message
    assert "/health" in error.message
    assert "service.py exits" in error.message
    assert error.last_lines == ("reading settings", "no such table: links")
    assert error.advice is not None
    assert "[service] env" in error.advice


def test_a_service_whose_command_ends_is_told_apart_from_a_daemon(make_setup: MakeSetup) -> None:
    error = fails(make_setup("ends"))
    assert "exited with 0" in error.message
    assert error.advice == "The start command must keep running until it is told to end."


@pytest.mark.parametrize(
    ("manner", "found"),
    [("hangs", "nothing listened there"), ("503", "its last answer was status 503")],
)
def test_a_service_that_never_gets_ready_says_what_was_waited_for(
    make_setup: MakeSetup, manner: str, found: str
) -> None:
    error = fails(make_setup(manner, ready="GET /health", ready_timeout_s=0.5))
    assert "after 0.5 s" in error.message
    assert "GET http://127.0.0.1:" in error.message
    assert "/health" in error.message
    assert found in error.message
    assert error.last_lines == (("waiting for a lock",) if manner == "hangs" else ())


def test_a_service_that_listens_elsewhere_is_told_where(make_setup: MakeSetup) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = fails(make_setup("elsewhere", str(port), ready_timeout_s=1.0))
    assert f"it listens on port {port}" in error.message
    assert error.advice is not None
    assert "{port}" in error.advice


def test_a_start_command_that_does_not_exist_says_where_it_was_looked_for(
    make_setup: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    error = fails(make_setup("plain", start=("no-such-server", "{port}"), directory=tmp_path))
    assert "'no-such-server'" in error.message
    assert f"looked in /usr/bin, /bin, {Path(sys.executable).parent}" in error.message
    error = fails(make_setup("plain", start=("./server", "{port}"), directory=tmp_path))
    assert error.message == f"[service] start: ./server does not exist in {tmp_path}"
    (tmp_path / "server").write_text("print(1)")
    assert (
        "not executable" in fails(make_setup("", start=("./server",), directory=tmp_path)).message
    )
    (tmp_path / "server").chmod(0o755)
    error = fails(make_setup("plain", start=("./server",), directory=tmp_path))
    assert "Exec format error" in error.message
    assert error.advice is not None
    assert "#!" in error.advice


def test_the_services_own_environment_comes_first(make_setup: MakeSetup, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    own = tmp_path / ".venv" / "bin" / "python"
    own.write_text("#!/bin/sh\necho this is the one; exit 9\n")
    own.chmod(0o755)
    (tmp_path / "inner").mkdir()
    error = fails(make_setup("plain", start=("python", "x.py"), directory=tmp_path / "inner"))
    assert error.last_lines == ("this is the one",)


def test_a_port_that_the_user_insists_on_and_is_taken_names_its_holder(
    make_setup: MakeSetup,
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        error = fails(make_setup("plain"), port=port)
    assert error.message.startswith(f"port {port} is taken by ")
    assert f"(pid {os.getpid()})" in error.message


def test_a_port_that_the_user_insists_on_is_used(make_setup: MakeSetup) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def work(deployment: Deployment) -> None:
        assert deployment.address == Address("127.0.0.1", port)

    deployed(make_setup("plain"), work, port=port)


def test_a_service_that_loses_the_race_for_its_port_gets_another(
    make_setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1]]
        real = address.free_port
        monkeypatch.setattr(service, "free_port", lambda: ports.pop() if ports else real())

        async def work(deployment: Deployment) -> None:
            assert deployment.address.port != other.getsockname()[1]

        deployed(make_setup("plain"), work)


def test_a_given_dependency_that_does_not_answer_is_named(make_setup: MakeSetup) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"postgresql://me:secret@127.0.0.1:{port}/shop"
        dependency = Dependency(name="database", kind="postgres", env={}, url=url)
        error = fails(make_setup("plain", dependencies=(dependency,)))
    assert f"PostgreSQL (database) was given at 127.0.0.1:{port}" in error.message
    assert "secret" not in error.message


def test_a_given_dependency_on_another_machine_is_refused(make_setup: MakeSetup) -> None:
    url = "postgresql://me:secret@192.0.2.1/shop"
    dependency = Dependency(name="database", kind="postgres", env={}, url=url)
    with pytest.raises(UnsafeTargetError, match=r"192\.0\.2\.1, which is not this machine"):
        deployed(make_setup("plain", dependencies=(dependency,)), nothing)


# Parts that end while they are needed


@pytest.mark.parametrize("part", ["service", "cache"])
def test_a_part_that_dies_is_noticed(
    make_setup: MakeSetup, three: tuple[Dependency, ...], part: str
) -> None:
    events: list[AnyEvent] = []
    chosen = tuple(d for d in three if d.name == part)

    async def work(deployment: Deployment) -> None:
        deployment.raise_if_died()
        died = asyncio.ensure_future(deployment.died())
        os.kill(deployment.parts()[part][0], signal.SIGKILL)
        error = await asyncio.wait_for(died, 10.0)
        what = "the service" if part == "service" else part
        assert error.message == f"{what} was ended by SIGKILL while it was needed"
        with pytest.raises(WouldNotRunError):
            deployment.raise_if_died()

    deployed(make_setup("plain", dependencies=chosen), work, emit=events.append)
    stopped = [(event.part, event.expected) for event in events if isinstance(event, PartStopped)]
    assert (part, False) in stopped
    assert (part, True) not in stopped


def test_a_daemon_that_dies_is_noticed(make_setup: MakeSetup) -> None:
    async def work(deployment: Deployment) -> None:
        os.kill(deployment.parts()["service"][0], signal.SIGKILL)
        error = await asyncio.wait_for(deployment.died(), 10.0)
        assert "the service" in error.message

    deployed(make_setup("daemon"), work)


def test_a_deployment_that_is_cancelled_while_it_starts_leaves_nothing(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    async def main() -> None:
        async with Guard() as guard:
            for wanted in (1, 4, 7):
                seen: list[AnyEvent] = []
                deployment = Deployment(
                    make_setup("hangs", dependencies=three),
                    guard=guard,
                    snapshot=Snapshot(),
                    emit=seen.append,
                )
                entering = asyncio.ensure_future(deployment.__aenter__())
                await until(lambda: len(seen) >= wanted or entering.done())  # noqa: B023
                entering.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await entering
                await until(lambda: processes.tree((guard.pid,)) == [guard.pid])

    asyncio.run(main())


# Whom the service is connected to


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def text(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def test_an_undeclared_peer_stops_the_run_and_is_named(
    make_setup: MakeSetup, listener: socket.socket, three: tuple[Dependency, ...]
) -> None:
    setup = make_setup("connects", text(listener), dependencies=three[1:2])
    with pytest.raises(UnsafeTargetError) as found:
        deployed(setup, nothing)
    assert f"connected to {text(listener)}" in found.value.message
    assert found.value.advice is not None
    assert ".env" in found.value.advice
    assert "CACHE" in found.value.advice
    assert "peers" in found.value.advice


def test_an_undeclared_peer_behind_a_unix_socket_is_named(
    make_setup: MakeSetup, open_folder: Path
) -> None:
    path = open_folder / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        accepted: list[socket.socket] = []
        accepting = threading.Thread(
            target=lambda: accepted.extend(listening.accept()[0] for _ in range(2))
        )
        accepting.start()
        with pytest.raises(UnsafeTargetError, match=r"PGSQL\.5432 \(PostgreSQL\)"):
            deployed(make_setup("connects", str(path)), nothing)
        deployed(make_setup("connects", str(path), peers=(str(path),)), nothing)
        accepting.join()
        for connection in accepted:
            connection.close()


def test_a_declared_peer_is_no_offence(make_setup: MakeSetup, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    for peer in (text(listener), f"localhost:{port}", "127.0.0.1:*", f"*:{port}"):
        deployed(make_setup("connects", text(listener), peers=(peer,)), nothing)


def test_connections_of_its_clients_and_within_itself_are_no_peers(
    make_setup: MakeSetup, listener: socket.socket
) -> None:
    async def work(deployment: Deployment) -> None:
        with socket.create_connection((deployment.address.host, deployment.address.port)):
            deployment.check_peers()
            url = f"/connect?{deployment.address}"
            await asyncio.to_thread(
                urllib.request.urlopen, f"http://{deployment.address}{url}", timeout=10
            )
            deployment.check_peers()
            await asyncio.to_thread(
                urllib.request.urlopen,
                f"http://{deployment.address}/connect?{text(listener)}",
                timeout=10,
            )
            with pytest.raises(UnsafeTargetError, match=text(listener)):
                deployment.check_peers()

    deployed(make_setup("plain"), work)


def test_a_dependency_that_is_never_used_is_told(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    async def work(deployment: Deployment) -> None:
        assert deployment.unused_dependencies() == ("cache", "queue")
        cache = deployment.dependencies["cache"].address
        await asyncio.to_thread(
            urllib.request.urlopen, f"http://{deployment.address}/connect?{cache}", timeout=10
        )
        deployment.check_peers()
        assert deployment.unused_dependencies() == ("queue",)

    deployed(make_setup("plain", dependencies=three[1:]), work)


# The cores it may run on


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binding is for Linux")
def test_fewer_cores_bind_every_process_and_leave_loadpath_its_own(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    ours = os.sched_getaffinity(0)

    async def look(deployment: Deployment) -> None:
        pids = [pid for roots in deployment.parts().values() for pid in processes.tree(roots)]
        assert len(pids) > len(three)
        assert {frozenset(os.sched_getaffinity(pid)) for pid in pids} == {frozenset({min(ours)})}

    setup = make_setup("environment", dependencies=three)
    deployed(msgspec.structs.replace(setup, cores=1), look)
    assert os.sched_getaffinity(0) == ours


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binding is for Linux")
def test_more_cores_than_there_are_will_not_run(make_setup: MakeSetup) -> None:
    error = fails(msgspec.structs.replace(make_setup("environment"), cores=4096))
    assert "cores of this host, got 4096" in error.message
