"""What `serve` prints: a line to paste for each dependency, and no secret of the user's own."""

from __future__ import annotations

import shlex
from pathlib import Path

from loadpath.deploy import RunningDependency
from loadpath.report.serving import render_serving


def running(kind: str, url: str, *, embedded: bool = True) -> RunningDependency:
    return RunningDependency(
        kind=kind,  # type: ignore[arg-type]
        host="127.0.0.1",
        port=5433,
        user="u",
        password="hunter2",
        name="app",
        version="1",
        url=url,
        embedded=embedded,
    )


def test_each_has_its_product_and_a_command_that_a_shell_reads_as_meant() -> None:
    url = "postgresql://postgres:a;b$(c)@127.0.0.1:5433/app"
    text = render_serving(
        "shop",
        "127.0.0.1:8000",
        {"database": running("postgres", url), "queue": running("nats", "nats://x")},
        {"database": "PostgreSQL 18.6", "queue": "NATS 2.15"},
        logs={"service": Path("/logs/service.log")},
        kept=Path("/daily"),
    )
    lines = text.splitlines()
    assert lines[0] == "shop      http://127.0.0.1:8000"
    assert lines[1] == "database  PostgreSQL 18.6 at 127.0.0.1:5433"
    assert shlex.split(lines[2]) == ["psql", url]
    assert "  service  /logs/service.log" in lines
    assert any("kept in /daily" in line for line in lines)


def test_the_url_of_a_given_one_is_not_shown() -> None:
    given = running("postgres", "postgresql://u:hunter2@127.0.0.1:5433/app", embedded=False)
    text = render_serving(
        "shop", "127.0.0.1:8000", {"db": given}, {"db": "PostgreSQL"}, logs={}, kept=None
    )
    assert "hunter2" not in text
    assert "db    PostgreSQL at 127.0.0.1:5433, your own" in text
    assert "Logs" not in text
    assert "--keep" not in text
