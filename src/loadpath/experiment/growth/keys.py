"""What lies in a Valkey or Redis after a load: a sample of its keys, and its commands' replies."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from loadpath.deploy import RunningDependency
from loadpath.errors import LoadpathError
from loadpath.faults.redis_admin import ask, fields
from loadpath.recording import Recording, SegmentRecord
from loadpath.statements.record import CacheRecord, CommandRecord, KeyGroup
from loadpath.tap.readers import READERS

KEYS_MAX: Final = 4000
"""Keys that are looked at; of more, the first that SCAN gives, whose order is by hash."""

_BATCH: Final = 500
_LENGTHS: Final = {
    "set": "SCARD",
    "hash": "HLEN",
    "list": "LLEN",
    "zset": "ZCARD",
    "stream": "XLEN",
}


async def look_at_keys(
    running: RunningDependency,
    name: str,
    recording: Recording,
    segment: SegmentRecord,
    scale: float,
) -> CacheRecord:
    """A sample of the keys there are now, and the commands of a segment that was driven at `scale`
    times the workload's own load."""
    commands = tuple(_commands(recording, segment, name, scale))
    try:
        memory, count = await ask(running, name, ("INFO", "memory"), ("DBSIZE",))
        keys = await _scan(running, name)
        groups = await _groups(running, name, keys)
    except LoadpathError as error:
        return CacheRecord(dependency=name, version=running.version, problem=error.message)
    return CacheRecord(
        dependency=name,
        version=running.version,
        keys=int(count),
        bytes=int(fields(memory).get("used_memory_dataset", "0")),
        groups=tuple(groups),
        commands=commands,
    )


async def _scan(running: RunningDependency, name: str) -> list[str]:
    found: list[str] = []
    cursor = "0"
    while len(found) < KEYS_MAX:
        (reply,) = await ask(running, name, ("SCAN", cursor, "COUNT", "1000"))
        cursor, *more = reply.split("\n")
        found += [key for key in more if key]
        if cursor == "0":
            break
    return found[:KEYS_MAX]


async def _groups(running: RunningDependency, name: str, keys: Sequence[str]) -> list[KeyGroup]:
    shaping = READERS["valkey"].shaping()
    shapes = [shaping.add(key) for key in keys]
    types = await _each(running, name, (("TYPE", key) for key in keys))
    used = await _each(running, name, (("MEMORY", "USAGE", key) for key in keys))
    lengths = await _each(
        running,
        name,
        (
            (_LENGTHS[kind], key) if kind in _LENGTHS else ("EXISTS", key)
            for kind, key in zip(types, keys, strict=True)
        ),
    )
    rows: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for shape, kind, size, length in zip(shapes, types, used, lengths, strict=True):
        # One that expired meanwhile has neither.
        if size.isdigit():
            members = int(length) if kind in _LENGTHS and length.isdigit() else 0
            rows.setdefault((shaping.settle(shape), kind), []).append((int(size), members))
    return [
        KeyGroup(
            shape=shape,
            type=kind,
            seen=len(own),
            bytes_mean=sum(size for size, _ in own) / len(own),
            bytes_max=max(size for size, _ in own),
            length_mean=sum(length for _, length in own) / len(own),
            length_max=max(length for _, length in own),
        )
        for (shape, kind), own in sorted(rows.items(), key=lambda item: -len(item[1]))
    ]


async def _each(
    running: RunningDependency, name: str, commands: Iterable[tuple[str, ...]]
) -> list[str]:
    replies: list[str] = []
    for batch in _batched(commands):
        replies += await ask(running, name, *batch)
    return replies


def _batched(commands: Iterable[tuple[str, ...]]) -> Iterable[list[tuple[str, ...]]]:
    left = iter(commands)
    while batch := list(itertools.islice(left, _BATCH)):
        yield batch


def _commands(
    recording: Recording, segment: SegmentRecord, name: str, scale: float
) -> Iterable[CommandRecord]:
    rows: dict[str, Any] = recording.exchanges(segment.index)
    shapes = recording.shapes(segment.index)
    own = (rows["tap"] == name) & ~rows["pushed"] & rows["ended"]
    lasted_s = max(segment.ended_s - segment.started_s, 1e-9)
    kinds = sorted(set(zip(rows["verb"][own].tolist(), rows["shape"][own].tolist(), strict=True)))
    for verb, shape in kinds:
        chosen = own & (rows["verb"] == verb) & (rows["shape"] == shape)
        replies = rows["reply_bytes"][chosen]
        yield CommandRecord(
            verb=str(verb),
            shape=shapes.get(shape, ""),
            calls_per_s=float(np.count_nonzero(chosen)) / lasted_s / scale,
            reply_bytes_mean=float(replies.mean()),
            reply_bytes_max=int(replies.max()),
        )
