"""Grows the databases of real applications 16 ×, and writes what came of it into the docs.

    .venv/bin/python tools/acceptance/growing/try_apps.py [--only NAME] [--write]

Each application is installed from the package index into a throw-away environment, makes its own
tables in an embedded PostgreSQL and fills them through its own code (`apps/`). Ends in 1 when one
broke a constraint; a refusal is an outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from loadpath.deploy import Guard, RunningDependency
from loadpath.deploy.dependencies import Dependencies
from loadpath.errors import LoadpathError
from loadpath.events import discard
from loadpath.experiment.growth.catalog import read_schema
from loadpath.experiment.growth.clone import cloned, connect
from loadpath.experiment.growth.grower import grow, prepare
from loadpath.growing.families import Families, families
from loadpath.growing.plan import Axis, Plan, Refusal
from loadpath.growing.schema import Schema
from loadpath.spec import Dependency, Growth, OpenArrivals, Service, Setup, Workload

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/reference/grown-schemas.md"
BEGIN, END = "<!-- results: written by try_apps.py -->", "<!-- end of results -->"
FACTOR = 16

PGBENCH = """
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int REFERENCES pgbench_branches,
    tbalance int, filler char(84));
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int REFERENCES pgbench_branches,
    abalance int, filler char(84));
CREATE TABLE pgbench_history (tid int REFERENCES pgbench_tellers,
    bid int REFERENCES pgbench_branches, aid int REFERENCES pgbench_accounts, delta int,
    mtime timestamp, filler char(22));
INSERT INTO pgbench_branches SELECT n, 0 FROM generate_series(1, 2) n;
INSERT INTO pgbench_tellers SELECT n, n % 2 + 1, 0 FROM generate_series(1, 20) n;
INSERT INTO pgbench_accounts SELECT n, n % 2 + 1, 0 FROM generate_series(1, 200000) n;
INSERT INTO pgbench_history SELECT n % 20 + 1, n % 2 + 1, n % 200000 + 1, n,
    '2025-01-01'::timestamp + n * interval '1 s' FROM generate_series(1, 10000) n;
