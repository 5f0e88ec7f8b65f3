"""Links in the database: create, find, change, delete."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from shortener import problems
from shortener.code_sources import CodeSource
from shortener.codes import CODE_LENGTH
from shortener.passwords import KeptPassword
from shortener.tags import ENSURE_TAGS
from shortener.tally import TALLY_COUNTED

__all__ = [
    "LINK_COLUMNS",
    "LINK_TAGS",
    "Author",
    "LinkDraft",
    "LinkEdit",
    "crawlable_codes",
    "create_link",
    "delete_link",
    "delete_visits_of",
    "edit_link",
    "find_link",
    "links_by_id",
]

LINK_COLUMNS = """
l.id, l.domain, l.code, l.long_url, l.title, l.valid_since, l.valid_until, l.max_visits,
l.crawlable, l.forward_query, l.has_redirect_rules, l.created_at,
l.password_digest IS NOT NULL AS has_password"""
"""What the API shows of a link itself, from link AS l."""
LINK_TAGS = """ARRAY(
    SELECT tag.name FROM link_tag JOIN tag ON tag.id = link_tag.tag_id
    WHERE link_tag.link_id = {} ORDER BY tag.name)"""
"""The names of the tags of a link, to be formatted with its id."""
_COLUMNS = f"{LINK_COLUMNS}, c.total, c.bots, {LINK_TAGS.format('l.id')} AS tags"
_ATTEMPTS_AT_A_LENGTH = 5
_ATTEMPTS_MAX = 50
_TAGS_GONE_MAX = 3
_VISITS_A_STATEMENT = 20_000


class LinkDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A link that somebody wants, already checked.

    `slug` None: a random code of `code_length`; `domain` "" is the default one.
    """

    long_url: str
    slug: str | None = None
    domain: str = ""
    code_length: int = CODE_LENGTH
    title: str | None = None
    tags: tuple[str, ...] = ()
    valid_since: datetime | None = None
    valid_until: datetime | None = None
    max_visits: int | None = None
    crawlable: bool = False
    forward_query: bool = True
    find_if_exists: bool = False
    password: str | None = None


LinkColumn = Literal[
    "long_url",
    "title",
    "valid_since",
    "valid_until",
    "max_visits",
    "crawlable",
    "forward_query",
    "password_digest",
]


class LinkEdit(msgspec.Struct, frozen=True):
    """What is to change in a link, already checked; `tags` None leaves them, and so does `password`
    UNSET, while None takes it away.
    """

    columns: dict[LinkColumn, Any]
    tags: tuple[str, ...] | None = None
    password: str | msgspec.UnsetType | None = msgspec.UNSET


class Author(msgspec.Struct, frozen=True):
    """Who asks, and the key under which a repeated request is known again."""

    api_key_id: int
    idempotency_key: str | None = None

    @property
    def idempotency(self) -> str | None:
        """The key, with whose it is: callers do not get in each other's way."""
        return self.idempotency_key and f"{self.api_key_id} {self.idempotency_key}"


_ENSURE_DOMAIN = """
INSERT INTO domain (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM domain WHERE name = $1)
ON CONFLICT (name) DO NOTHING"""

_INSERT = f"""
WITH made AS (
    INSERT INTO link (
        code, long_url, title, valid_since, valid_until, max_visits, crawlable,
        forward_query, api_key_id, idempotency_digest, request_digest, domain, password_digest
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14)
    ON CONFLICT DO NOTHING
    RETURNING *
), named AS (
    SELECT id FROM tag WHERE name = ANY ($13)
), tagged AS (
    INSERT INTO link_tag (link_id, tag_id) SELECT made.id, named.id FROM made, named
), counter AS (
    INSERT INTO link_counter (link_id, scopes)
    SELECT made.id, (SELECT id FROM domain WHERE name = $12)
        || ARRAY(SELECT id FROM named ORDER BY id)
    FROM made
)
SELECT {LINK_COLUMNS}, 0 AS total, 0 AS bots, $13::text[] AS tags, true AS fresh
FROM made AS l"""

_LINK = f"SELECT {_COLUMNS} FROM link AS l JOIN link_counter AS c ON c.link_id = l.id"
_BY_CODE = f"{_LINK} WHERE l.code = $1 AND l.domain = $2"
_BY_IDEMPOTENCY = f"""
SELECT {_COLUMNS}, l.request_digest
FROM link AS l JOIN link_counter AS c ON c.link_id = l.id WHERE l.idempotency_digest = $1"""

