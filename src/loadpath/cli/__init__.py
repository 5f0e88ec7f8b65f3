"""The command line: one file per command, no logic."""

from loadpath.cli.main import main

__all__ = ["main"]
