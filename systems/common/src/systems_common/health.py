"""Health: ask every dependency at once, each with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

__all__ = ["Check", "Health", "examine"]


class Check(msgspec.Struct, frozen=True):
    """How to ask one dependency. Only one that is `needed` decides the health of the service."""

    ask: Callable[[], Awaitable[object]]
    needed: bool = True


class Health(msgspec.Struct, frozen=True):
    """`checks` maps each dependency to "pass" or to why it fails."""

    passes: bool
    checks: dict[str, str]


async def examine(checks: Mapping[str, Check], *, timeout_s: float = 1.0) -> Health:
    """Run all checks concurrently; one that takes longer than `timeout_s` fails."""

    async def run(check: Check) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                await check.ask()
        except TimeoutError:
            return f"no answer within {timeout_s:g} s"
        except Exception as error:  # noqa: BLE001
            # Whatever a driver raises is the finding here, not a fault of ours. Its message may
            # hold addresses, so only its kind is shown.
            return type(error).__name__
        return "pass"

    results = dict(zip(checks, await asyncio.gather(*map(run, checks.values())), strict=True))
    passes = all(results[name] == "pass" for name, check in checks.items() if check.needed)
    return Health(passes, results)
