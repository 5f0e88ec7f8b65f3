"""The environment of the service: what it holds, and where its programs are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from loadpath.deploy import environment
from loadpath.errors import WouldNotRunError
from loadpath.spec import Dependency, Knob, OpenArrivals, Service, Setup, Workload

VALUES = {"host": "127.0.0.1", "port": "5", "user": "me", "password": "s3", "name": "app"}


def setup_of(directory: Path, **service: object) -> Setup:
    settings = {"name": "test", "directory": directory, "start": ("true",), **service}
    return Setup(
        service=Service(**settings),  # type: ignore[arg-type]
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{host}", "127.0.0.1"),
        ("redis://{user}:{password}@{host}:{port}/{name}", "redis://me:s3@127.0.0.1:5/app"),
        ("{host}:{port}, {other} {} {{name}}", "127.0.0.1:5, {other} {} {app}"),
        ("plain", "plain"),
    ],
)
def test_placeholders_are_filled_and_other_braces_left(template: str, filled: str) -> None:
    assert environment.fill(template, VALUES) == filled


def test_inside_a_url_values_are_encoded() -> None:
    values = {**VALUES, "password": "p@ss/w:rd", "host": "::1"}
    assert environment.fill("{password} {host}", values) == "p@ss/w:rd ::1"
    assert environment.fill("x://{user}:{password}@{host}:{port}", values) == (
        "x://me:p%40ss%2Fw%3Ard@[::1]:5"
    )


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "inherited")
    monkeypatch.setenv("LC_ALL", "inherited")
    monkeypatch.setenv("SECRET", "not inherited")
    names = {"LANG": "service", "A": "service", "B": "service", "C": "{port}"}
    setup = setup_of(
        tmp_path,
        env=names,
        dependencies=(
            Dependency(name="db", kind="postgres", env={"A": "{name}", "B": "dependency"}),
        ),
        knobs=(Knob("b", "B", "knob", ("knob",)),),
    )
    env = environment.service_environment(setup, {"db": VALUES}, port=8)
    assert env["LC_ALL"] == "inherited"
    assert "SECRET" not in env
    found = {name: env[name] for name in ("LANG", "A", "B", "C", "PORT")}
    assert found == {"LANG": "service", "A": "app", "B": "knob", "C": "8", "PORT": "8"}
    # Commands that prepare have no port.
    assert "PORT" not in environment.service_environment(setup, {"db": VALUES})


def test_programs_are_looked_for_in_the_services_own_environment_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(("/usr/bin", "/bin")))
    last = str(Path(sys.executable).parent)
    service = tmp_path / "repository" / "services" / "shop"
    service.mkdir(parents=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    assert environment.search_path(service) == ["/usr/bin", "/bin", last]
    shared = tmp_path / "repository" / ".venv" / "bin"
    shared.mkdir(parents=True)
    assert environment.search_path(service) == [str(shared), "/usr/bin", "/bin", last]
    own = service / ".venv" / "bin"
    own.mkdir(parents=True)
    assert environment.search_path(service) == [str(own), "/usr/bin", "/bin", last]


def test_a_program_that_is_nowhere_is_an_error_that_says_where_it_was_looked_for(
    tmp_path: Path,
) -> None:
    env = {"PATH": str(tmp_path)}
    with pytest.raises(WouldNotRunError, match=f"'granian'; looked in {tmp_path}$") as failed:
        environment.find_program(("granian",), env, tmp_path, "start")
    assert failed.value.advice is not None
    (tmp_path / "granian").touch(mode=0o755)
    assert environment.find_program(("granian",), env, tmp_path, "x") == str(tmp_path / "granian")
    assert environment.find_program(("./granian",), {}, tmp_path, "x") == str(tmp_path / "granian")
