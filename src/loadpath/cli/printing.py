"""How commands print their results."""

from __future__ import annotations

import os
import sys

import click


def print_text(text: str, *, color: bool) -> None:
    """Print `text`, which ends in a newline; its colors are kept only with `color`."""
    _print(text, color=color)


def print_json(document: str) -> None:
    """Print a JSON document: UTF-8, whatever the terminal's own encoding is."""
    _print(document.encode(), color=False)


def _print(content: str | bytes, *, color: bool) -> None:
    try:
        click.echo(content, nl=False, color=color)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has gone (`loadpath report | head`). The exit code still counts, and what
        # is left in the buffer must not fail again at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
