"""Prepare and seed: run once, kept, and every arm starts from the same."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadpath.deploy import Deployment, Guard, RunningDependency, Snapshot, prepare_data, processes
from loadpath.errors import WouldNotRunError
from loadpath.events import AnyEvent, PhaseFinished, PhaseStarted, Warned, discard
from loadpath.spec import Dependency, Knob, Setup

MakeSetup = Callable[..., Setup]
CLIENT = str(Path(__file__).parent / "services" / "data.py")
PYTHON = sys.executable


def with_commands(dependency: Dependency, **commands: Any) -> Dependency:
    return msgspec.structs.replace(dependency, **commands)


async def client(deployment: Deployment, *words: str) -> str:
    env = dict(os.environ)
    for name, dependency in deployment.dependencies.items():
        env[name.upper()] = "{user} {password} {host} {port} {name}".format_map(dependency.values())
    done = await asyncio.to_thread(
        subprocess.run,
        [PYTHON, CLIENT, *words],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def prepared(setup: Setup, emit: Callable[[AnyEvent], None] = discard, **options: Any) -> Snapshot:
    async def main() -> Snapshot:
        async with Guard() as guard:
            folder = guard.make_folder()
            snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=folder, **options)
            assert processes.tree((guard.pid,)) == [guard.pid]
            return snapshot

    return asyncio.run(main())


BIG = "CREATE TABLE big AS SELECT g FROM generate_series(1, 5000) g"
BIG_STATE = "SELECT reltuples, relallvisible > 0 FROM pg_class WHERE relname = 'big'"
BIG_STATISTICS = "SELECT count(*) FROM pg_stats WHERE tablename = 'big'"


def test_every_arm_starts_from_what_was_seeded_and_from_nothing_else(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    database, cache, queue = three
    seeded = with_commands(
        database,
        prepare=(PYTHON, "data.py", "sql", BIG),
        seed=(PYTHON, "data.py", "write", "seeded"),
    )
    setup = make_setup("plain", dependencies=(seeded, cache, queue))
    found = []
    passwords = set()

    async def main() -> None:
        async with Guard() as guard:
            snapshot = await prepare_data(
                setup, guard=guard, emit=discard, folder=guard.make_folder()
            )
            for _ in range(2):
                async with Deployment(setup, guard=guard, snapshot=snapshot) as deployment:
                    found.append(json.loads(await client(deployment, "read")))
                    # Vacuumed and analyzed: arms do not differ by what autovacuum has got to.
                    assert await client(deployment, "sql", BIG_STATE) == "5000|t\n"
                    assert await client(deployment, "sql", BIG_STATISTICS) == "1\n"
                    await client(deployment, "write", "by an arm")
                    passwords.add(tuple(d.password for d in deployment.dependencies.values()))

    asyncio.run(main())
    assert found == [{"database": "seeded", "cache": "seeded", "queue": 1}] * 2
    # The service is given the same in every arm.
    assert len(passwords) == 1


def test_commands_run_in_order_with_the_environment_of_the_service(
    make_setup: MakeSetup, three: tuple[Dependency, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    show = f"echo $STEP $POOL $COLOR $(basename $PWD) ${{CACHE%% *}} $PORT >> {log}"

    def step(name: str) -> tuple[str, ...]:
        return ("sh", "-c", f"STEP={name}; {show}")

    cache, queue = (
        with_commands(dependency, prepare=step(f"prepare-{n}"), seed=step(f"seed-{n}"))
        for n, dependency in enumerate(three[1:])
    )
    setup = make_setup(
        "plain",
        dependencies=(cache, queue),
        env={"COLOR": "blue", "POOL": "overridden by the knob"},
        knobs=(Knob("pool", "POOL", "10", ("10", "20")),),
    )
    events: list[AnyEvent] = []
    prepared(msgspec.structs.replace(setup, knobs={"pool": "20"}), events.append)
    assert log.read_text().splitlines() == [
        f"{name} 20 blue services default"
        for name in ("prepare-0", "prepare-1", "seed-0", "seed-1")
    ]
    phases = ["prepare cache", "prepare queue", "seed cache", "seed queue"]
    assert [event.phase for event in events if isinstance(event, PhaseStarted)] == phases
    assert [event.phase for event in events if isinstance(event, PhaseFinished)] == phases


def test_nothing_is_started_when_there_is_nothing_to_prepare(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    events: list[AnyEvent] = []
    assert prepared(make_setup("plain", dependencies=three), events.append) == Snapshot()
    assert events == []


def test_a_prepare_that_fails_is_shown_with_its_last_lines(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    failing = with_commands(
        three[1], prepare=("sh", "-c", "echo password is ${CACHE#* }; echo no migrations; exit 4")
    )
    with pytest.raises(WouldNotRunError, match="prepare cache exited with 4: sh -c") as failed:
        prepared(make_setup("plain", dependencies=(failing,)))
    assert failed.value.last_lines[-1] == "no migrations"
    assert failed.value.last_lines[0].startswith("password is ***")


def test_a_seed_that_takes_too_long_is_ended(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    slow = with_commands(three[1], seed=("sh", "-c", "echo 1 of 1000; sleep 1000"))
    with pytest.raises(WouldNotRunError, match=r"seed cache did not end within 0\.5 s") as failed:
        prepared(make_setup("plain", dependencies=(slow,)), seed_timeout_s=0.5)
    assert failed.value.last_lines == ("1 of 1000",)


def test_a_prepare_that_does_not_exist_says_where_it_was_looked_for(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    missing = with_commands(three[1], prepare=("no-such-migration-tool", "up"))
    with pytest.raises(WouldNotRunError, match=r"no-such-migration-tool.*looked in /"):
        prepared(make_setup("plain", dependencies=(missing,)))


def test_a_prepare_that_misses_an_extension_is_told_which(
    make_setup: MakeSetup, three: tuple[Dependency, ...]
) -> None:
    prepare = (PYTHON, "data.py", "sql", 'CREATE EXTENSION "uuid-ossp"')
    missing = with_commands(three[0], prepare=prepare)
    with pytest.raises(WouldNotRunError, match="has no extension uuid-ossp") as failed:
        prepared(make_setup("plain", dependencies=(missing,)))
    assert failed.value.advice is not None
    assert "gen_random_uuid()" in failed.value.advice
    assert "url =" in failed.value.advice


def test_what_a_command_leaves_running_is_ended(
    make_setup: MakeSetup, three: tuple[Dependency, ...], tmp_path: Path
) -> None:
    leaves = with_commands(three[1], prepare=("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid"))
    prepared(make_setup("plain", dependencies=(leaves,)))
    assert processes.look(int((tmp_path / "pid").read_text())) is None


def test_a_given_dependency_is_neither_prepared_nor_seeded_unless_writes_are_allowed(
    make_setup: MakeSetup, three: tuple[Dependency, ...], tmp_path: Path
) -> None:
    touch = ("touch", str(tmp_path / "written"))

    async def main() -> None:
        given_by = make_setup("plain", dependencies=three[1:2])
        async with Guard() as guard, Deployment(given_by, guard=guard) as own:
            given: RunningDependency = own.dependencies["cache"]
            cache = with_commands(three[1], url=given.url, prepare=touch, seed=touch)
            setup = make_setup("plain", dependencies=(cache,))
            events: list[AnyEvent] = []
            folder = guard.make_folder()
            await prepare_data(setup, guard=guard, emit=events.append, folder=folder)
            assert not (tmp_path / "written").exists()
            warned = [event.message for event in events if isinstance(event, Warned)]
            assert warned == [
                f"cache is given by URL: its {step} was not run" for step in ("prepare", "seed")
            ]
            allowed = msgspec.structs.replace(setup, allow_writes=True)
            snapshot = await prepare_data(allowed, guard=guard, emit=discard, folder=folder)
            assert (tmp_path / "written").exists()
            assert snapshot == Snapshot()
            async with Deployment(setup, guard=guard, snapshot=snapshot) as deployment:
                assert deployment.dependencies["cache"].version == given.version
                assert list(deployment.parts()) == ["service"]
            # It is still there: nobody stopped it.
            await client(own, "valkey", "PING")

    asyncio.run(main())
