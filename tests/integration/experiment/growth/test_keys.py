"""A real Valkey is looked at key by key: shapes, types, lengths, memory."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np

from loadpath.deploy import Guard
from loadpath.deploy.embedded import start_embedded
from loadpath.deploy.logs import Log
from loadpath.events import discard
from loadpath.experiment.growth.keys import look_at_keys
from loadpath.faults.redis_admin import ask
from loadpath.spec import Dependency
from loadpath.statements.caches import cache_findings
from loadpath.statements.record import CacheRecord


class Recorded:
    """A segment in which one set was read whole, twice."""

    def exchanges(self, index: int) -> dict[str, Any]:
        return {
            "tap": np.array(["cache", "cache"], dtype=object),
            "verb": np.array(["SMEMBERS", "SMEMBERS"], dtype=object),
            "shape": np.array([1, 1]),
            "pushed": np.array([False, False]),
            "ended": np.array([True, True]),
            "reply_bytes": np.array([9000, 11000]),
        }

    def shapes(self, index: int) -> dict[int, str]:
        return {1: "follows:*"}


async def looked() -> CacheRecord:
    async with Guard() as guard:
        folder = guard.make_folder()
        server = await start_embedded(
            Dependency(name="cache", kind="valkey", env={}),
            guard=guard,
            folder=folder,
            log=Log(folder / "log"),
            emit=discard,
        )
        members = tuple(f"user{n}" for n in range(1000))
        await ask(
            server.running,
            "cache",
            ("SADD", "follows:17", *members),
            ("SADD", "follows:18", "one"),
            *(("SET", f"link:{n}", "x" * 100) for n in range(50)),
            ("RPUSH", "recent", "a", "b"),
        )
        segment: Any = SimpleNamespace(index=0, started_s=0.0, ended_s=4.0)
        recorded: Any = Recorded()
        return await look_at_keys(server.running, "cache", recorded, segment, 0.5)


def test_keys_are_told_by_shape_with_what_they_take() -> None:
    found = asyncio.run(looked())
    assert found.keys == 53
    groups = {group.shape: group for group in found.groups}
    assert (groups["link:*"].seen, groups["link:*"].type) == (50, "string")
    assert groups["link:*"].bytes_mean > 100
    assert (groups["follows:*"].length_max, groups["follows:*"].length_mean) == (1000, 500.5)
    assert (groups["recent"].type, groups["recent"].length_max) == ("list", 2)
    (command,) = found.commands
    assert (command.calls_per_s, command.reply_bytes_max) == (1.0, 11000)
    assert [each.shape for each in cache_findings(found)] == ["follows:*"]
