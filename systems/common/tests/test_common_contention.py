"""Work that others were in the way of is done again, a bounded number of times."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from systems_common.contention import TRIES, tried_again


def counted(failures: int, error: type[Exception]) -> tuple[list[int], object]:
    """How often the work was begun, and what it came to, when it fails so often first."""
    begun: list[int] = []

    @tried_again
    async def work(value: int) -> int:
        begun.append(value)
        if len(begun) <= failures:
            raise error("in the way")
        return 2 * value

    return begun, asyncio.run(work(21))


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError,
        asyncpg.SerializationError,
        asyncpg.ForeignKeyViolationError,
    ],
)
def test_it_is_done_again_when_others_were_in_the_way(error: type[Exception]) -> None:
    begun, result = counted(TRIES - 1, error)
    assert (begun, result) == ([21] * TRIES, 42)


def test_what_stays_in_the_way_is_raised() -> None:
    with pytest.raises(asyncpg.DeadlockDetectedError):
        counted(TRIES, asyncpg.DeadlockDetectedError)


def test_another_error_is_raised_at_once() -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        counted(1, asyncpg.UniqueViolationError)
