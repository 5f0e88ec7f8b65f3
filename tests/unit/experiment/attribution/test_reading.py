"""Crossings from the tables of a tap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadpath.experiment.attribution.reading import crossings, reads

KINDS = {"database": "postgres", "cache": "valkey", "queue": "nats", "outside": "http"}


def table(*rows: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    usual: dict[str, Any] = {
        "tap": "database",
        "connection": 1,
        "verb": "execute",
        "shape": 1,
        "parameters": 7,
        "began_s": 1.0,
        "ended_s": 2.0,
        "rows": 3.0,
        "error": "",
        "transaction": "none",
        "pushed": False,
        "ended": True,
    }
    filled = [{**usual, **row} for row in rows]
    return {name: np.array([row[name] for row in filled]) for name in usual}


def test_a_row_becomes_a_crossing_with_its_shape() -> None:
    (one,) = crossings(table({"error": "23505"}), {1: "SELECT 1"}, KINDS)
    assert (one.dependency, one.kind, one.shape, one.rows, one.error) == (
        "database",
        "postgres",
        "SELECT 1",
        3,
        "23505",
    )
    assert one.duration_s == 1.0


def test_they_come_in_the_order_they_began() -> None:
    found = crossings(table({"began_s": 5.0}, {"began_s": 4.0}), {}, KINDS)
    assert [each.began_s for each in found] == [4.0, 5.0]


def test_a_protocol_without_rows_has_none() -> None:
    (one,) = crossings(table({"tap": "cache", "verb": "GET", "rows": np.nan}), {}, KINDS)
    assert one.rows is None


@pytest.mark.parametrize(
    "row",
    [
        {"verb": "startup"},
        {"verb": "prepare"},
        {"tap": "cache", "verb": "PING"},
        {"tap": "queue", "verb": "SUB"},
        {"ended": False},
        {"tap": "loadpath"},
    ],
)
def test_what_clients_do_for_themselves_and_what_never_ended_is_left_out(
    row: dict[str, Any],
) -> None:
    assert crossings(table(row), {}, KINDS) == []


@pytest.mark.parametrize(
    ("kind", "verb", "shape", "only_asks"),
    [
        ("postgres", "execute", "SELECT * FROM t", True),
        ("postgres", "execute", "SELECT * FROM t FOR UPDATE", False),
        ("postgres", "execute", "WITH a AS (SELECT $1) SELECT * FROM a", True),
        ("postgres", "execute", "WITH a AS (INSERT INTO t VALUES ($1)) SELECT $2", False),
        ("postgres", "query", "BEGIN", False),
        ("valkey", "HGETALL", "user:*", True),
        ("valkey", "INCR", "user:*", False),
        ("http", "GET", "/price", True),
        ("http", "POST", "/charge", False),
        ("nats", "PUB", "visits", False),
    ],
)
def test_whether_a_call_only_asks(kind: str, verb: str, shape: str, only_asks: bool) -> None:
    assert reads(kind, verb, shape) is only_asks
