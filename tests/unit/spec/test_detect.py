"""What `loadpath init` makes of the folders in samples/, each a small real service."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadpath.errors import ConfigurationError
from loadpath.spec import OpenArrivals, Setup, load
from loadpath.spec.detect import Detected, detect, render_service_file

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> Detected:
    return detect(SAMPLES / name)


def written(detected: Detected, folder: Path) -> Setup:
    """The file that is written, read back."""
    file = folder / "loadpath.toml"
    file.write_text(render_service_file(detected), "utf-8")
    return load(file, environ={})


def operations(setup: Setup) -> list[str]:
    return [o.name for o in setup.workload.operations]


@pytest.mark.parametrize("folder", sorted(SAMPLES.iterdir()), ids=lambda f: f.name)
def test_what_is_written_loads_as_it_is(folder: Path, tmp_path: Path) -> None:
    detected = detect(folder)
    setup = written(detected, tmp_path)
    assert setup.service.start == detected.start.words
    assert setup.service.env == detected.env
    assert [d.env for d in setup.service.dependencies] == [d.env for d in detected.dependencies]
    assert isinstance(setup.workload.arrivals, OpenArrivals)
    assert all(o.request is not None for o in setup.workload.operations)
    assert setup.workload.assumptions == ()  # the objective is written out


class TestFastAPI:
    def test_the_application_is_served_by_the_server_that_is_asked_for(self) -> None:
        detected = sample("fastapi_requirements")
        assert detected.framework == "FastAPI"
        assert " ".join(detected.start.words) == (
            "uvicorn --host 127.0.0.1 --port {port} --workers {workers} app.main:app"
        )
        assert detected.start.notes == ()

    def test_a_factory_in_a_src_folder(self) -> None:
        assert " ".join(sample("fastapi_src").start.words) == (
            "granian --interface asgi --host 127.0.0.1 --port {port} --workers {workers} "
            "--working-dir src --factory catalog.web:create_app"
        )

    def test_routes_are_found_under_the_prefixes_they_are_mounted_at(self, tmp_path: Path) -> None:
        setup = written(sample("fastapi_requirements"), tmp_path)
        assert operations(setup) == ["GET /api/items", "GET /api/v2/users/me", "GET /search"]

    def test_ids_of_rows_that_nothing_makes_are_left_to_the_reader(self) -> None:
        text = render_service_file(sample("fastapi_requirements"))
        assert '# [operations."GET /api/items/{item_id}"]  # app/routers/items.py:12' in text
        assert "It needs rows that exist: say `seed`, then which {item_id} there are." in text
        assert "# keys = { item_id = { first = 1, count = 10, zipf = 1.0 } }" in text
        assert '# request = "GET /api/items/{item_id}/files/{name}"' in text
        assert "It needs values of {name} that exist." in text

    def test_a_query_parameter_without_a_default_is_given_a_value(self) -> None:
        text = render_service_file(sample("fastapi_requirements"))
        assert '\nrequest = "GET /search?q=example"' in text

    def test_the_health_check_is_no_operation_of_users(self) -> None:
        text = render_service_file(sample("fastapi_requirements"))
        assert '\n# request = "GET /healthz"' in text

    def test_a_router_that_nobody_includes_is_not_asked_for(self, tmp_path: Path) -> None:
        detected = sample("fastapi_src")
        assert operations(written(detected, tmp_path)) == ["GET /"]
        assert '# [operations."GET /lonely/one"]' in render_service_file(detected)

    def test_the_health_check_says_when_it_is_ready(self) -> None:
        assert sample("fastapi_requirements").ready == "GET /healthz"

    def test_dependencies_with_the_variables_that_the_code_reads(self) -> None:
        database, cache = sample("fastapi_requirements").dependencies
        assert (database.kind, database.because) == ("postgres", "asyncpg")
        assert database.env == {
            "DATABASE_URL": "postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}"
        }
        assert (cache.kind, cache.because) == ("valkey", "redis")
        assert cache.env == {"REDIS_URL": "redis://:{password}@{host}:{port}/1"}

    def test_fields_of_a_settings_class_are_variables(self) -> None:
        database, broker = sample("fastapi_src").dependencies
        assert database.env == {
            "CATALOG_DB_HOST": "{host}",
            "CATALOG_DB_PORT": "{port}",
            "CATALOG_DB_USER": "{user}",
            "CATALOG_DB_PASSWORD": "{password}",
            "CATALOG_DB_NAME": "{name}",
        }
        assert broker.env == {"CATALOG_NATS_URL": "nats://{user}:{password}@{host}:{port}"}

    def test_what_the_code_insists_on_is_given_a_value(self) -> None:
        detected = sample("fastapi_requirements")
        assert detected.env == {"SECRET_KEY": "only-for-development", "SIGNING_SALT": "change-me"}
        text = render_service_file(detected)
        assert 'SIGNING_SALT = "change-me"  # check this: the code needs it' in text


class TestFlask:
    def test_a_factory_behind_gunicorn(self) -> None:
        detected = sample("flask_factory")
        assert detected.framework == "Flask"
        assert " ".join(detected.start.words) == (
            "gunicorn --bind 127.0.0.1:{port} --workers {workers} shop:create_app()"
        )

    def test_blueprints_are_found_under_their_prefix(self, tmp_path: Path) -> None:
        detected = sample("flask_factory")
        assert operations(written(detected, tmp_path)) == ["GET /shop/"]
        assert '# request = "GET /shop/items/{item_id}"' in render_service_file(detected)

    def test_a_variable_named_after_the_database(self) -> None:
        (database,) = sample("flask_factory").dependencies
        assert database.env == {"PG_DSN": "postgresql://{user}:{password}@{host}:{port}/{name}"}

    def test_without_a_server_it_says_that_the_development_server_is_not_production(self) -> None:
        detected = sample("flask_plain")
        assert " ".join(detected.start.words) == "flask --app app:app run --port {port}"
        assert "check this: Flask's development server" in detected.start.notes[0]

    def test_a_server_that_cannot_be_started_is_named(self) -> None:
        detected = sample("flask_plain")
        assert detected.unsupported == ("MongoDB",)
        assert "seems to need MongoDB" in render_service_file(detected)


class TestDjango:
    def test_it_is_served_and_migrated(self) -> None:
        detected = sample("django_project")
        assert detected.framework == "Django"
        assert detected.start.words[-1] == "mysite.wsgi:application"
        assert detected.dependencies[0].commands.prepare == (
            *("python", "manage.py", "migrate", "--noinput"),
        )

    def test_routes_are_followed_through_includes(self, tmp_path: Path) -> None:
        detected = sample("django_project")
        assert operations(written(detected, tmp_path)) == [
            "GET /polls/",
            "GET /polls/api/choices/",
        ]
        assert '# request = "GET /polls/{question_id}/"' in render_service_file(detected)

    def test_its_settings_are_variables(self) -> None:
        detected = sample("django_project")
        assert detected.dependencies[0].env == {
            "POSTGRES_DB": "{name}",
            "POSTGRES_USER": "{user}",
            "POSTGRES_PASSWORD": "{password}",
            "POSTGRES_HOST": "{host}",
            "POSTGRES_PORT": "{port}",
        }
        assert detected.env == {"DJANGO_SECRET_KEY": "change-me"}

    def test_an_address_that_is_only_half_variable_is_doubted(self) -> None:
        cache = sample("django_project").dependencies[1]
        assert cache.notes == ("check this: no variable was found that takes {port}, {password}",)


class TestExpress:
    def test_its_start_script_is_run_without_npm(self) -> None:
        detected = sample("express_service")
        assert detected.framework == "Express"
        assert detected.start.words == ("node", "--enable-source-maps", "server.js")
        assert detected.env == {"NODE_ENV": "production", "HTTP_PORT": "{port}"}

    def test_a_start_script_that_needs_a_shell_is_left_to_npm(self) -> None:
        assert sample("express_fixed").start.words == ("npm", "start")

    def test_a_port_written_in_the_code_is_doubted(self) -> None:
        assert "(3000 is written in the code)" in sample("express_fixed").start.notes[-1]

    def test_routers_are_found_where_they_are_mounted(self, tmp_path: Path) -> None:
        detected = sample("express_service")
        assert operations(written(detected, tmp_path)) == [
            "GET /api/admin/stats",
            "GET /api/orders",
            "GET /api/orders/recent",
        ]
        assert '# request = "GET /api/orders/{orderId}"' in render_service_file(detected)

    def test_a_driver_that_reads_libpqs_variables(self) -> None:
        database, cache = sample("express_service").dependencies
        assert database.env["PGHOST"] == "{host}"
        assert database.env["PGPASSWORD"] == "{password}"
        assert "check this" in database.notes[0]
        assert cache.env == {"REDIS_HOST": "{host}", "REDIS_PORT": "{port}"}


def test_nothing_of_the_service_is_run(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        f"open({str(tmp_path / 'was_run')!r}, 'w').close()\n"
        "raise SystemExit(3)\n"
    )
    before = set(sys.modules)
    assert detect(tmp_path).framework == "FastAPI"
    assert not (tmp_path / "was_run").exists()
    assert "app" not in set(sys.modules) - before


def test_an_unknown_framework_gets_a_file_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("import http.server\n")
    detected = detect(tmp_path)
    assert detected.framework is None
    assert "check this: no framework was recognized" in render_service_file(detected)
    assert operations(written(detected, tmp_path)) == ["GET /"]


def test_a_secret_of_the_env_file_itself_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from flask import Flask\nimport os\napp = Flask('a')\n")
    (tmp_path / ".env").write_text("API_KEY=hunter2\n")
    assert "hunter2" not in render_service_file(detect(tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("package.json", "{", "not JSON"),
        ("Pipfile", "[", "not TOML"),
        ("notes.txt", "hello", "no source code"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    if says != "no source code":
        (tmp_path / "app.py").write_text("x = 1\n")
    with pytest.raises(ConfigurationError, match=says):
        detect(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        detect(tmp_path / "nowhere")


def test_sources_that_do_not_parse_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "template.py").write_text("{{ cookiecutter.name }} = [\n")
    (tmp_path / "main.py").write_text("import fastapi\nserver: object = fastapi.FastAPI()\n")
    (tmp_path / "broken.py").symlink_to(tmp_path / "nowhere")
    assert detect(tmp_path).start.words[-1] == "main:server"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    path=st.text(max_size=20).map(lambda t: "/" + t),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
def test_whatever_the_code_holds_the_file_loads(tmp_path: Path, path: str, value: str) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nfrom fastapi import FastAPI\napp = FastAPI()\n"
        f"@app.get({path!a})\ndef route():\n    return os.environ['SOME_KEY']\n"
    )
    (tmp_path / ".env.example").write_text(f"SOME_KEY={value}\n", "utf-8")
    written(detect(tmp_path), tmp_path)
