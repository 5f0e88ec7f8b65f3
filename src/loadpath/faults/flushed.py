"""A cache that has lost everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Hits
from loadpath.faults.redis_admin import fields, tell
from loadpath.faults.state_fault import ValkeyFault

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection
    from loadpath.faults.stage import Stage


class Flushed(ValkeyFault, frozen=True, kw_only=True):
    """`TARGET flushed`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("flushed",)
    FORM: ClassVar[str] = "TARGET flushed"
    EXAMPLE: ClassVar[str] = "cache flushed"
    SUMMARY: ClassVar[str] = "Every key is gone at once (FLUSHALL); connections stay."

    async def onset(self, injection: Injection) -> None:
        injection.gone = await key_count(injection.stage, self.target)
        await tell(injection.stage, self.target, ("FLUSHALL", "SYNC"))

    async def hits(self, injection: Injection) -> Hits:
        return keys_gone(injection)


async def key_count(stage: Stage, target: str) -> int:
    """The keys of all its databases."""
    (keyspace,) = await tell(stage, target, ("INFO", "keyspace"))
    return sum(
        int(value.partition(",")[0].removeprefix("keys=")) for value in fields(keyspace).values()
    )


def keys_gone(injection: Injection) -> Hits:
    """The proof of a fault that took every key."""
    return Hits(injection.gone, f"{injection.gone} keys of {injection.fault.target} are gone")
