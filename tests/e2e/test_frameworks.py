"""`loadpath init`, then `loadpath check`, on ordinary services of four frameworks, unedited."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Place = Any
MakePlace = Callable[[], Any]

POSTGRES, VALKEY = r"PostgreSQL \d+\.\d+", r"Valkey \d+\.\d+\.\d+"


class App(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one service: of its file first, then of `loadpath check`."""

    folder: str
    start: str
    prepare: str | None
    seed: str
    address: dict[str, str]
    operations: set[str]
    left_out: set[str]
    dependencies: dict[str, str]


FASTAPI = App(
    folder="fastapi_shop",
    start="uvicorn --host 127.0.0.1 --port {port} --workers {workers} shop.main:app",
    prepare=None,
    seed="python seed.py",
    address={
        "DATABASE_URL": "postgresql+psycopg://{user}:{password}@{host}:{port}/{name}",
    },
    operations={
        "GET /customers/{customer_id}/orders",
        "GET /orders",
        "POST /orders",
        "GET /orders/{order_id}",
        "GET /products",
        "POST /products",
        "GET /products/search",
        "GET /products/{product_id}",
    },
    left_out={"POST /orders/{order_id}/shipping", "GET /health"},
    dependencies={"database": POSTGRES},
)
DJANGO = App(
    folder="django_blog",
    start="gunicorn --bind 127.0.0.1:{port} --workers {workers} blogsite.wsgi:application",
    prepare="python manage.py migrate --noinput",
    seed="python manage.py seed",
    address={
        "DB_HOST": "{host}",
        "DB_PORT": "{port}",
        "DB_USER": "{user}",
        "DB_PASSWORD": "{password}",
        "DB_NAME": "{name}",
    },
    operations={
        "GET /authors/{pk}/",
        "GET /posts/",
        "GET /posts/search/",
        "GET /posts/{pk}/",
        "GET /posts/{pk}/comments/",
        "POST /posts/{pk}/comments/",
    },
    left_out={"GET /healthz"},
    dependencies={"database": POSTGRES},
)
FLASK = App(
    folder="flask_notes",
    start="gunicorn --bind 127.0.0.1:{port} --workers {workers} notes:create_app()",
    prepare="flask --app notes:create_app() init-db",
    seed="flask --app notes:create_app() seed",
    address={
        "NOTES_DSN": "host={host} port={port} user={user} password={password} dbname={name}",
    },
    operations={"GET /notes", "GET /notes/search", "GET /notes/{note_id}"},
    left_out={"POST /notes", "GET /tags/{name}", "GET /healthz"},
    dependencies={"database": POSTGRES, "cache": VALKEY},
)
EXPRESS = App(
    folder="express_todo",
    start="node server.js",
    prepare="node scripts/migrate.js",
    seed="node scripts/seed.js",
    address={
        "PGHOST": "{host}",
        "PGPORT": "{port}",
        "PGUSER": "{user}",
        "PGPASSWORD": "{password}",
        "PGDATABASE": "{name}",
    },
    operations={
        "GET /lists",
        "GET /lists/{id}",
        "GET /lists/{id}/tasks",
        "GET /tasks/search",
        "GET /tasks/{id}",
    },
    left_out={"POST /lists", "POST /tasks", "POST /tasks/{id}/postpone", "GET /health"},
    dependencies={"database": POSTGRES, "cache": VALKEY},
)


APPS = (FASTAPI, DJANGO, FLASK, EXPRESS)


@pytest.fixture(scope="module")
def initialized(make_place: MakePlace) -> dict[str, tuple[Place, Any, Any]]:
    """By folder: where the service is, how `init` ended there, and `check`, under way.

    Side by side: what is told of them takes no quiet machine.
    """
    made = {}
    for app in APPS:
        place = make_place()
        environment = place.hold(app.folder)
        ended = place.run("init", **environment)
        made[app.folder] = place, ended, place.start("check", "-o", "check.json", **environment)
    return made


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.folder)
def test_what_init_writes_runs_as_it_is(
    initialized: dict[str, tuple[Place, Any, Any]], app: App
) -> None:
    place, ended, checking = initialized[app.folder]
    assert ended.code == 0, ended
    assert ended.out.startswith("wrote loadpath.toml\n")
    assert f"\n  operations   {len(app.operations)}, and {len(app.left_out)} commented" in ended.out

    text = (place.folder / "loadpath.toml").read_text("utf-8")
    written = tomllib.loads(text)
    database = written["dependencies"]["database"]
    assert written["service"]["start"] == app.start
    assert database.get("prepare") == app.prepare
    assert database["seed"] == app.seed
    assert database["env"] == app.address
    assert set(written["operations"]) == app.operations
    for name in app.left_out:
        assert f'\n# [operations."{name}"]' in text

    ended = checking.end()
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert ended.out.endswith(f"✓ every operation answers ({len(app.operations)} of them)\n")
    assert "!" not in ended.out, "every dependency was used"
    found = json.loads((place.folder / "check.json").read_text("utf-8"))["check"]
    for operation in found["operations"]:
        assert set(operation["statuses"]) <= {200, 201}, operation
    assert {o["operation"] for o in found["operations"]} == app.operations
    assert set(found["dependencies"]) == set(app.dependencies)
    for name, product in app.dependencies.items():
        assert re.match(f"{product} at 127.0.0.1:", found["dependencies"][name])
    assert place.left_in_the_end() == []


def test_rows_that_nothing_made_are_told_from_a_broken_service(place: Place) -> None:
    environment = place.hold("express_todo")
    assert place.run("init", **environment).code == 0
    file = place.folder / "loadpath.toml"
    file.write_text(re.sub(r"(?m)^seed = .*\n", "", file.read_text("utf-8")))
    ended = place.run("check", **environment)
    assert ended.code == 1, ended
    assert re.search(r"^✓ GET /lists +200 ", ended.out, re.MULTILINE)
    assert re.search(r"^✗ GET /lists/\{id\} +404 ", ended.out, re.MULTILINE)
    assert 'answered 404: {"error":"no such list"}' in ended.out
    said = " ".join(ended.out.split())
    assert said.count("No such row yet: nothing fills the database. Say `seed` in") == 1
    assert "failing: 2 of 5 operations" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert place.left_in_the_end() == []
