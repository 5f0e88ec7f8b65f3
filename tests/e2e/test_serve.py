"""`loadpath serve` for daily work: what it prints, and data that stays."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import nats
import psutil
import psycopg
import pytest
import redis

Place = Any

FAST = '[operations."GET /fast"]\nrequest = "GET /fast"\n'
SEED = """
import os, sys
from pathlib import Path
import psycopg
with open("seeded.txt", "a") as file:
    file.write("seeded\\n")
if "fails" in sys.argv:
    sys.exit("no such table: links")
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE link (code text PRIMARY KEY)")
    connection.execute("INSERT INTO link VALUES ('seeded')")
"""
DATABASE = """
[dependencies.database]
kind = "postgres"
env = { DATABASE_URL = "postgresql://{user}:{password}@{host}:{port}/{name}" }
settings = { fsync = "off", full_page_writes = "off" }
"""
CACHE = '[dependencies.cache]\nkind = "valkey"\nenv = { CACHE = "{host}:{port}" }\n'
QUEUE = '[dependencies.queue]\nkind = "nats"\nenv = { QUEUE = "{host}:{port}" }\n'


def seed(*words: str) -> str:
    return f'seed = "{sys.executable} seed.py {" ".join(words)}"\n'


class Serving:
    """A `loadpath serve --keep DIR` that is up, and what it said."""

    def __init__(self, place: Place, *words: str) -> None:
        self.started = place.start("serve", *words, PYTHONUNBUFFERED="1")
        self.started.until_out("Ctrl-C stops it.")
        self.out = self.started.out

    def url(self, scheme: str) -> str:
        """The URL of the client command that is printed for it."""
        (line,) = [line for line in self.out.splitlines() if f"{scheme}://" in line]
        (url,) = [word for word in shlex.split(line) if word.startswith(f"{scheme}://")]
        return url

    def urls(self) -> list[str]:
        return [self.url(scheme) for scheme in ("http", "postgresql", "redis", "nats")]

    def end(self) -> Any:
        return self.started.end(signal.SIGTERM)

    def kill_everything(self) -> None:
        """As a loss of power would, as far as a test can: nothing is asked to end."""
        family = self.started.family()
        for process in family:
            process.suspend()
        for process in family:
            process.kill()
        psutil.wait_procs(family[1:], timeout=20)
        self.started.end()
        # Nobody is left to remove these; the kept folder lies elsewhere.
        for left in self.started.place.temporary.iterdir():
            shutil.rmtree(left)


def codes(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT code FROM link")}


async def publish(url: str, subject: str) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="visits", subjects=["visit.*"])
    await stream.publish(subject, b"hello")
    await client.close()


async def messages(url: str) -> int:
    client = await nats.connect(url)
    found = await client.jetstream().stream_info("visits")
    await client.close()
    return int(found.state.messages)


def write_everything(urls: list[str], name: str) -> None:
    with psycopg.connect(urls[1]) as connection:
        connection.execute("INSERT INTO link VALUES (%s)", [name])
    with redis.Redis.from_url(urls[2]) as cache:
        cache.set(name, "kept")
    asyncio.run(publish(urls[3], f"visit.{name}"))


@pytest.fixture
def keeping(place: Place) -> tuple[Place, Path]:
    """A service with one dependency of each kind, and a folder that does not exist yet."""
    place.write(FAST, DATABASE, seed(), CACHE, QUEUE)
    (place.folder / "seed.py").write_text(SEED)
    return place, place.folder.parent / "daily" / "data"


def test_data_ports_and_passwords_outlive_a_stop_and_a_kill(
    keeping: tuple[Place, Path],
) -> None:
    place, folder = keeping
    serving = Serving(place, "--keep", folder)
    urls = serving.urls()
    write_everything(urls, "stopped")
    with psycopg.connect(urls[1]) as connection:
        # The service file turns them off, which is for measuring only.
        for setting in ("fsync", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
    assert stat.S_IMODE((folder / "loadpath.json").stat().st_mode) == 0o600
    assert serving.end().code == 0

    serving = Serving(place, "--keep", folder)
    assert serving.urls() == urls
    assert codes(urls[1]) == {"seeded", "stopped"}
    write_everything(urls, "killed")
    refused = place.run("serve", "--keep", folder)
    assert refused.code == 2, refused
    assert f"in use by another Loadpath (pid {serving.started.process.pid})" in refused.err
    serving.kill_everything()

    serving = Serving(place, "--keep", folder)
    assert serving.urls() == urls
    assert codes(urls[1]) == {"seeded", "stopped", "killed"}
    with redis.Redis.from_url(urls[2]) as cache:
        assert cache.mget("stopped", "killed") == [b"kept", b"kept"]
    assert asyncio.run(messages(urls[3])) == 2
    assert "database system was not properly shut down" in (
        (folder / "logs" / "database.log").read_text()
    )
    with psycopg.connect(urls[1]) as connection:
        connection.execute("INSERT INTO link VALUES ('orphaned')")
    serving.started.end(signal.SIGKILL)

    # At once: the guard is still ending what the killed one had started.
    serving = Serving(place, "--keep", folder)
    assert codes(urls[1]) == {"seeded", "stopped", "killed", "orphaned"}
    assert serving.end().code == 0
    assert (place.folder / "seeded.txt").read_text() == "seeded\n"
    logs = {path.name for path in (folder / "logs").iterdir()}
    assert {"service.log", "database.log", "database.previous.log"} <= logs


class TestFoldersOfNoUse:
    def refused(self, place: Place, folder: Path, code: int = 2) -> str:
        ended = place.run("serve", "--keep", folder)
        assert ended.code == code, ended
        assert ended.out == ""
        assert "Traceback" not in ended.err
        assert place.left_in_the_end() == []
        return str(ended.err)

    def test_one_with_other_things_in_it_is_left_as_it_is(self, place: Place) -> None:
        place.write(FAST, CACHE)
        assert "found loadpath.toml, service.py" in self.refused(place, place.folder)
        assert not (place.folder / "lock").exists()

    def test_a_file(self, place: Place) -> None:
        place.write(FAST, CACHE)
        assert "expected a folder, found a file" in self.refused(
            place, place.folder / "loadpath.toml"
        )

    def test_a_seed_that_fails_leaves_a_folder_that_can_be_used(
        self, keeping: tuple[Place, Path]
    ) -> None:
        place, folder = keeping
        place.write(FAST, DATABASE, seed("fails"))
        assert "no such table: links" in self.refused(place, folder, code=4)
        place.write(FAST, DATABASE, seed())
        serving = Serving(place, "--keep", folder)
        assert codes(serving.url("postgresql")) == {"seeded"}
        serving.end()

        (folder / "database" / "data" / "PG_VERSION").write_text("17\n")
        said = self.refused(place, folder, code=4)
        assert re.search(r"was made by PostgreSQL 17, and the embedded one is \d+\.\d+", said)
        place.write(FAST, CACHE)
        said = self.refused(place, folder)
        assert "it holds database (postgres); the service file now declares cache (valkey)" in said

    def test_one_whose_first_run_was_killed_while_it_was_filled(self, place: Place) -> None:
        place.write(FAST, CACHE, '[dependencies.big]\nkind = "valkey"\nenv = { BIG = "{port}" }\n')
        folder = place.folder.parent / "daily"
        started = place.start("serve", "--keep", folder)
        started.until((folder / "loadpath.json").exists)
        for process in started.family()[:1]:
            process.suspend()
        state = (folder / "loadpath.json").read_text()
        started.end(signal.SIGKILL)
        if '"copying"' not in state:
            (folder / "loadpath.json").write_text(state.replace('"ready"', '"copying"'))
        said = self.refused(place, folder)
        assert "it is half made" in said
        assert "remove it" in said


def test_a_port_that_is_taken_is_told_and_another_one_found(place: Place) -> None:
    place.write(FAST, CACHE)
    folder = place.folder.parent / "daily"
    serving = Serving(place, "--keep", folder)
    was = int(serving.url("redis").rpartition(":")[2].partition("/")[0])
    serving.end()
    with socket.create_server(("127.0.0.1", was)):
        serving = Serving(place, "--keep", folder)
        assert f":{was}/" not in serving.url("redis")
        ended = serving.end()
    assert f"! cache had port {was} before, which another program has now" in ended.err


def test_another_prepare_is_told_and_not_run(place: Place) -> None:
    place.write(FAST, CACHE)
    folder = place.folder.parent / "daily"
    Serving(place, "--keep", folder).end()
    place.write(FAST, CACHE + f'prepare = "{sys.executable} -c pass"\n')
    ended = Serving(place, "--keep", folder).end()
    assert "! prepare or seed have changed" in ended.err


def test_logs_of_every_part_are_shown_as_they_come(place: Place) -> None:
    script = "import sys, runpy; print('opening the shop', flush=True); "
    script += "sys.argv = ['service.py', sys.argv[1]]; runpy.run_path('service.py')"
    place.write(FAST, CACHE, start=shlex.join([sys.executable, "-c", script]) + " {port}")
    serving = Serving(place, "--logs")
    serving.started.until_out("opening the shop")
    assert re.search(r"^service \| opening the shop$", serving.started.out, re.MULTILINE)
    assert re.search(r"^cache   \| .*Ready to accept connections", serving.started.out, re.M)
    assert serving.end().code == 0


def test_without_it_the_files_are_named(place: Place) -> None:
    place.write(FAST, CACHE)
    serving = Serving(place)
    log = re.search(r"^  cache +(/.*cache\.log)$", serving.out, re.MULTILINE)
    assert log is not None
    assert "Ready to accept connections" in Path(log[1]).read_text()
    assert "Data ends with this: --keep DIR keeps it." in serving.out
    serving.end()
    assert place.left_in_the_end() == []
