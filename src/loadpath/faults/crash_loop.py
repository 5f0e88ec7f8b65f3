"""The target is killed again and again, each time that it is back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.process_fault import ProcessFault
from loadpath.faults.quantities import duration_words
from loadpath.faults.strikes import kill_all

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.injection import Injection
    from loadpath.faults.words import Words


class CrashLoop(ProcessFault, frozen=True, kw_only=True):
    """`TARGET crash loop [every DURATION]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("crash", "loop")
    FORM: ClassVar[str] = "TARGET crash loop [every DURATION]"
    EXAMPLE: ClassVar[str] = "service crash loop every 2s"
    SUMMARY: ClassVar[str] = (
        "Killed, started again, and killed again that long after it serves (1s unless said), "
        "until it heals."
    )

    up_s: float = 1.0

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        return cls(target=target, up_s=words.duration_s() if words.take("every") else 1.0)

    def details(self) -> str:
        return "" if self.up_s == 1.0 else f"every {duration_words(self.up_s)}"

    async def onset(self, injection: Injection) -> None:
        await kill_all(injection)
        injection.restart = injection.meanwhile(self._go_round(injection))

    async def heal(self, injection: Injection) -> None:
        loop = injection.restart
        if loop is not None:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop  # raises when it has come to an end by itself
        await injection.stage.deployment.start_again(self.target)
        await injection.clean_up()

    async def _go_round(self, injection: Injection) -> None:
        while True:
            await injection.stage.deployment.start_again(self.target)
            await asyncio.sleep(self.up_s)
            await kill_all(injection)
