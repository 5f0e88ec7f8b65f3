"""Databases for tests, and the commands of a system that prepare them."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

__all__ = ["Commands", "new_database", "on_database"]

T = TypeVar("T")
_numbers = itertools.count()
_TIMEOUT_S = 60.0


def on_database(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run work on a connection of its own."""

    async def run() -> T:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def new_database(server_url: str, template: str = "template1") -> str:
    """The address of a new database, a copy of the template."""
    name = f"copy_{next(_numbers)}"
    # The default strategy copies a sequence with the values that its WAL record already covers;
    # taking those writes no WAL, so after a crash the copy would give them again. A file copy is
    # followed by a checkpoint, after which the next value is logged.
    statement = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    on_database(server_url, lambda c: c.execute(statement))
    return server_url.rpartition("/")[0] + f"/{name}"


class Commands:
    """The commands of a system, `python -m MODULE`, run as a deployment would."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __call__(
        self, database_url: str, *arguments: str, timeout_s: float = _TIMEOUT_S, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command, whatever it ends in."""
        return self._run(database_url, arguments, timeout_s, env)

    def _run(
        self, database_url: str, arguments: tuple[str, ...], timeout_s: float, env: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", self._module, *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "DATABASE_URL": database_url,
                **env,
            },
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def prepared(self, server_url: str, *commands: tuple[str, ...], **env: str) -> str:
        """The name of a new database on which these commands have run; to be copied."""
        url = new_database(server_url)
        for arguments in commands:
            done = self._run(url, arguments, _TIMEOUT_S, env)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
        return url.rpartition("/")[2]