_MATCHING = f"""{_LINK}
WHERE l.long_url = $1 AND l.domain = $7
  AND ($2::text IS NULL OR l.code = $2)
  AND (cardinality($3::text[]) = 0 OR $3 = ARRAY(
      SELECT tag.name FROM link_tag JOIN tag ON tag.id = link_tag.tag_id
      WHERE link_tag.link_id = l.id ORDER BY tag.name))
  AND ($4::timestamptz IS NULL OR l.valid_since = $4)
  AND ($5::timestamptz IS NULL OR l.valid_until = $5)
  AND ($6::integer IS NULL OR l.max_visits = $6)
  AND l.password_digest IS NULL
ORDER BY l.created_at DESC, l.id DESC LIMIT 1"""


async def find_link(database: Database, code: str, domain: str = "") -> Any:
    """The row of a link with its counts. Raises the problem of an unknown code."""
    row = await database.fetchrow(_BY_CODE, code, domain) if code.isprintable() else None
    if row is None:
        raise problems.link_not_found(code, domain)
    return row


async def links_by_id(database: Database, ids: list[int]) -> list[Any]:
    """The rows of these links with their counts, of those that are there, in no order."""
    rows: list[Any] = (
        await database.fetch(f"{_LINK} WHERE l.id = ANY ($1::bigint[])", ids) if ids else []
    )
    return rows


async def crawlable_codes(database: Database, limit: int) -> list[str]:
    """The codes that robots.txt may allow, the newest first; protected links are not among them."""
    rows = await database.fetch(
        """SELECT code FROM link WHERE crawlable AND password_digest IS NULL
           ORDER BY id DESC LIMIT $1""",
        limit,
    )
    return [row["code"] for row in rows]


@tried_again
async def create_link(
    database: Database,
    codes: CodeSource,
    draft: LinkDraft,
    author: Author,
    password: KeptPassword | None = None,
) -> Any:
    """Make the link, or return the one that an earlier, equal request made. Only the row of a link
    that this call made has a member `fresh`.

    Raises the problem of a slug that is taken, or of an Idempotency-Key used for something else.
    """
    for attempt in range(1, _TAGS_GONE_MAX + 1):
        try:
            return await _create(database, codes, draft, author, password)
        except asyncpg.ForeignKeyViolationError:
            # A tag was deleted between our looking for it and its use; it is made anew.
            if attempt == _TAGS_GONE_MAX:
                raise
    raise AssertionError("the loop returns or raises")


async def _create(
    database: Database,
    codes: CodeSource,
    draft: LinkDraft,
    author: Author,
    password: KeptPassword | None,
) -> Any:
    # Whoever wants a link with a password wants no other one's.
    if not draft.find_if_exists or password is not None:
        async with database.connection() as connection:
            return await _insert(connection, codes, draft, author, password)
    async with transaction(database) as connection:
        # Two equal requests at the same time: the second waits here, then finds the first's link.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", draft.long_url
        )
        row = await connection.fetchrow(
            _MATCHING,
            draft.long_url,
            draft.slug,
            sorted(draft.tags),
            draft.valid_since,
            draft.valid_until,
            draft.max_visits,
            draft.domain,
        )
        return row if row is not None else await _insert(connection, codes, draft, author, None)


async def _insert(
    connection: Any,
    codes: CodeSource,
    draft: LinkDraft,
    author: Author,
    password: KeptPassword | None,
) -> Any:
    idempotency, request = _digests(draft, author, password)
    if draft.domain:
        await connection.execute(_ENSURE_DOMAIN, draft.domain)
    if draft.tags:
        await connection.execute(ENSURE_TAGS, list(draft.tags))
    for attempt in range(_ATTEMPTS_MAX):
        # Codes of a length may be used up some day; the next length has 62 times as many.
        length = draft.code_length + attempt // _ATTEMPTS_AT_A_LENGTH
        row = await connection.fetchrow(
            _INSERT,
            draft.slug or await codes.propose(connection, draft.long_url, length, attempt),
            draft.long_url,
            draft.title,
            draft.valid_since,
            draft.valid_until,
            draft.max_visits,
            draft.crawlable,
            draft.forward_query,
            author.api_key_id,
            idempotency,
            request,
            draft.domain,
            sorted(draft.tags),
            password and password.digest,
        )
        if row is not None:
            return row
        if idempotency is not None:
            earlier = await connection.fetchrow(_BY_IDEMPOTENCY, idempotency)
            if earlier is not None:
                if earlier["request_digest"] != request:
                    raise problems.key_reused()
                return earlier
        if draft.slug is not None:
            raise problems.slug_taken(draft.slug, draft.domain)
    raise RuntimeError(f"no free code after {_ATTEMPTS_MAX} attempts")


