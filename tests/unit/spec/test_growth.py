"""What the service file says of growth, and the mistakes that are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError
from loadpath.spec import Growth, load
from loadpath.spec.growth import Reference

FILE = """
[service]
start = "serve {port}"
[dependencies.main]
kind = "postgres"
env = { DB = "{port}" }
[dependencies.other]
kind = "postgres"
env = { OTHER = "{port}" }
[dependencies.cache]
kind = "valkey"
env = { CACHE = "{port}" }
[workload]
arrivals = { open = "1/s" }
[operations."GET /"]
request = "GET /"
"""


def said(folder: Path, growth: str) -> Growth:
    (folder / "loadpath.toml").write_text(f"{FILE}\n[growth]\n{growth}\n", encoding="utf-8")
    return load(folder, environ={}).growth


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    growth = said(
        tmp_path,
        """
        database = "main"
        root = "auth.users"
        tables = { product = "users", audit = "none" }
        references = { "visit(code, domain)" = "link (code,domain)" }
        seed = "python -m seed --links {n}"
        n = 1000
        """,
    )
    assert growth == Growth(
        database="main",
        root=("auth.users",),
        tables={"product": "users", "audit": "none"},
        references=(Reference("visit", ("code", "domain"), "link", ("code", "domain")),),
        seed=("python", "-m", "seed", "--links", "{n}"),
        n=1000,
    )


def test_nothing_said_is_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "loadpath.toml").write_text(FILE, encoding="utf-8")
    assert load(tmp_path, environ={}).growth == Growth()


@pytest.mark.parametrize(
    ("growth", "told"),
    [
        ('database = "mian"', "`mian` is no dependency; did you mean `main`?"),
        ('database = "cache"', "`cache` is a valkey dependency; valid: `main`, `other`"),
        ('tables = { user = "histroy" }', "did you mean `history`?"),
        ('roots = "users"', "unknown key `roots` in [growth]; did you mean `root`?"),
        ('references = { "visit.code" = "link(code)" }', 'such as "visit(code)" = "link(code)"'),
        ('references = { "a(b, c)" = "d(e)" }', "as many columns on both sides"),
        ('seed = "seed --links {n}"', "`growth.n` is missing"),
        ('seed = "seed --links 5"\nn = 5', "expected {n}, how much to make"),
        ('seed = "seed {m} {n}"\nn = 5', "got {m}, {n}"),
        ("n = 5", "`growth.seed` is missing"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, growth: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        said(tmp_path, growth)
    assert told in str(caught.value)
    assert caught.value.line is not None
