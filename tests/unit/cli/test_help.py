"""Help, and usage that cannot be meant."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from loadpath import __version__
from loadpath.cli.main import COMMANDS
from loadpath.questions import QUESTIONS

Loadpath = Callable[..., Any]

HEAVY = ("numpy", "scipy", "pyarrow", "rich", "asyncpg", "asyncio")


def command(name: str) -> click.Command:
    word = name.replace("-", "_")
    found = getattr(import_module(f"loadpath.cli.{word}"), word)
    assert isinstance(found, click.Command)
    return found


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command_and_what_it_does(loadpath: Loadpath, flag: str) -> None:
    ended = loadpath(flag)
    assert (ended.code, ended.err) == (0, "")
    for name, does in COMMANDS.items():
        assert f"  {name} " in ended.out
        assert does in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_every_flag(loadpath: Loadpath, name: str, flag: str) -> None:
    ended = loadpath(name, flag)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: loadpath {name} ")
    assert max(map(len, ended.out.splitlines())) <= 80
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert all(opt in ended.out for opt in parameter.opts)
        else:
            assert parameter.make_metavar(click.Context(command(name))) in ended.out


def test_flags_of_several_commands_mean_the_same_everywhere() -> None:
    meanings: dict[str, set[str | None]] = {}
    for name in COMMANDS:
        for parameter in command(name).params:
            if isinstance(parameter, click.Option):
                for opt in parameter.opts:
                    meanings.setdefault(opt, set()).add(parameter.help)
    assert {opt: helps for opt, helps in meanings.items() if len(helps) > 1} == {}


def test_help_of_ask_names_every_question(loadpath: Loadpath) -> None:
    text = loadpath("ask", "--help").out
    assert all(f"{name} " in text for name in QUESTIONS)


def test_help_of_run_says_what_it_exits_with(loadpath: Loadpath) -> None:
    text = " ".join(loadpath("run", "--help").out.split())
    assert "Exit codes: 0 every objective is met" in text
    for code in ("1 one is missed", "2 bad usage", "3 inconclusive", "4 the service", "130"):
        assert code in text


def test_help_costs_no_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from loadpath.cli import main\n"
        "sys.argv = ['loadpath', '--help']\n"
        "try:\n    main()\n"
        f"finally:\n    print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "heavy: []"


def test_version(loadpath: Loadpath) -> None:
    ended = loadpath("--version")
    assert (ended.code, ended.out) == (0, f"loadpath, version {__version__}\n")


def test_without_a_command_it_shows_help_as_an_error(loadpath: Loadpath) -> None:
    ended = loadpath()
    assert ended.code == 2
    assert "Usage: loadpath" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mesure"], "No such command 'mesure'"),
        (["run", "--durration", "3"], "No such option"),
        (["run", "--duration", "0"], "Invalid value for '--duration'"),
        (["run", "--duration", "soon"], "'soon' is not a valid float"),
        (["run", "--budget", "1"], "Invalid value for '--budget'"),
        (["run", "--seed", "x"], "'x' is not a valid integer"),
        (["run", "--format", "xml"], "'xml' is not one of 'text', 'json'"),
        (["run", "--color", "pink"], "'pink' is not one of"),
        (["run", "one", "two"], "unexpected extra argument (two)"),
        (["ask"], "Missing argument"),
        (["ask", "bottlenck"], "'bottlenck' is not"),
        (["check", "-o"], "requires an argument"),
    ],
)
def test_what_cannot_be_meant_ends_in_2_and_is_named(
    loadpath: Loadpath, tmp_path: Path, words: list[str], said: str
) -> None:
    ended = loadpath(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
