"""A cache that has no memory left and evicts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Hits
from loadpath.faults.redis_admin import fields, tell
from loadpath.faults.state_fault import ValkeyFault

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection
    from loadpath.faults.stage import Stage


class MemoryFull(ValkeyFault, frozen=True, kw_only=True):
    """`TARGET memory full`. Its limit is set below what it uses: no key of another's has to be put
    there to fill it, and what the service deletes makes no room."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("memory", "full")
    FORM: ClassVar[str] = "TARGET memory full"
    EXAMPLE: ClassVar[str] = "cache memory full"
    SUMMARY: ClassVar[str] = (
        "maxmemory below what is used, and nothing evicted: each command that may take memory is "
        "answered by OOM; both settings are restored when it heals."
    )

    async def onset(self, injection: Injection) -> None:
        stage, target = injection.stage, self.target
        memory, limit, policy = await tell(
            stage,
            target,
            ("INFO", "memory"),
            ("CONFIG", "GET", "maxmemory"),
            ("CONFIG", "GET", "maxmemory-policy"),
        )
        before = [("CONFIG", "SET", *said.splitlines()) for said in (limit, policy)]

        async def restore() -> None:
            injection.gone = await _refused(stage, target) - refused
            await tell(stage, target, *before)

        refused = await _refused(stage, target)
        injection.notes = [str(refused)]
        injection.undo("restore maxmemory and its policy", restore)
        half = max(1, int(fields(memory)["used_memory"]) // 2)
        await tell(
            stage,
            target,
            ("CONFIG", "SET", "maxmemory-policy", "noeviction"),
            ("CONFIG", "SET", "maxmemory", str(half)),
        )

    async def hits(self, injection: Injection) -> Hits:
        if injection.healed_s != injection.healed_s:  # nan: it has not healed
            before = int(injection.notes[0])
            injection.gone = await _refused(injection.stage, self.target) - before
        return Hits(injection.gone, f"{self.target} answered {injection.gone} commands with OOM")


async def _refused(stage: Stage, target: str) -> int:
    """How many commands the server has answered with OOM since it was started."""
    (stats,) = await tell(stage, target, ("INFO", "errorstats"))
    said = fields(stats).get("errorstat_OOM", "count=0")
    return int(said.removeprefix("count="))
