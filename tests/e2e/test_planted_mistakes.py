"""Three services with planted mistakes: `loadpath check` names each, and accuses no clean twin."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import msgspec
import pytest

from loadpath.report.schemas import schema_of

Place = Any
MakePlace = Callable[[], Any]

MISTAKES = "n-plus-one,missing-index,held-transaction"


class App(msgspec.Struct, frozen=True, kw_only=True):
    """A service and what is to be found in it: (operation, kind, table of the statement).

    `asking` is the operation that asks somebody else, by way of the variable `outside`; `page` is
    what the request of `listing` says of the rows that it wants, where it can.
    """

    folder: str
    listing: str
    page: str = ""
    asking: str
    keys: str
    outside: str
    path: str
    mistakes: set[tuple[str, str, str]]


APPS = [
    App(
        folder="fastapi_shop",
        listing="GET /orders",
        page="?limit=20",
        asking="POST /orders/{order_id}/shipping",
        keys="order_id",
        outside="SHIPPING_URL",
        path="/quotes/{}",
        mistakes={
            ("GET /orders", "n_plus_one", "FROM order_lines"),
            ("GET /customers/{customer_id}/orders", "no_index", "FROM orders"),
            ("POST /orders/{order_id}/shipping", "transaction_across_call", "FROM orders"),
        },
    ),
    App(
        folder="django_blog",
        listing="GET /posts/",
        asking="POST /posts/{pk}/comments/",
        keys="pk",
        outside="SPAM_CHECK_URL",
        path="/",
        mistakes={
            ("GET /posts/", "n_plus_one", 'FROM "blog_author"'),
            ("GET /posts/{pk}/", "no_index", 'FROM "blog_comment"'),
            ("GET /posts/{pk}/comments/", "no_index", 'FROM "blog_comment"'),
            (
                "POST /posts/{pk}/comments/",
                "transaction_across_call",
                'INSERT INTO "blog_comment"',
            ),
        },
    ),
    App(
        folder="express_todo",
        listing="GET /lists",
        asking="POST /tasks/{id}/postpone",
        keys="id",
        outside="HOLIDAYS_URL",
        path="/holidays/{}",
        mistakes={
            ("GET /lists", "n_plus_one", "FROM tasks"),
            ("GET /lists", "no_index", "FROM tasks"),
            ("GET /lists/{id}", "no_index", "FROM tasks"),
            ("GET /lists/{id}/tasks", "no_index", "FROM tasks"),
            ("POST /tasks/{id}/postpone", "transaction_across_call", "FROM tasks"),
        },
    ),
]


class _Handler(BaseHTTPRequestHandler):
    """Somebody whom services ask: it answers what all of them understand."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"price_cents": 700, "holiday": False, "spam": False}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """It keeps quiet."""


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def started(place: Place, app: App, outside: str, mistakes: str) -> Any:
    environment = place.hold(app.folder)
    assert place.run("init", **environment).code == 0
    file = place.folder / "loadpath.toml"
    text = file.read_text("utf-8").replace(f'"{app.listing}"\n', f'"{app.listing}{app.page}"\n')
    if app.asking not in tomllib.loads(text)["operations"]:
        keys = f"{{ {app.keys} = {{ first = 1, count = 10, zipf = 1.0 }} }}"
        text += f'\n[operations."{app.asking}"]\nrequest = "{app.asking}"\nkeys = {keys}\n'
    text += (
        f'\n[dependencies.outside]\nkind = "http"\nurl = "{outside}"\n'
        f'env = {{ {app.outside} = "http://{{host}}:{{port}}" }}\n'
    )
    file.write_text(text)
    setting = f"--set=service.env.MISTAKES={mistakes}"
    return place.start("check", "--json", "--allow-writes", setting, **environment)


def suspicions(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path["operation"], suspicion)
        for path in document["check"]["paths"]
        for suspicion in path["suspicions"]
    ]


@pytest.fixture(scope="module")
def checked(make_place: MakePlace, outside: str) -> dict[str, list[Any]]:
    """By folder: `check` of the clean twin and of the one with mistakes, under way.

    Side by side: what is looked for shows in counts and plans, which take no quiet machine.
    """
    return {
        app.folder: [started(make_place(), app, outside, which) for which in ("", MISTAKES)]
        for app in APPS
    }


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.folder)
def test_what_was_planted_is_found_and_the_clean_twin_is_not_accused(
    checked: dict[str, list[Any]], app: App
) -> None:
    documents = []
    for each in checked[app.folder]:
        ended = each.end()
        assert ended.code == 0, ended
        documents.append(json.loads(ended.out))
        jsonschema.validate(documents[-1], schema_of("check"))
    clean, planted = documents

    assert suspicions(clean) == []
    found = {
        (operation, kind, table)
        for operation, suspicion in suspicions(planted)
        for at, kind, table in app.mistakes
        if (operation, suspicion["kind"]) == (at, kind) and table in suspicion["shape"]
    }
    assert found == app.mistakes
    assert len(suspicions(planted)) == len(app.mistakes), suspicions(planted)
    assert {suspicion["dependency"] for _, suspicion in suspicions(planted)} == {"database"}

    (listed,) = (s for _, s in suspicions(planted) if s["kind"] == "n_plus_one")
    assert listed["certain"] is bool(app.page), "it is certain where pages of other sizes are had"
    assert ("5 to 20 calls" if app.page else "20 calls") in listed["said"]

    for document in documents:
        (asking,) = (p for p in document["check"]["paths"] if p["operation"] == app.asking)
        (call,) = (c for c in asking["calls"] if c["dependency"] == "outside")
        assert (call["kind"], call["shape"], call["calls"]) == ("http", app.path, 1.0)
    for each in checked[app.folder]:
        assert each.place.left_in_the_end() == []
