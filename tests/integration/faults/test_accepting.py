"""When a service that starts again takes connections, seen on a port that really does."""

from __future__ import annotations

import asyncio
import math
import time
from types import SimpleNamespace
from typing import Any, cast

from loadpath.deploy.address import Address
from loadpath.faults import Injection
from loadpath.faults.process_fault import _watch


async def _eventually(holds: Any) -> None:
    async with asyncio.timeout(5.0):
        while not holds():
            await asyncio.sleep(0.005)


def test_the_one_that_ends_is_not_taken_for_the_one_that_starts() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def scenario() -> None:
        ending = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = ending.sockets[0].getsockname()[1]
        injection = SimpleNamespace(accepts_s=math.nan)
        watching = asyncio.create_task(
            _watch(cast(Injection, injection), Address("127.0.0.1", port))
        )
        await _eventually(lambda: not math.isnan(injection.accepts_s))
        ending.close()
        await ending.wait_closed()
        await _eventually(lambda: math.isnan(injection.accepts_s))
        began_s = time.monotonic()
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            await _eventually(lambda: not math.isnan(injection.accepts_s))
            first_s = injection.accepts_s
            assert first_s >= began_s
            # It goes on taking them: since when stays what it was.
            await asyncio.sleep(0.05)
            assert injection.accepts_s == first_s
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(scenario())
