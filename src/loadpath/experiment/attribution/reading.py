"""Crossings from the tables that the taps wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from loadpath.experiment.attribution.crossings import Crossing

Columns = Mapping[str, npt.NDArray[Any]]

_LEFT_OUT = {
    "postgres": frozenset(("startup", "cancel", "prepare")),
    "valkey": frozenset(("HELLO", "AUTH", "CLIENT", "SELECT", "COMMAND", "PING")),
    "nats": frozenset(("CONNECT", "INFO", "PING", "PONG", "SUB", "UNSUB")),
}
"""What a client does for itself: to open a connection, to keep it, to prepare what it will ask."""

_VALKEY_READ_NAMES = """
GET MGET GETRANGE STRLEN EXISTS TTL PTTL TYPE HGET HMGET HGETALL HLEN HKEYS HVALS HEXISTS
LRANGE LLEN LINDEX SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SINTER SUNION SDIFF
ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZSCORE ZMSCORE ZRANK ZREVRANK ZCARD ZCOUNT
XRANGE XREVRANGE XLEN BITCOUNT GETBIT PFCOUNT GEOSEARCH SCAN HSCAN SSCAN ZSCAN
"""
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b")
_VALKEY_READS = frozenset(_VALKEY_READ_NAMES.split())


def crossings(
    exchanges: Columns, shapes: Mapping[int, str], kinds: Mapping[str, str]
) -> list[Crossing]:
    """What crossed the wires to the dependencies of `kinds`, in the order it began.

    `exchanges` and `shapes` as a recording has them. What clients do for themselves is left out,
    and so are exchanges that never came to their end.
    """
    names = (
        "tap", "connection", "verb", "shape", "parameters", "began_s", "ended_s", "rows", "error",
        "transaction", "pushed", "ended",
    )  # fmt: skip
    rows = zip(*(exchanges[name].tolist() for name in names), strict=True)
    found = [
        Crossing(
            dependency=tap,
            kind=kinds[tap],
            connection=connection,
            verb=verb,
            shape=shapes.get(shape, ""),
            reads=reads(kinds[tap], verb, shapes.get(shape, "")),
            parameters=parameters,
            began_s=began_s,
            ended_s=ended_s,
            rows=None if row_count != row_count else round(row_count),  # noqa: PLR0124  nan
            error=error or None,
            transaction=transaction,
            pushed=pushed,
        )
        for (
            tap, connection, verb, shape, parameters, began_s, ended_s, row_count, error,
            transaction, pushed, ended,
        ) in rows
        if ended and tap in kinds and verb not in _LEFT_OUT.get(kinds[tap], ())
    ]  # fmt: skip
    return sorted(found, key=lambda each: each.began_s)


def reads(kind: str, verb: str, shape: str) -> bool:
    """Whether such a call only asks."""
    if kind == "postgres":
        text = shape.upper()
        if text.startswith("WITH"):
            return _WRITES.search(text) is None
        return text.startswith(("SELECT", "VALUES", "TABLE", "SHOW")) and " FOR UPDATE" not in text
    if kind == "http":
        return verb in {"GET", "HEAD"}
    return kind == "valkey" and verb in _VALKEY_READS
