"""What the kinds of dependency say and understand, without starting any."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.deploy import nats, postgres, valkey
from loadpath.deploy.kinds import KINDS
from loadpath.deploy.postgres_files import extensions, wheel
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.spec import Dependency


@pytest.mark.parametrize(
    ("output", "extension"),
    [
        ('ERROR:  extension "pgcrypto" is not available', "pgcrypto"),
        (
            'could not open extension control file "/x/share/extension/uuid-ossp.control": No such '
            "file or directory",
            "uuid-ossp",
        ),
        (
            'sqlalchemy.exc.NotSupportedError: extension "postgis" is not available\n'
            'DETAIL:  Could not open extension control file "/x/postgis.control"',
            "postgis",
        ),
    ],
)
def test_a_missing_extension_is_recognized(output: str, extension: str) -> None:
    advice = postgres.Postgres().explain(output)
    assert advice is not None
    assert advice.message == f"embedded PostgreSQL has no extension {extension}"
    assert "url = of your own PostgreSQL" in advice.advice
    assert ("gen_random_uuid()" in advice.advice) == (extension != "postgis")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_other_output_means_nothing_known(kind: postgres.Postgres) -> None:
    assert kind.explain('ERROR:  relation "links" does not exist') is None


def test_the_wheel_has_what_is_promised() -> None:
    available = extensions(wheel())
    assert {"pg_stat_statements", "pg_trgm", "pg_buffercache"} <= available
    assert not {"pgcrypto", "uuid-ossp", "postgis"} & available


@pytest.mark.parametrize("kind", KINDS)
def test_a_wheel_that_is_missing_is_said_before_anything_starts(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(nats, "_PACKAGE", "no-such-package")
    with pytest.raises(WouldNotRunError, match="is not installed") as failed:
        KINDS[kind].check(Dependency(name="it", kind="postgres", env={}))
    assert failed.value.advice is not None
    assert "pip install" in failed.value.advice


def test_nats_settings_with_dots_go_into_blocks() -> None:
    config: dict[str, object] = {"jetstream": {}}
    nats._put(config, ["jetstream", "limits", "max_ha_assets"], "3")
    nats._put(config, ["max_payload"], "1MB")
    assert nats._lines(config) == [
        "jetstream {",
        "  limits {",
        "    max_ha_assets: 3",
        "  }",
        "}",
        "max_payload: 1MB",
    ]
    with pytest.raises(ConfigurationError, match="both a value and a block"):
        nats._put(config, ["max_payload", "x"], "1")


def test_what_is_quoted_survives() -> None:
    assert valkey._quoted('a "b" \\c') == '"a \\"b\\" \\\\c"'
    assert postgres._escaped("it's \\n") == "it''s \\\\n"
    assert postgres._name('odd"name') == '"odd""name"'
