"""Commands that run to their end: prepare, seed, initdb, psql."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from loadpath.deploy.accounts import Account
from loadpath.deploy.guard import Guard
from loadpath.deploy.logs import Log

_LOOK_S = 0.5


async def run_command(
    guard: Guard,
    argv: tuple[str, ...],
    *,
    name: str,
    env: Mapping[str, str],
    cwd: Path,
    log: Log,
    timeout_s: float,
    stdin: str = "",
    account: Account | None = None,
) -> int:
    """Run a command, its output into `log`; its return code.

    Whatever it leaves running is ended. Raises `TimeoutError` after `timeout_s` seconds, `OSError`
    when it cannot be started. `stdin` must fit in a pipe (64 KiB).
    """
    source, sink = os.pipe()
    try:
        os.write(sink, stdin.encode())
    finally:
        os.close(sink)
    try:
        child = await guard.spawn(
            argv,
            name=name,
            env=env,
            cwd=cwd,
            fds={0: source},
            stdout=log.file,
            user=account.user if account else None,
            group=account.group if account else None,
        )
    finally:
        os.close(source)
    deadline_s = time.monotonic() + timeout_s
    try:
        while child.returncode is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{argv[0]} took longer than {timeout_s:g} s")
            log.keep_small()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), min(left_s, _LOOK_S))
        return child.returncode
    finally:
        await guard.end(child, timeout_s=2.0)
