"""What grows in a key-value store: collections that are read whole, large keys, memory a user."""

from __future__ import annotations

from typing import Final

import msgspec

from loadpath.statements.record import CacheRecord, CommandRecord, KeyGroup

WHOLE: Final = frozenset(
    ("SMEMBERS", "HGETALL", "HKEYS", "HVALS", "SORT", "SUNION", "SINTER", "SDIFF", "ZUNION")
)
"""Commands whose reply is a whole collection, whatever they are given."""

MAYBE_WHOLE: Final = frozenset(("LRANGE", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "XRANGE"))
"""Commands whose reply is as long as asked for: `0 -1` is a whole collection."""

EVERY_KEY: Final = frozenset(("KEYS",))

LENGTH_MIN: Final = 100
"""Members of the largest collection, below which reading it whole costs nothing."""

WHOLE_SHARE: Final = 0.1
"""A reply of this share of what its largest collection takes in memory is the collection."""

LARGE_BYTES: Final = 1_000_000


class CacheFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that grows: what was seen, and what would mend it."""

    shape: str
    said: str
    advice: str


def cache_findings(record: CacheRecord) -> list[CacheFinding]:
    """What is wrong, commands first."""
    groups = {group.shape: group for group in record.groups}
    found = []
    for command in record.commands:
        if command.verb in EVERY_KEY:
            found.append(
                CacheFinding(
                    shape=command.shape,
                    said=f"{command.verb} walks all {record.keys:,} keys, and holds up everybody",
                    advice="SCAN, or a set of the keys that are meant.",
                )
            )
        elif (group := groups.get(command.shape)) and _reads_whole(command, group):
            found.append(
                CacheFinding(
                    shape=command.shape,
                    said=f"{command.verb} reads a whole {group.type}: up to "
                    f"{group.length_max:,} members, {command.reply_bytes_max:,} bytes a reply, "
                    "and more with history",
                    advice="Read a page of it (ZRANGE … LIMIT, SSCAN, HMGET), or bound it (LTRIM).",
                )
            )
    found += [
        CacheFinding(
            shape=group.shape,
            said=f"a {group.type} of {group.bytes_max / 1e6:.1f} MB is one key",
            advice="Split it: one key is moved, deleted and expired as one.",
        )
        for group in record.groups
        if group.bytes_max >= LARGE_BYTES
    ]
    return found


def _reads_whole(command: CommandRecord, group: KeyGroup) -> bool:
    if group.length_max < LENGTH_MIN:
        return False
    if command.verb in WHOLE:
        return True
    large = command.reply_bytes_max >= WHOLE_SHARE * group.bytes_max
    return command.verb in MAYBE_WHOLE and large


def bytes_a_user(record: CacheRecord) -> float | None:
    """Memory for each user, where it is known how many there are."""
    return record.bytes / record.users if record.users else None
