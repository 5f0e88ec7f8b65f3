"""The tree of an operation's load path."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.experiment.attribution import Call, DependencyUse, LoadPath, Suspicion
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
        "  ├─ database     1 ×   1.2 ms  SELECT … FROM orders WHERE customer_i… · 25 rows",
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'SELECT "post"."id", "post"."title" FROM "post" INNER JOIN "author" ON '
            '("post"."author_id" = "author"."id") WHERE "post"."slug" = $1 LIMIT $2',
            "SELECT … FROM post … WHERE slug = $1 LIMIT $2",
        ),
        (
            "UPDATE tasks SET title = $1, done = $2, due = $3, edited = now() WHERE id = $4",
            "UPDATE tasks SET … WHERE id = $4",
        ),
        (
            "SELECT o.id, o.total, o.made_at FROM shop.orders o WHERE o.customer_id = $1::integer",
            "SELECT … FROM shop.orders o WHERE customer_id = $1",
        ),
        ("SELECT 1", "SELECT 1"),
    ],
)
def test_table_and_condition_are_what_is_left_of_a_long_statement(text: str, said: str) -> None:
    assert shown_shape(text, 50) == said


def test_what_keeps_a_session_in_order_is_one_row_and_a_commit_is_not_of_it() -> None:
    rows = render_path(
        path(
            call("BEGIN", time_s=0.0001),
            call("INSERT INTO t (a) VALUES ($1)"),
            call("COMMIT", time_s=0.002),
            call("ROLLBACK", calls=0.4, time_s=0.0001),
            call("ROLLBACK", calls=0.6, time_s=0.0001, after_reply=True),
        ),
        80,
        plain,
    )
    assert rows[:3] == [
        "  ├─ database     2 ×   0.3 ms  BEGIN, ROLLBACK",
        "  ├─ database     1 ×   1.2 ms  INSERT INTO t (a) VALUES ($1)",
        "  ├─ database     1 ×   2.0 ms  COMMIT",
    ]


def test_a_published_message_is_told_with_its_delivery_and_no_time_that_nobody_waits() -> None:
    broker = {"dependency": "broker", "kind": "nats", "rows": None}
    rows = render_path(
        path(
            call("visits", verb="PUB", time_s=0.0003, **broker),
            call("visits", verb="MSG", time_s=0.0, pushed=True, **broker),
            call("$JS.ACK.VISITS.…", verb="ACK", time_s=0.0, after_reply=True, **broker),
            call("gone", verb="PUB", time_s=0.0, **broker),
        ),
        80,
        plain,
    )
    assert rows[:-1] == [
        "  ├─ broker       1 ×   0.3 ms  PUB visits",
        "  ├─ broker       1 ×           MSG visits · async, acknowledged",
        "  ├─ broker       1 ×           PUB gone · async",
    ]


def test_a_refused_delivery_keeps_its_row() -> None:
    nak = call("$JS.ACK.V.…", verb="NAK", dependency="broker", kind="nats", rows=None, time_s=0.0)
    assert "NAK $JS.ACK.V" in render_path(path(nak), 80, plain)[0]


def test_a_connection_that_is_held_while_nothing_is_asked_is_told() -> None:
    use = DependencyUse(
        dependency="database", calls=3.0, time_s=0.003, first_use_s=0.0071, held_s=0.0095
    )
    of = msgspec.structs.replace(path(call("SELECT 1")), uses=(use,))
    rows = render_path(of, 80, plain)
    assert [row.strip() for row in rows[-2:]] == [
        "A connection to database is taken for 9.5 ms, in 6.5 ms of which nothing is",
        "asked. database is first asked after 7.1 ms.",
    ]
    short = msgspec.structs.replace(use, held_s=0.0031, first_use_s=0.001)
    assert len(render_path(msgspec.structs.replace(of, uses=(short,)), 80, plain)) == 2


def test_a_shape_from_outside_steers_no_terminal() -> None:
    assert "\x1b" not in shown_shape("SELECT '\x1b[2J' FROM t", 80)
