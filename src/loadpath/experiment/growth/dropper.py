"""A process that drops a clone on a server of the user's when Loadpath was ended before it could.

A server that Loadpath started ends with it, and its clones do; on another they would stay until
somebody grows it again. So this one waits at a pipe: a word on it says that the clone is dropped,
its end that nobody is there to do it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from loadpath.deploy import RunningDependency
from loadpath.growing.schema import literal, quoted

TIMEOUT_S = 10.0
_DONE = b"dropped\n"


@asynccontextmanager
async def dropped_in_any_case(
    running: RunningDependency, name: str
) -> AsyncIterator[Callable[[], None]]:
    """Have the database `name` dropped when this process ends within the context, by whatever.

    What is yielded says that it was dropped. A server that Loadpath started needs none of this.
    """
    if running.embedded:
        yield lambda: None
        return
    # In a session of its own: Ctrl-C is not meant for it. The password goes by the pipe alone.
    process = subprocess.Popen(  # noqa: ASYNC220  which a loop would end with itself
        [sys.executable, "-m", "loadpath.experiment.growth.dropper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def tell(line: bytes) -> None:
        # Killed, it hears nothing: then whoever grows there next drops what it should have.
        with contextlib.suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()

    try:
        tell(msgspec.json.encode((running, name)) + b"\n")
        yield lambda: tell(_DONE)
    finally:
        with contextlib.suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.close()
        # One that has to drop it may be slow, and needs nobody to wait for it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, TIMEOUT_S)


def main() -> None:
    """Read what to drop, and wait."""
    running, name = msgspec.json.decode(
        sys.stdin.buffer.readline(), type=tuple[RunningDependency, str]
    )
    if sys.stdin.buffer.readline() != _DONE:
        asyncio.run(_drop(running, name))


async def _drop(running: RunningDependency, name: str) -> None:
    connection = await asyncpg.connect(
        host=running.host,
        port=running.port,
        user=running.user,
        password=running.password,
        database="postgres",
        timeout=TIMEOUT_S,
        server_settings={"application_name": "loadpath"},
    )
    try:
        # Whoever made it holds this lock: also while it is still being made, with nobody to ask.
        await connection.execute(f"SELECT pg_advisory_lock(hashtextextended({literal(name)}, 0))")
        await connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