def _digests(
    draft: LinkDraft, author: Author, password: KeptPassword | None
) -> tuple[bytes | None, bytes | None]:
    if author.idempotency is None:
        return None, None
    key = author.idempotency.encode()
    # A plain digest of the password itself would undo what scrypt is for.
    draft = msgspec.structs.replace(draft, password=password and password.fingerprint)
    return hashlib.sha256(key).digest(), hashlib.sha256(msgspec.json.encode(draft)).digest()


# The link first, then its counter, in the order of whoever stores a visit.
_LOCK = "SELECT id FROM link WHERE code = $1 AND domain = $2 FOR NO KEY UPDATE"

_SET_TAGS = """
WITH named AS (
    SELECT id FROM tag WHERE name = ANY ($2)
), removed AS (
    DELETE FROM link_tag WHERE link_id = $1 AND tag_id NOT IN (SELECT id FROM named)
), added AS (
    INSERT INTO link_tag (link_id, tag_id) SELECT $1, id FROM named ON CONFLICT DO NOTHING
)
UPDATE link_counter
SET scopes = (SELECT domain.id FROM domain JOIN link ON link.domain = domain.name
              WHERE link.id = $1) || ARRAY(SELECT id FROM named ORDER BY id)
WHERE link_id = $1"""


@tried_again
async def edit_link(database: Database, code: str, domain: str, edit: LinkEdit) -> Any:
    """Change a link and return its row. Raises the problem of an unknown code."""
    assignments = [f"{column} = ${n}" for n, column in enumerate(edit.columns, start=3)]
    update = (
        f"UPDATE link SET {', '.join(assignments)} WHERE code = $1 AND domain = $2"
        if assignments
        else None
    )
    if not code.isprintable():
        raise problems.link_not_found(code, domain)
    if edit.tags is None:
        if update is not None:
            async with database.connection() as connection:
                await connection.execute(update, code, domain, *edit.columns.values())
        return await find_link(database, code, domain)
    if edit.tags:
        async with database.connection() as connection:
            await connection.execute(ENSURE_TAGS, list(edit.tags))
    async with transaction(database) as connection:
        link_id = await connection.fetchval(_LOCK, code, domain)
        if link_id is None:
            raise problems.link_not_found(code, domain)
        if update is not None:
            await connection.execute(update, code, domain, *edit.columns.values())
        await connection.execute(_SET_TAGS, link_id, list(edit.tags))
        return await connection.fetchrow(_BY_CODE, code, domain)


_DELETE_VISITS = f"""
WITH alive AS MATERIALIZED (
    SELECT id FROM link WHERE id = $1 FOR KEY SHARE
), gone AS (
    DELETE FROM visit WHERE id IN (
        SELECT visit.id FROM visit JOIN alive ON alive.id = visit.link_id
        WHERE link_id = $1 AND visit.id <= $2 ORDER BY visit.id LIMIT $3)
    RETURNING bot
), number AS (
    SELECT -count(*) AS total, -count(*) FILTER (WHERE bot) AS bots FROM gone
), counted AS (
    UPDATE link_counter AS c SET total = c.total + number.total, bots = c.bots + number.bots
    FROM number WHERE c.link_id = $1 AND number.total < 0
    RETURNING c.scopes, number.total, number.bots
), tallied AS ({TALLY_COUNTED})
SELECT -total FROM number"""


@tried_again
async def delete_visits_of(database: Database, link_id: int) -> int:
    """Delete the visits a link has now, and the counts with them; returns how many.

    In statements of 20,000: one for ten million would hold the counter, and with it every click
    on the link, until it ends.
    """
    last = await database.fetchval("SELECT max(id) FROM visit WHERE link_id = $1", link_id)
    deleted = 0
    while last is not None:
        gone: int = await database.fetchval(_DELETE_VISITS, link_id, last, _VISITS_A_STATEMENT)
        deleted += gone
        if gone < _VISITS_A_STATEMENT:
            break
    return deleted


@tried_again
async def delete_link(
    database: Database, code: str, domain: str, *, visits_max: int | None
) -> None:
    """Delete a link and its visits.

    Raises the problem of an unknown code, or of a link with more than `visits_max` visits.
    """
    link = await find_link(database, code, domain)
    if visits_max is not None and link["total"] > visits_max:
        raise problems.too_visited(code, domain, visits_max)
    # What a single statement cannot delete in its time goes before; the rest goes with the link.
    if link["total"] > _VISITS_A_STATEMENT:
        await delete_visits_of(database, link["id"])
    async with database.connection() as connection:
        await connection.execute("DELETE FROM link WHERE id = $1", link["id"])
