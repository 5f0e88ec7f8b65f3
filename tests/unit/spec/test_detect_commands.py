"""How `loadpath init` finds the commands that lay out a database and fill it, and its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadpath.spec.detect import detect, render_service_file, render_summary
from loadpath.spec.detect.found import FoundDependency

FLASK = "import flask\napp = flask.Flask(__name__)\n"
RUN = 'if __name__ == "__main__":\n    pass\n'


def database(folder: Path, files: dict[str, str], packages: str) -> FoundDependency:
    for name, text in {"requirements.txt": packages, **files}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return detect(folder).dependencies[0]


def said(words: tuple[str, ...] | None) -> str | None:
    return None if words is None else " ".join(words)


@pytest.mark.parametrize(
    ("files", "prepare", "seed"),
    [
        ({"alembic.ini": ""}, "alembic upgrade head", None),
        ({"migrations/env.py": ""}, "flask --app app:app db upgrade", None),
        ({"seed.py": RUN}, None, "python seed.py"),
        ({"scripts/seed_db.py": RUN}, None, "python -m scripts.seed_db"),
        ({"shop/initial_data.py": RUN, "init_db.py": RUN}, "python init_db.py",
         "python -m shop.initial_data"),
        ({"seed.py": "DATA = []\n"}, None, None),
        (
            {"cli.py": "@app.cli.command('init-db')\ndef a(): ...\n"
             "@app.cli.command()\ndef seed(): ...\n"},
            "flask --app app:app init-db",
            "flask --app app:app seed",
        ),
        ({"cli.py": "@app.cli.command('seed')\n@click.argument('rows')\ndef s(rows): ...\n"},
         None, None),
        ({"cli.py": "@click.command('seed')\n@click.option('--n', required=True)\n"
          "def s(n): ...\n"}, None, None),
    ],
)  # fmt: skip
def test_of_a_flask_service(
    tmp_path: Path, files: dict[str, str], prepare: str | None, seed: str | None
) -> None:
    found = database(tmp_path, {"app.py": FLASK, **files}, "flask\npsycopg\n")
    assert (said(found.commands.prepare), said(found.commands.seed)) == (prepare, seed)


@pytest.mark.parametrize(
    ("files", "seed"),
    [
        ({}, None),
        ({"blog/management/commands/populate_db.py": ""}, "python manage.py populate_db"),
        ({"blog/fixtures/sample.json": "[]"}, "python manage.py loaddata sample"),
        (
            {"blog/fixtures/a.json": "[]", "blog/management/commands/seed.py": ""},
            "python manage.py seed",
        ),
    ],
)
def test_of_a_django_service(tmp_path: Path, files: dict[str, str], seed: str | None) -> None:
    found = database(tmp_path, {"manage.py": "", **files}, "django\npsycopg\n")
    assert said(found.commands.prepare) == "python manage.py migrate --noinput"
    assert said(found.commands.seed) == seed


@pytest.mark.parametrize(
    ("scripts", "prepare", "seed"),
    [
        ({"migrate": "node m.js", "seed": "node s.js 5"}, "node m.js", "node s.js 5"),
        ({"db:migrate": "knex migrate:latest"}, "npm run db:migrate", None),
        ({"migrate": "node a.js && node b.js"}, "npm run migrate", None),
        ({"test": "jest"}, None, None),
    ],
)
def test_of_an_express_service(
    tmp_path: Path, scripts: dict[str, str], prepare: str | None, seed: str | None
) -> None:
    package = {"dependencies": {"express": "5", "pg": "8"}, "scripts": scripts}
    found = database(tmp_path, {"package.json": json.dumps(package)}, "")
    assert (said(found.commands.prepare), said(found.commands.seed)) == (prepare, seed)


def test_a_start_script_of_a_package_is_left_to_npm_which_finds_it(tmp_path: Path) -> None:
    package = {"dependencies": {"express": "5"}, "scripts": {"start": "tsx server.ts"}}
    (tmp_path / "package.json").write_text(json.dumps(package))
    assert detect(tmp_path).start.words == ("npm", "start")


def test_tables_that_the_code_makes_need_no_prepare(tmp_path: Path) -> None:
    files = {"app.py": FLASK + "Base.metadata.create_all(engine)\n"}
    found = database(tmp_path, files, "flask\npsycopg\n")
    assert found.commands.prepare is None
    text = render_service_file(detect(tmp_path))
    assert "# no prepare: app.py makes the tables by itself (create_all)" in text
    assert "how is the schema made?" not in text


@pytest.mark.parametrize(
    "default", ["host=db port=5432 dbname=notes", "dbname=notes user=me", "host=db"]
)
def test_an_address_in_libpqs_keywords(tmp_path: Path, default: str) -> None:
    code = FLASK + f"import os\nDSN = os.environ.get('NOTES_DB', {default!r})\n"
    assert database(tmp_path, {"app.py": code}, "flask\npsycopg\n").env == {
        "NOTES_DB": "host={host} port={port} user={user} password={password} dbname={name}"
    }


def test_programs_are_those_of_the_folders_own_environment(tmp_path: Path) -> None:
    files = {"app.py": FLASK, "seed.py": RUN, ".venv/bin/gunicorn": "", ".venv/bin/python": ""}
    found = database(tmp_path, files, "flask\ngunicorn\npsycopg\n")
    assert detect(tmp_path).start.words[0] == ".venv/bin/gunicorn"
    assert found.commands.seed == (".venv/bin/python", "seed.py")


def test_hosts_that_are_allowed_are_this_machines(tmp_path: Path) -> None:
    code = FLASK + "import os\nH = os.environ['ALLOWED_HOSTS']\n"
    database(tmp_path, {"app.py": code}, "flask\npsycopg\n")
    assert detect(tmp_path).env == {"ALLOWED_HOSTS": "127.0.0.1,localhost"}


def test_the_summary_fits_a_terminal_and_names_what_was_found(tmp_path: Path) -> None:
    long = "a_package_with_a_rather_long_name.and_a_module_with_another"
    files = {f"{long.replace('.', '/')}.py": FLASK, "seed.py": RUN}
    database(tmp_path, files, "flask\ngunicorn\npsycopg\nredis\npymongo\n")
    text = render_summary(detect(tmp_path))
    assert max(map(len, text.splitlines())) <= 80
    assert "\n  database     PostgreSQL, because of psycopg\n" in text
    assert "\n               seed: python seed.py\n" in text
    assert "\n  not started  MongoDB, which Loadpath cannot start\n" in text
