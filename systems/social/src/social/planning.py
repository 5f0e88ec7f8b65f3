"""Statements that PostgreSQL plans once for each connection, and not at each call."""

from __future__ import annotations

__all__ = ["any_of"]


def any_of(parameter: str) -> str:
    """SQL for `= ANY` of a parameter that is an array of ids, as in `id = {any_of("$1")}`.

    PostgreSQL compares what a plan for just these ids costs with what the plan for any ids does,
    which it takes for ten; so whoever asks for one id is planned for anew each time, which takes
    longer than the statement. How many they are is not seen through a subselect.
    """
    return f"ANY((SELECT {parameter}::bigint[])::bigint[])"
