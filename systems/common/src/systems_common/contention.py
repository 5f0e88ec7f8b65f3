"""Writers that get in each other's way: PostgreSQL ends one of them, and that one tries again."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import asyncpg

__all__ = ["tried_again"]

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 6
PAUSE_S = 0.005
"""At most so long before the second try, doubled with each; random, or the two would meet again."""

# A row that is referred to may be deleted between its lookup and the insert, in one statement too.
_IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ForeignKeyViolationError,
)


def tried_again(work: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Do `work`, which is one transaction of its own, again when others were in its way.

    What is still in its way the last time is raised.
    """

    @functools.wraps(work)
    async def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for tried in range(TRIES - 1):
            try:
                return await work(*args, **kwargs)
            except _IN_THE_WAY:
                await asyncio.sleep(random.uniform(0, PAUSE_S * 2**tried))
        return await work(*args, **kwargs)

    return again