"""


class App(msgspec.Struct, frozen=True):
    """An application: what is installed, and what the user would say in `[growth]`."""

    packages: tuple[str, ...]
    growth: Growth = Growth()
    said: str = ""


APPS = {
    "pgbench": App((), Growth(root=("pgbench_branches",)), '`root = "pgbench_branches"`'),
    "django": App(("django>=5.2,<5.3", "psycopg2-binary")),
    "wagtail": App(("wagtail>=8,<9", "django>=5.2,<5.3", "psycopg2-binary")),
    "oscar": App(("django-oscar>=4.2,<5", "django>=5.2,<5.3", "psycopg2-binary")),
    # It has no foreign keys at all: without a word nothing would multiply.
    "kinto": App(
        ("kinto[postgresql]>=26,<27", "setuptools<81"),
        Growth(tables={"objects": "both", "access_control_entries": "both"}),
        '`tables = { objects = "both", access_control_entries = "both" }`',
    ),
}


class Outcome(msgspec.Struct, frozen=True):
    """One application on one axis. `broke`: not refused, and not kept either."""

    app: str
    version: str
    tables: int
    constraints: int
    root: str
    axis: Axis
    grown: int
    rows: int
    rows_after: int
    said: str
    broke: bool = False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=APPS)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options = parser.parse_args()
    outcomes = asyncio.run(tried(options.only or list(APPS)))
    for each in outcomes:
        print(msgspec.json.encode(each).decode(), flush=True)
    if options.write:
        write(outcomes)
    return 1 if any(each.broke for each in outcomes) else 0


async def tried(names: list[str]) -> list[Outcome]:
    """Each application in a database of its own."""
    database = Dependency(name="database", kind="postgres", env={}, extensions=())
    setup = Setup(
        service=Service(name="s", directory=Path(), start=("s",), dependencies=(database,)),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="loadpath-apps-") as folder:
        async with Guard() as guard:
            dependencies = Dependencies(setup, guard=guard, emit=discard, folder=Path(folder))
            try:
                await dependencies.start({})
                running = dependencies.running["database"]
                for name in names:
                    print(f"… {name}", file=sys.stderr, flush=True)
                    outcomes += await one(name, APPS[name], running, Path(folder))
            finally:
                await dependencies.stop()
    return outcomes


async def one(name: str, app: App, running: RunningDependency, folder: Path) -> list[Outcome]:
    """Make its database, then grow a clone of it on each axis."""
    connection = await connect(running, "postgres")
    await connection.execute(f"CREATE DATABASE app_{name}")
    await connection.close()
    own = msgspec.structs.replace(running, name=f"app_{name}")
    if app.packages:
        version = await asyncio.to_thread(filled, name, app, own, folder)
    else:
        connection = await connect(own)
        await connection.execute(PGBENCH)
        await connection.close()
        version = own.version.split()[0]
    outcomes = []
    axes: tuple[Axis, Axis] = ("users", "history")
    for axis in axes:
        outcomes.append(await on_axis(name, version, app, own, axis))
    return outcomes


async def on_axis(
    name: str, version: str, app: App, running: RunningDependency, axis: Axis
) -> Outcome:
    """Grow a clone and say what came of it."""
    connection = await connect(running)
    schema = await read_schema(connection, app.growth)
    found = families(schema, app.growth)
    made = await prepare(connection, schema, found, axis, FACTOR)
    await connection.close()
    began_s = time.monotonic()
    if isinstance(made, Refusal):
        return outcome(name, version, schema, found, axis, None, f"refused: {made}")
    try:
        async with cloned(running, needed_bytes=made.needed_bytes) as clone:
            await grow(clone, made, discard, schema=schema)
    except LoadpathError as error:
        return outcome(name, version, schema, found, axis, made, f"**broken**: {error}", True)
    took_s = time.monotonic() - began_s
    return outcome(name, version, schema, found, axis, made, f"kept, {took_s:.0f} s")


def outcome(
    name: str,
    version: str,
    schema: Schema,
    found: Families,
    axis: Axis,
    made: Plan | None,
    said: str,
    broke: bool = False,
) -> Outcome:
    """What came of it, in figures."""
    tables = made.tables if made is not None else ()
    return Outcome(
        app=name,
        version=version,
        tables=len(schema.tables),
        constraints=sum(
            len(each)
            for each in (schema.foreign_keys, schema.uniques, schema.checks, schema.exclusions)
        ),
        root=", ".join(found.roots) or "–",
        axis=axis,
        grown=len(tables),
        rows=sum(each.rows for each in tables),
        rows_after=sum(each.rows_after for each in tables),
        said=said,
        broke=broke,
    )


def filled(name: str, app: App, running: RunningDependency, folder: Path) -> str:
    """Install an application, have it make and fill its tables; its version."""
    with environment(folder / f"venv-{name}", app.packages) as python:
        place = folder / f"app-{name}"
        place.mkdir()
        env = {
            **os.environ,
            "PGHOST": running.host,
            "PGPORT": str(running.port),
            "PGUSER": running.user,
            "PGPASSWORD": running.password,
            "PGDATABASE": running.name,
        }
        script = str(HERE / "apps" / f"{name}_app.py")
        done = ran([str(python), script], place, env)
        return done.strip().splitlines()[-1]


@contextmanager
def environment(folder: Path, packages: tuple[str, ...]) -> Iterator[Path]:
    """A virtual environment with these packages; its Python."""
    ran([sys.executable, "-m", "venv", str(folder)], folder.parent)
    python = folder / "bin/python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    ran([str(python), "-m", "pip", "install", *quiet, *packages], folder)
    yield python


def ran(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """A command that must end in 0; what it printed."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)} ended in {done.returncode}:\n{tail}")
    return done.stdout


def write(outcomes: list[Outcome]) -> None:
    """Put the outcomes into the page, in place of those of the same applications."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    table, _, tail = rest.partition(END)
    tried_now = {each.app for each in outcomes}
    kept = [
        line
        for line in table.splitlines()
        if line.startswith("| ") and line.split("|")[1].split()[0] in set(APPS) - tried_now
    ]
    lines = sorted(kept + [row(each) for each in outcomes], key=order)
    titles = "| application | tables, constraints | users | by | tables grown | rows | outcome |"
    body = "\n".join(["", "", titles, "|---|---|---|---|---|---|---|", *lines, "", ""])
    PAGE.write_text(f"{head}{BEGIN}{body}{END}{tail}", "utf-8")


def order(line: str) -> tuple[int, bool]:
    """As they stand in `APPS`, more users first."""
    return list(APPS).index(line.split("|")[1].split(maxsplit=1)[0]), "more history" in line


def row(each: Outcome) -> str:
    """One line of the table."""
    by = "more users" if each.axis == "users" else "more history"
    said = APPS[each.app].said
    root = f"{each.root} ({said})" if said else each.root
    rows = f"{each.rows:,} → {each.rows_after:,}" if each.rows else "–"
    cells = (
        f"{each.app} {each.version}",
        f"{each.tables}, {each.constraints}",
        root,
        by,
        str(each.grown),
        rows,
        each.said.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
