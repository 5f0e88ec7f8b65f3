"""`loadpath`: the group of commands, and how every failure ends."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import loadpath
from loadpath.cli.streams import make_lasting
from loadpath.deploy.folders import temporary_root
from loadpath.errors import ConfigurationError, ExitCode, LoadpathError, WouldNotRunError
from loadpath.recording.room import NO_ROOM, room
from loadpath.report.outside import strip_controls

COMMANDS = {
    "init": "look at this folder and write loadpath.toml",
    "check": "start the service, send one request per operation",
    "run": "a few minutes: every question, the top answers verified",
    "ask": "one question, in full depth",
    "what-if": "predict a change, and with --verify make it and measure",
    "decide": "every knob, one value at a time: which decisions matter",
    "compare": "regression verdict between two runs, for CI",
    "report": "derive and print the answers again; never drives",
    "serve": "run the service on its dependencies until Ctrl-C",
    "schema": "print the JSON Schema of the service file or of results",
}


class LazyGroup(click.Group):
    """Imports a command's file only when it is called, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"loadpath.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command. Click takes some errors for the end of our own input or output and
        ends without a word; ours last (see streams), so these come from elsewhere."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(loadpath.__version__, prog_name="loadpath")
def group() -> None:
    """What will bottleneck, what to cache, what a crash costs, what growth does: measured.

    Run it in the folder of a service that has a loadpath.toml (`loadpath init` writes one).
    """


def main() -> None:
    """Run the command line; every ending is one of the documented exit codes."""
    make_lasting()
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except LoadpathError as error:
        _show(error)
        code = error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            where = Path(error.filename or temporary_root())
            _show(
                WouldNotRunError(
                    f"{error.filename or 'a temporary file'} could not be written: "
                    f"{os.strerror(error.errno)}: {room(where)}",
                    advice="Make room there; TMPDIR names another folder for temporary files.",
                )
            )
            sys.exit(ExitCode.WOULD_NOT_RUN)
        click.echo(
            f"loadpath: a fault in Loadpath itself: {type(error).__name__}: {error}", err=True
        )
        click.echo("Run it again with LOADPATH_TRACEBACK=1 and report what it prints.", err=True)
        code = ExitCode.INTERNAL
        if _wants_traceback():
            raise
    sys.exit(int(code or 0))


def _wants_traceback() -> bool:
    return bool(os.environ.get("LOADPATH_TRACEBACK"))


def _show(error: LoadpathError) -> None:
    click.echo(strip_controls(f"loadpath: {error}"), err=True)
    if isinstance(error, WouldNotRunError) and error.last_lines:
        click.echo("  the last lines it printed:", err=True)
        for line in error.last_lines:
            click.echo(strip_controls(f"    {line}"), err=True)
    if isinstance(error, ConfigurationError):
        for line in error.excerpt:
            click.echo(f"    {strip_controls(line)}", err=True)
    if error.advice:
        click.echo(strip_controls(f"  {error.advice}"), err=True)
    if isinstance(error, ConfigurationError) and error.advice is None and error.file is None:
        click.echo("  `loadpath --help` lists commands and flags.", err=True)
