"""Three operations of one service. Standard library only, so that its own cost is small.

python several.py PORT WORKERS

GET /page    1 ms of CPU
GET /report  4 ms of CPU
GET /line    1 ms of CPU, then 10 ms with one of so many slots, without CPU; the variable SLOTS says
             how many (6)
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "known"))

import service  # it lies there

PAGE_S, REPORT_S, SLOT_S = 0.001, 0.004, 0.010
SLOTS = int(os.environ.get("SLOTS", "6"))


def burn(seconds: float) -> None:
    """CPU time of this thread, not time on the clock."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


class Routed(service.Connection):
    """A connection of which the first line says what is done."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        super().__init__(self._do)
        self.slots = slots
        self.path = b""
        self.tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        self.path = data.split(b" ", 2)[1] if b" " in data else b""
        super().data_received(data)

    def _do(self, reply: service.Reply) -> None:
        burn(REPORT_S if self.path == b"/report" else PAGE_S)
        if self.path != b"/line":
            reply()
            return
        task = asyncio.create_task(self._wait(reply))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _wait(self, reply: service.Reply) -> None:
        async with self.slots:
            await asyncio.sleep(SLOT_S)
        reply()


async def serve(port: int, workers: int) -> None:
    slots = asyncio.Semaphore(SLOTS)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Routed(slots), "127.0.0.1", port, reuse_port=workers > 1, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    wanted = int(sys.argv[2])
    for _ in range(wanted - 1):
        if os.fork() == 0:
            break
    asyncio.run(serve(int(sys.argv[1]), wanted))
