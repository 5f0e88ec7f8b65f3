"""A cache that was started anew, with nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Hits
from loadpath.faults.flushed import key_count, keys_gone
from loadpath.faults.redis_admin import tell
from loadpath.faults.state_fault import ValkeyFault
from loadpath.faults.strikes import kill_all

if TYPE_CHECKING:
    from loadpath.faults.injection import Injection


class Cold(ValkeyFault, frozen=True, kw_only=True):
    """`TARGET cold`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("cold",)
    FORM: ClassVar[str] = "TARGET cold"
    EXAMPLE: ClassVar[str] = "cache cold"
    SUMMARY: ClassVar[str] = (
        "Killed and started again at once with nothing in it, whatever it saves: connections are "
        "lost, and every key."
    )

    async def onset(self, injection: Injection) -> None:
        injection.gone = await key_count(injection.stage, self.target)
        await kill_all(injection)
        await injection.stage.deployment.start_again(self.target)
        await tell(injection.stage, self.target, ("FLUSHALL", "SYNC"))

    async def hits(self, injection: Injection) -> Hits:
        return keys_gone(injection)
