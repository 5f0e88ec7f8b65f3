"""Work beside the requests of a process, begun again when it fails, ended with the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["background"]

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 5.0


async def _keep_at(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run until it returns; what it raises is logged, and it is begun again."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a background task failed and is begun again", extra={"task": name})
            await asyncio.sleep(1.0)
        else:
            return


@contextlib.asynccontextmanager
async def background(
    name: str, work: Callable[[], Awaitable[None]], *, stop: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Work beside the block; at its end `stop` is called and the work may finish what it holds."""
    task = asyncio.create_task(_keep_at(name, work))
    try:
        yield
    finally:
        if stop is not None:
            stop()
            await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
