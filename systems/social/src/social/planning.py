"""Statements that PostgreSQL plans once for each connection, and not at each call."""

from __future__ import annotations

from typing import Final

__all__ = ["BY_KEY", "any_of"]

BY_KEY: Final = "OFFSET 0"
"""Ends a subselect that finds at most one row by its key, asked once for each row of a page.

PostgreSQL does not take such a subselect apart. It would, where it expects many rows, read all that
the viewer follows or has favourited into a hash instead; and how many it expects of a page whose
limit is a parameter has nothing to do with how many there are.
"""


def any_of(parameter: str) -> str:
    """SQL for `= ANY` of a parameter that is an array of ids, as in `id = {any_of("$1")}`.

    PostgreSQL compares what a plan for just these ids costs with what the plan for any ids does,
    which it takes for ten; so whoever asks for one id is planned for anew each time, which takes
    longer than the statement. How many they are is not seen through a subselect.
    """
    return f"ANY((SELECT {parameter}::bigint[])::bigint[])"
