"""What grows in a key-value store: collections read whole, large keys; small ones are innocent."""

from __future__ import annotations

import pytest

from loadpath.statements.caches import bytes_a_user, cache_findings
from loadpath.statements.record import CacheRecord, CommandRecord, KeyGroup


def record(
    verb: str,
    *,
    length: int,
    kind: str = "set",
    size: int = 40_000,
    reply: int = 20_000,
    users: int = 0,
) -> CacheRecord:
    group = KeyGroup(
        shape="feed:*",
        type=kind,
        seen=10,
        bytes_mean=size / 2,
        bytes_max=size,
        length_mean=length / 2,
        length_max=length,
    )
    command = CommandRecord(
        verb=verb, shape="feed:*", calls_per_s=1.0, reply_bytes_mean=reply, reply_bytes_max=reply
    )
    return CacheRecord(
        dependency="cache",
        version="9",
        keys=100,
        bytes=50_000,
        users=users,
        groups=(group,),
        commands=(command,),
    )


@pytest.mark.parametrize("verb", ["SMEMBERS", "HGETALL", "LRANGE", "ZRANGE"])
def test_a_large_collection_read_whole_is_said(verb: str) -> None:
    (found,) = cache_findings(record(verb, length=3000))
    assert "3,000 members" in found.said


@pytest.mark.parametrize(
    ("verb", "length", "reply"),
    [("SMEMBERS", 12, 300), ("LRANGE", 3000, 500), ("SISMEMBER", 3000, 4), ("GET", 0, 20_000)],
)
def test_a_small_one_a_page_of_one_and_a_look_into_one_are_innocent(
    verb: str, length: int, reply: int
) -> None:
    assert cache_findings(record(verb, length=length, reply=reply)) == []


def test_keys_walks_them_all() -> None:
    (found,) = cache_findings(record("KEYS", length=1))
    assert "100 keys" in found.said


def test_a_key_of_megabytes_is_large() -> None:
    (found,) = cache_findings(record("GET", length=0, kind="string", size=3_000_000))
    assert "3.0 MB" in found.said


def test_memory_a_user_is_known_where_users_are() -> None:
    assert bytes_a_user(record("GET", length=0, users=200)) == 250
    assert bytes_a_user(record("GET", length=0)) is None
