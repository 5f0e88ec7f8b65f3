"""Each operation visited alone, one request at a time on a quiet service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.drive import Engine, ProbeReply
from loadpath.experiment.attribution import Visit
from loadpath.experiment.wires import in_turn
from loadpath.recording.schema import REQUESTS, RequestError
from loadpath.recording.tables import numpy_type

VISITS = 5
"""Probes of an operation with the wires read, after the first, which pays for cold caches."""

PAUSE_S = 0.06
"""Quiet after each probe: work that the reply did not wait for has begun by then, mostly."""

TAIL_S = 0.4
"""Quiet after the last probe of an operation, for work that is done in batches."""

IDLE_S = 0.5
"""How long the service is watched while nobody asks it anything."""


class Visited(msgspec.Struct, frozen=True, kw_only=True):
    """Replies by operation, in the order asked, and when the quiet after the last was over.

    `idle` is the stretch before all of them in which nobody asked anything; `fewer` are the replies
    of those that asked for fewer rows. Monotonic seconds.
    """

    idle: tuple[float, float]
    replies: dict[str, tuple[ProbeReply, ...]]
    quiet_s: dict[str, float]
    fewer: dict[str, tuple[ProbeReply, ...]] = {}

    @property
    def began_s(self) -> float:
        """When the service was left alone."""
        return self.idle[0]

    @property
    def ended_s(self) -> float:
        """When the last tail was over."""
        return max(self.quiet_s.values(), default=self.idle[1])


async def first_visits(operations: Sequence[str], engine: Engine) -> dict[str, ProbeReply]:
    """The first reply of each, to a service that was just started."""
    return {name: (await engine.probe(name, 1))[0] for name in operations}


async def visits(
    operations: Mapping[str, Sequence[str]], engine: Engine, *, watched: bool = True
) -> Visited:
    """Leave the service alone for a moment, then visit each operation some times.

    `operations` maps each name to those that ask the same for fewer rows, if there are any. Not
    `watched`: nothing can cross a wire, so that no quiet is waited for.
    """
    waits = 1.0 if watched else 0.0
    idle_from_s = time.monotonic()
    await asyncio.sleep(waits * IDLE_S)
    idle = (idle_from_s, time.monotonic())
    replies: dict[str, tuple[ProbeReply, ...]] = {}
    fewer: dict[str, tuple[ProbeReply, ...]] = {}
    quiet_s: dict[str, float] = {}
    for name, smaller in operations.items():
        # First, so that the quiet after the last visit is that of one as the workload has it.
        fewer[name] = tuple(
            [
                reply
                for each in smaller
                for reply in await engine.probe(each, 1, pause_s=waits * PAUSE_S)
            ]
        )
        replies[name] = tuple(await engine.probe(name, VISITS, pause_s=waits * PAUSE_S))
        await asyncio.sleep(waits * TAIL_S)
        quiet_s[name] = time.monotonic()
    return Visited(idle=idle, replies=replies, fewer=fewer, quiet_s=quiet_s)


def visits_of(replies: Sequence[ProbeReply], until_s: float) -> list[Visit]:
    """Each reply as a visit that lasts until the next one begins, the last until `until_s`."""
    spans = [(reply.started_s, reply.started_s + reply.response_time_s) for reply in replies]
    return in_turn(spans, until_s)


def visit_rows(visited: Visited, segment: int) -> dict[str, npt.NDArray[Any]]:
    """The visits as rows of `schema.REQUESTS`, operations counted in the order asked."""
    told = [(n, reply) for n, of in enumerate(visited.replies.values()) for reply in of]
    count = len(told)
    began_s = np.array([reply.started_s for _, reply in told], "f8")
    failed = [RequestError.STATUS if reply.error else RequestError.NONE for _, reply in told]
    rows = {c.name: np.zeros(count, numpy_type(c.type)) for c in REQUESTS.columns}
    return {
        **rows,
        "segment": np.full(count, segment, "u2"),
        "operation": np.array([number for number, _ in told], "u2"),
        "flow": np.arange(count, dtype="u4"),
        "last": np.ones(count, bool),
        "intended_s": began_s,
        "sent_s": began_s,
        "first_byte_s": np.full(count, np.nan),
        "done_s": began_s + np.array([reply.response_time_s for _, reply in told], "f8"),
        "status": np.array([reply.status for _, reply in told], "u2"),
        "error": np.array(failed, "u1"),
    }
