"""`python -m shortener` and what is said when something is not set up."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shortener.seed import code_of, long_url_of
from shortener.settings import read_settings
from shortener.testing import command, on_database
from systems_common.settings import SettingsError
from systems_common.testing import free_port


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in on_database(url, lambda c: c.fetch(statement))]


def test_migrations_are_applied_once_by_whoever_comes_first(empty_database: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: command(empty_database, "migrate"), range(3)))
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    printed = sorted(one.stdout for one in done)
    assert printed[0].startswith("applied 0001_core")
    assert printed[1:] == ["nothing to apply\n", "nothing to apply\n"]


_FOREIGN_KEYS = "SELECT conname, confdeltype FROM pg_constraint WHERE contype = 'f' ORDER BY 1"


def test_a_seed_is_the_same_every_time_and_counted(empty_database: str) -> None:
    command(empty_database, "migrate")
    keys = rows(empty_database, _FOREIGN_KEYS)
    done = command(empty_database, "seed", "--links", "50", "--visits", "400", SEED_API_KEY="a key")
    assert (done.returncode, done.stdout) == (0, "seeded 50 links and 400 visits\n"), done.stderr
    links = rows(empty_database, "SELECT code, long_url FROM link ORDER BY id")
    assert links == [(code_of(number), long_url_of(number)) for number in range(50)]
    drift = """SELECT FROM link_counter AS c WHERE
        (total, bots) <> (SELECT count(*), count(*) FILTER (WHERE bot) FROM visit AS v
                          WHERE v.link_id = c.link_id)"""
    assert rows(empty_database, drift) == []
    assert rows(empty_database, "SELECT sum(total) FROM link_counter") == [(400,)]
    # Foreign keys and indexes were taken away to load faster; they are back.
    assert rows(empty_database, _FOREIGN_KEYS) == keys
    names = {name for (name,) in rows(empty_database, "SELECT indexname FROM pg_indexes")}
    assert {"link_created", "link_long_url", "link_search", "visit_by_link"} <= names
    assert rows(empty_database, "SELECT name FROM api_key") == [("seed",)]
    # The same visits in every run, on this machine and on others.
    digest = """SELECT md5(string_agg(concat_ws(' ', id, link_id, bot, referer, user_agent), ','
                ORDER BY id)) FROM visit"""
    assert rows(empty_database, digest) == [("2a9cc501c0d6f327023f42c4bfbdba95",)]


def test_only_an_empty_database_is_seeded(empty_database: str) -> None:
    command(empty_database, "migrate")
    assert command(empty_database, "seed", "--links", "3").returncode == 0
    again = command(empty_database, "seed", "--links", "3")
    assert again.returncode == 1
    assert "only an empty one is seeded" in again.stderr


def test_a_new_key_is_printed_and_only_its_digest_kept(empty_database: str) -> None:
    command(empty_database, "migrate")
    done = command(empty_database, "api-key", "--name", "mine", "--expires", "2099-01-01")
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert len(key) == 32
    kept = rows(
        empty_database,
        f"SELECT name, expires_at::date::text, digest = sha256('{key}') FROM api_key",
    )
    assert kept == [("mine", "2099-01-01", True)]


@pytest.mark.parametrize(
    "arguments", [("seed", "--links", "-1"), ("api-key", "--expires", "soon"), ("paint",), ()]
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    assert command("postgresql://127.0.0.1:1/x", *arguments).returncode == 2


def test_a_database_that_is_not_there_is_said_in_a_line() -> None:
    done = command("postgresql://user:secret@127.0.0.1:1/x", "migrate")
    assert done.returncode == 1
    assert done.stderr.startswith("shortener migrate: cannot connect to the database")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_service_on_an_empty_database_says_what_to_run(empty_database: str) -> None:
    granian = str(Path(sysconfig.get_path("scripts")) / "granian")
    done = subprocess.run(
        [granian, "--interface", "asgi", "shortener.app:app", "--port", str(free_port())],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DATABASE_URL": empty_database,
            "VISITS": "sync",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "run: python -m shortener migrate" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_settings_that_are_missing_or_wrong_are_all_named() -> None:
    env = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    env |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DB_POOL": "many",
        "REDIRECT_CACHE": "redis",
        "REDIRECT_STATUS": "200",
        "BASE_URL": "nowhere",
    }
    done = subprocess.run(
        [sys.executable, "-c", "import shortener.app"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    for name in ("DATABASE_URL", "DB_POOL", "REDIRECT_CACHE", "REDIRECT_STATUS", "BASE_URL"):
        assert f"{name} is" in done.stderr
    assert "off or local or valkey, got 'redis'" in done.stderr


@pytest.mark.parametrize(
    ("knob", "needs"), [("VISITS=batch", "NATS_URL"), ("REDIRECT_CACHE=valkey", "VALKEY_URL")]
)
def test_a_knob_says_what_it_needs(knob: str, needs: str) -> None:
    name, _, value = knob.partition("=")
    with pytest.raises(SettingsError) as raised:
        read_settings({"DATABASE_URL": "postgresql://x", "VISITS": "sync", name: value})
    assert str(raised.value) == f"{needs} is not set; {knob} needs it"


def test_commands_do_not_load_what_only_the_service_needs() -> None:
    """That would triple what each of them costs."""
    load = "import sys, shortener.__main__; print([m for m in sys.modules if m in sys.argv])"
    heavy = ["glide", "granian", "litestar", "nats", "segno"]
    done = subprocess.run(
        [sys.executable, "-c", load, *heavy], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
