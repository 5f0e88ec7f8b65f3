"""The mistakes that three of the services can be started with are there, and only when asked for.

What Loadpath says of them is judged elsewhere; this looks at PostgreSQL and at the wire itself.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import psycopg
import pytest

Place = Any

MISTAKES = "n-plus-one,missing-index,held-transaction"
LIMIT_S = 60.0


class App(msgspec.Struct, frozen=True, kw_only=True):
    """Where each mistake shows: `listing` asks `table` once a row, `table` should be indexed by
    `column`, and `asking` makes the service ask `outside` somebody else."""

    folder: str
    listing: str
    table: str
    column: str
    asking: str
    form: bytes
    outside: str


APPS = [
    App(
        folder="fastapi_shop",
        listing="/orders",
        table="order_lines",
        column="customer_id",
        asking="/orders/1/shipping",
        form=b"",
        outside="SHIPPING_URL",
    ),
    App(
        folder="django_blog",
        listing="/posts/",
        table="blog_author",
        column="post_id",
        asking="/posts/1/comments/",
        form=b"name=Ada&text=Hello",
        outside="SPAM_CHECK_URL",
    ),
    App(
        folder="express_todo",
        listing="/lists",
        table="tasks",
        column="list_id",
        asking="/tasks/1/postpone",
        form=b"",
        outside="HOLIDAYS_URL",
    ),
]


class Outside(ThreadingHTTPServer):
    """Somebody whom services ask: it answers what all of them understand, once it may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Outside

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.set()
        self.server.may_answer.wait(LIMIT_S)
        body = json.dumps({"price_cents": 700, "holiday": False, "spam": False}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """It keeps quiet."""


@pytest.fixture
def outside() -> Iterator[Outside]:
    server = Outside()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    server.server_close()
    thread.join(LIMIT_S)


def ask(url: str, form: bytes | None = None) -> int:
    with urllib.request.urlopen(url, data=form, timeout=LIMIT_S) as reply:
        reply.read()
        return int(reply.status)


@pytest.mark.parametrize("mistakes", ["", MISTAKES], ids=["clean", "planted"])
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.folder)
def test_a_mistake_is_there_when_it_is_asked_for(
    place: Place, outside: Outside, app: App, mistakes: str
) -> None:
    environment = place.hold(app.folder)
    assert place.run("init", **environment).code == 0
    env = {"MISTAKES": mistakes, app.outside: f"http://{outside.authority}"}
    said = [f"--set=service.env.{name}={value}" for name, value in env.items()]
    started = place.start(
        "serve", *said, f'--set=service.peers=["{outside.authority}"]', **environment
    )
    started.until_out("Ctrl-C stops it.")
    service = re.search(r"http://\S+", started.out)
    url = re.search(r"postgres\S*://\S+", started.out)
    assert service is not None
    assert url is not None
    with psycopg.connect(url[0], autocommit=True) as database:

        def count(query: str, *values: object) -> int:
            row = database.execute(query.encode(), values).fetchone()
            return 0 if row is None else int(row[0] or 0)

        indexes = count(
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexdef ~ %s",
            rf"\({app.column}\)",
        )
        assert (indexes == 0) == bool(mistakes)

        statements = (
            "SELECT sum(calls) FROM pg_stat_statements "
            f"WHERE query ~ '{app.table}' AND query ~* '^select' AND query !~ 'pg_stat'"
        )
        held = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        before = count(statements)
        assert ask(service[0] + app.listing) == 200
        # FastAPI ends the transaction after the reply, and only then is its last statement counted.
        deadline_s = time.monotonic() + LIMIT_S
        while count(held) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert count(statements) - before == (20 if mistakes else 1)

        asking = threading.Thread(target=ask, args=(service[0] + app.asking, app.form))
        asking.start()
        assert outside.asked.wait(LIMIT_S)
        holding = count(held)
        outside.may_answer.set()
        asking.join(LIMIT_S)
        assert holding == (1 if mistakes else 0)
    started.end(signal.SIGINT)
    assert place.left_in_the_end() == []
