"""PostgreSQL's processes by what they do."""

from __future__ import annotations

import pytest

from loadpath.meter.names import process_name


@pytest.mark.parametrize(
    ("comm", "title", "name"),
    [
        ("postgres", "/opt/pg/bin/postgres -D /tmp/data -p 5433", "postmaster"),
        ("postgres", "postgres: walwriter ", "walwriter"),
        ("postgres", "postgres: checkpointer", "checkpointer"),
        ("postgres", "postgres: background writer", "background writer"),
        ("postgres", "postgres: io worker 0", "io worker"),
        ("postgres", "postgres: autovacuum worker shop", "autovacuum worker"),
        ("postgres", "postgres: app shop 127.0.0.1(53122) idle", "backend"),
        ("postgres", "postgres: main: walwriter", "walwriter"),
        ("postgres", "postgres: main: app shop [local] SELECT", "backend"),
        ("postgres", "", "postmaster"),
        ("granian-worker", "postgres: walwriter", "granian-worker"),
    ],
)
def test_kinds(comm: str, title: str, name: str) -> None:
    """From the title it shows; other programs keep their own name."""
    assert process_name(comm, title) == name
