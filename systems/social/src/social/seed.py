"""Made-up accounts, follows and statuses, the same ones every time, loaded by COPY."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator
from typing import Any

from systems_common.ids import IdGenerator

from social.counting import recount
from social.tokens import digest_of

__all__ = ["SeedError", "account_name", "seed", "token_of"]

_SEED = 20_240_601
_BASE_S = 1_748_736_000.0  # 2025-06-01
_SPAN_S = 60 * 86_400
_ZIPF = 1.2
_APP_ID = 1
_WORDS = [
    "again",
    "always",
    "answer",
    "autumn",
    "before",
    "better",
    "bridge",
    "bright",
    "building",
    "careful",
    "coffee",
    "corner",
    "evening",
    "every",
    "garden",
    "harbor",
    "history",
    "journey",
    "kitchen",
    "language",
    "letter",
    "library",
    "market",
    "measure",
    "morning",
    "mountain",
    "music",
    "number",
    "paper",
    "people",
    "perhaps",
    "picture",
    "quiet",
    "rain",
    "river",
    "road",
    "season",
    "silver",
    "simple",
    "slow",
    "small",
    "spring",
    "station",
    "stone",
    "story",
    "street",
    "summer",
    "system",
    "together",
    "train",
    "travel",
    "tree",
    "under",
    "weather",
    "window",
    "winter",
    "wonder",
    "write",
    "yellow",
]
_TAGS = ("books", "cats", "cycling", "food", "maps", "music", "photography", "python")


class SeedError(Exception):
    """The database is not empty."""


def account_name(number: int) -> str:
    """What the account of that number is called; number 0 is the one that everybody follows."""
    return f"u{number:06d}"


def token_of(prefix: str, number: int) -> str:
    """The token of the account of that number."""
    return f"{prefix}-{number:06d}"


async def seed(
    connection: Any,
    *,
    accounts: int,
    follows: int,
    statuses: int,
    threshold: int,
    token_prefix: str = "",
) -> None:
    """Fill an empty database. `follows`: how many accounts each follows, about.

    Whom somebody follows is drawn by Zipf's law; all follow account 0. Accounts with more than
    `threshold` followers are pulled. With a prefix every account has a token, which is no secret.
    Raises `SeedError`.
    """
    if await connection.fetchval("SELECT EXISTS (SELECT FROM account)"):
        raise SeedError("the database holds accounts already; seed an empty one")
    chance = random.Random(_SEED)
    ids = _clocked(accounts)
    account_ids = [ids.next() for _ in range(accounts)]
    async with connection.transaction():
        await connection.copy_records_to_table(
            "account",
            columns=("id", "username", "display_name", "note"),
            records=(
                (identifier, account_name(number), f"User {number}", "Made up for measuring.")
                for number, identifier in enumerate(account_ids)
            ),
        )
        await connection.copy_records_to_table(
            "follow",
            columns=("id", "account_id", "target_id"),
            records=list(_follows(chance, account_ids, follows)),
        )
        rows = list(_statuses(chance, account_ids, statuses))
        await connection.copy_records_to_table(
            "status",
            columns=("id", "account_id", "visibility", "text", "language", "tags"),
            records=rows,
        )
        await connection.copy_records_to_table(
            "status_tag",
            columns=("name", "status_id"),
            records=[(tag, row[0]) for row in rows for tag in row[5]],
        )
        await connection.execute(
            """UPDATE account SET pulled = true WHERE id IN (
                   SELECT target_id FROM follow GROUP BY target_id HAVING count(*) > $1)""",
            threshold,
        )
        await connection.execute(
            """UPDATE follow SET pulled = true
               WHERE target_id IN (SELECT id FROM account WHERE pulled)"""
        )
        await connection.execute(
            """INSERT INTO app (id, name, redirect_uris, scopes, client_id, secret_digest)
               VALUES ($1, 'Seed', '{}', 'read write follow', 'seed', '')""",
            _APP_ID,
        )
        if token_prefix:
            await connection.copy_records_to_table(
                "token",
                columns=("id", "digest", "app_id", "account_id", "scopes"),
                records=[
                    (
                        number + 1,
                        digest_of(token_of(token_prefix, number)),
                        _APP_ID,
                        identifier,
                        "follow read write",
                    )
                    for number, identifier in enumerate(account_ids)
                ],
            )
    # Before the recount, which reads it all by these statistics.
    await connection.execute("VACUUM (ANALYZE)")
    await recount(connection)
    await connection.execute("VACUUM (ANALYZE) account_counter, status_counter")


def _clocked(count: int, begins_s: float = _BASE_S - _SPAN_S, span_s: float = _SPAN_S) -> Any:
    moments = itertools.count()
    return IdGenerator(0, clock_s=lambda: begins_s + span_s * next(moments) / max(count, 1))


def _follows(
    chance: random.Random, accounts: list[int], each: int
) -> Iterator[tuple[int, int, int]]:
    count = len(accounts)
    ids = _clocked(count * (each + 1), _BASE_S)
    weights = list(itertools.accumulate((rank + 1) ** -_ZIPF for rank in range(count)))
    for number, account in enumerate(accounts):
        chosen = {0}
        for _ in range(each):
            chosen.add(bisect.bisect_left(weights, chance.random() * weights[-1]))
        for target in sorted(chosen - {number}):
            yield ids.next(), account, accounts[target]


def _statuses(
    chance: random.Random, accounts: list[int], count: int
) -> Iterator[tuple[int, int, int, str, str, list[str]]]:
    ids = _clocked(count, _BASE_S)
    for _ in range(count):
        words = [
            _WORDS[int(chance.random() * len(_WORDS))] for _ in range(8 + int(chance.random() * 20))
        ]
        tags = [_TAGS[int(chance.random() * len(_TAGS))]] if chance.random() < 0.2 else []
        text = " ".join([*words, *(f"#{tag}" for tag in tags)]).capitalize()
        visibility = 0 if chance.random() < 0.9 else 1 + int(chance.random() * 2)
        author = accounts[int(chance.random() * len(accounts))]
        yield ids.next(), author, visibility, text, "en", tags if visibility < 2 else []
