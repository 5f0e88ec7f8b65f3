"""The tree of an operation's load path."""

from __future__ import annotations

import pytest

from loadpath.experiment.attribution import Call, LoadPath, Suspicion
from loadpath.report.paths import render_path, shown_shape
from loadpath.report.terminal import plain

LONG = (
    "SELECT orders.id, orders.customer_id, orders.total, orders.created_at FROM orders "
    "WHERE orders.customer_id = $1 ORDER BY orders.created_at DESC LIMIT $2"
)


def call(shape: str, **fields: object) -> Call:
    values: dict[str, object] = {
        "dependency": "database",
        "kind": "postgres",
        "verb": "execute",
        "shape": shape,
        "calls": 1.0,
        "time_s": 0.0012,
        "rows": 1.0,
        "after_reply": False,
        **fields,
    }
    return Call(**values)  # type: ignore[arg-type]


def path(*calls: Call, suspicions: tuple[Suspicion, ...] = ()) -> LoadPath:
    return LoadPath(
        operation="GET /orders",
        visits=5,
        response_time_s=0.0124,
        inside_s=0.0031,
        calls=calls,
        uses=(),
        suspicions=suspicions,
    )


def test_each_call_with_how_often_how_long_and_what() -> None:
    rows = render_path(
        path(
            call(
                "link:*",
                dependency="cache",
                kind="valkey",
                verb="GET",
                rows=None,
            ),
            call(LONG, rows=25.0),
            call("INSERT INTO visits (a, b) VALUES ($1, $2)", after_reply=True, calls=0.4),
        ),
        80,
        plain,
    )
    assert rows == [
        "  ├─ cache        1 ×   1.2 ms  GET link:*",
        "  ├─ database     1 ×   1.2 ms  SELECT … FROM orders WHERE orders.cus… · 25 rows",
        "  ├─ database   0.4 ×   1.2 ms  INSERT INTO visits … · after the reply",
        "  └─ inside             3.1 ms  the service itself",
    ]


def test_what_is_suspicious_stands_under_the_call_it_is_about() -> None:
    suspicion = Suspicion(
        kind="n_plus_one",
        dependency="database",
        shape="SELECT 2",
        said="3 to 10 calls a request, one for each row of SELECT 1",
        advice="Fetch them together.",
        certain=False,
    )
    rows = render_path(
        path(call("SELECT 1"), call("SELECT 2", calls=7.2), suspicions=(suspicion,)), 80, plain
    )
    assert rows[1].startswith("  ├─ database   7.2 ×")
    assert (
        rows[2] == "  │  ! N+1?: 3 to 10 calls a request, one for each row of SELECT 1. Fetch them"
    )
    assert rows[3] == "  │    together."


def test_what_is_about_no_call_that_is_shown_stands_at_the_end() -> None:
    suspicion = Suspicion(
        kind="failing", dependency="other", shape="X", said="fails", advice="Look.", certain=True
    )
    rows = render_path(path(call("SELECT 1"), suspicions=(suspicion,)), 80, plain)
    assert rows[-1] == "     ! failing: fails. Look."


def test_of_many_calls_the_dearest_are_listed_and_the_rest_are_counted() -> None:
    calls = [call(f"SELECT {n} FROM t", time_s=n / 1000) for n in range(30)]
    rows = render_path(path(*calls), 80, plain)
    assert len(rows) == 14
    assert "18 more" in rows[-2]
    assert "SELECT 29" in rows[-3]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    rows = render_path(path(call(LONG, rows=1234.0, after_reply=True)), width, plain)
    assert max(map(len, rows)) <= max(width, 54)


def test_a_shape_from_outside_steers_no_terminal() -> None:
    assert "\x1b" not in shown_shape("SELECT '\x1b[2J' FROM t", 80)
