"""Authors with any number of followers, made by SQL, and their followers' homes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
from glide import GlideClient, Script
from social.homes import ENTRIES_MAX, Homes, key_of
from social.seed import token_of
from social.testing import on_database
from social.tokens import digest_of

_AT_ONCE = 200
_KEYS_A_CALL = 1_000
_POLL_S = 0.002

# Followers `first` to `last` of an author of their own, by ids that nothing else has. Foreign keys
# are not looked at, for a million of them; everything else is as if they had come one by one.
_ACCOUNTS = """
INSERT INTO account (id, username)
SELECT $1::bigint + n, $2 || lpad(n::text, 7, '0') FROM generate_series(0, $3::bigint) AS n"""
_FOLLOWS = """
INSERT INTO follow (id, account_id, target_id, pulled)
SELECT $1::bigint + n, $1::bigint + n, $1, $3 FROM generate_series(1, $2::bigint) AS n"""
# Whom else they follow: seeded accounts, drawn by a hash.
_OTHERS = """
WITH seeded AS (SELECT array_agg(id ORDER BY id) AS ids FROM account WHERE username ~ '^u[0-9]{6}$')
INSERT INTO follow (id, account_id, target_id)
SELECT $1::bigint + 100 * n + k, $1::bigint + n,
       ids[1 + abs(hashint8(100 * n + k)::bigint) % cardinality(ids)]
FROM seeded, generate_series(1, $2::bigint) AS n, generate_series(1, $3) AS k
ON CONFLICT DO NOTHING"""
_TOKENS = """
INSERT INTO token (id, digest, app_id, account_id, scopes)
SELECT account, digest, (SELECT min(id) FROM app), account, 'follow read write'
FROM unnest($1::bigint[], $2::bytea[]) AS t (account, digest)"""
_HOMES = f"""
SELECT f.account_id, (array_agg(s.id ORDER BY s.id DESC))[:{ENTRIES_MAX}]
FROM follow AS f JOIN status AS s ON s.account_id = f.target_id AND s.visibility < 3
WHERE f.account_id = ANY($1::bigint[]) GROUP BY 1"""
_MISSING = """
for i, key in ipairs(KEYS) do
    if not redis.call('ZSCORE', key, ARGV[1]) then return i end
end
return 0
"""


class Followed(msgspec.Struct, frozen=True):
    """An author and the followers, in the order in which they came."""

    account: int
    token: str
    followers: range
    tokens: dict[int, str]
    """Of a few followers, the last among them."""


def followed(
    url: str, name: str, number: int, *, followers: int, others: int = 0, pulled: bool = False
) -> Followed:
    """An author with so many followers, each of whom follows `others` more. `number` tells authors
    apart; `pulled`: as accounts are that passed the threshold."""
    base = number << 40
    author = Followed(
        base,
        token_of(name, 0),
        range(base + 1, base + followers + 1),
        {base + n: token_of(name, n) for n in (1, followers // 2 or 1, followers)},
    )
    tokens = {author.account: author.token, **author.tokens}

    async def make(connection: object) -> None:
        run = connection.execute  # type: ignore[attr-defined]
        await run("SET session_replication_role = replica")
        # The flows take everybody to be called as seeded accounts are: a letter and digits.
        await run(_ACCOUNTS, base, f"u{number}", followers)
        await run("UPDATE account SET pulled = $2 WHERE id = $1", base, pulled)
        await run(_FOLLOWS, base, followers, pulled)
        if others:
            await run(_OTHERS, base, followers, others)
        await run(
            "INSERT INTO account_counter (account_id, slot, followers) VALUES ($1, 0, $2)",
            base,
            followers,
        )
        await run(_TOKENS, list(tokens), [digest_of(token) for token in tokens.values()])
        await run("ANALYZE account, follow")

    on_database(url, make)
    return author


async def make_homes(url: str, cache: GlideClient, accounts: Sequence[int]) -> None:
    """Put the homes of these accounts into Valkey, as reading each of them once would."""
    homes = Homes(cache)

    async def put(account: int, ids: Sequence[int]) -> None:
        mark = await homes.begin(account)
        if mark is not None:
            await homes.finish(account, mark, ids)

    rows = await asyncio.to_thread(on_database, url, lambda c: c.fetch(_HOMES, list(accounts)))
    held = {row[0]: row[1] for row in rows}
    for start in range(0, len(accounts), _AT_ONCE):
        part = accounts[start : start + _AT_ONCE]
        await asyncio.gather(*(put(account, held.get(account, [])) for account in part))


class Watch:
    """Waits until a status stands in every one of these homes, whichever comes last."""

    def __init__(self, cache: GlideClient, accounts: Sequence[int]) -> None:
        self._cache = cache
        # The last first: as long as one is missing nobody else need be looked for.
        self._keys = [key_of(account) for account in reversed(accounts)]
        self._missing = Script(_MISSING)  # type: ignore[no-untyped-call]

    async def wait(self, status: int, *, timeout_s: float) -> None:
        """Raises `TimeoutError`."""
        deadline_s = time.monotonic() + timeout_s
        member, done = f"{status:019d}", 0
        while done < len(self._keys):
            # One while it may be missing, then many.
            part = self._keys[done : done + (_KEYS_A_CALL if done else 1)]
            missing = int(await self._cache.invoke_script(self._missing, part, [member]))  # type: ignore[arg-type]
            done += missing - 1 if missing else len(part)
            if missing:
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f"{status} is not in all homes after {timeout_s} s")
                await asyncio.sleep(_POLL_S)
