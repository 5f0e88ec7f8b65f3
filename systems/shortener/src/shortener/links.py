"""Links in the database: create, find, list."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
from systems_common.database import Database, transaction

from shortener import problems
from shortener.codes import CODE_LENGTH, random_code

__all__ = ["Author", "LinkDraft", "LinkFilter", "Order", "create_link", "find_link", "list_links"]

_COLUMNS = """
l.id, l.code, l.long_url, l.title, l.tags, l.valid_since, l.valid_until, l.max_visits,
l.crawlable, l.forward_query, l.created_at"""
_COUNTS = "c.total, c.bots"
_ATTEMPTS_AT_A_LENGTH = 5
_ATTEMPTS_MAX = 50

Order = Literal[
    "dateCreated-ASC",
    "dateCreated-DESC",
    "longUrl-ASC",
    "longUrl-DESC",
    "nonBotVisits-ASC",
    "nonBotVisits-DESC",
    "shortCode-ASC",
    "shortCode-DESC",
    "title-ASC",
    "title-DESC",
    "visits-ASC",
    "visits-DESC",
]
_ORDER_COLUMNS = {
    "dateCreated": "l.created_at",
    "longUrl": "l.long_url",
    "nonBotVisits": "(c.total - c.bots)",
    "shortCode": "l.code",
    "title": "l.title",
    "visits": "c.total",
}
_ORDERS = {
    order: (_ORDER_COLUMNS[order.partition("-")[0]], order.partition("-")[2])
    for order in get_args(Order)
}


class LinkDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A link that somebody wants, already checked. `slug` None: a random code of `code_length`."""

    long_url: str
    slug: str | None = None
    code_length: int = CODE_LENGTH
    title: str | None = None
    tags: tuple[str, ...] = ()
    valid_since: datetime | None = None
    valid_until: datetime | None = None
    max_visits: int | None = None
    crawlable: bool = False
    forward_query: bool = True
    find_if_exists: bool = False


class Author(msgspec.Struct, frozen=True):
    """Who asks, and the key under which a repeated request is known again."""

    api_key_id: int
    idempotency_key: str | None = None


class LinkFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which links to list; `tags` any of them unless `all_tags`."""

    search: str | None = None
    tags: tuple[str, ...] = ()
    all_tags: bool = False
    since: datetime | None = None
    until: datetime | None = None
    order: Order = "dateCreated-DESC"


_INSERT = f"""
WITH made AS (
    INSERT INTO link (
        code, long_url, title, tags, valid_since, valid_until, max_visits, crawlable,
        forward_query, api_key_id, idempotency_digest, request_digest
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT DO NOTHING
    RETURNING *
), counter AS (
    INSERT INTO link_counter (link_id) SELECT id FROM made
)
SELECT {_COLUMNS}, 0 AS total, 0 AS bots FROM made AS l"""

_BY_CODE = f"""
SELECT {_COLUMNS}, {_COUNTS} FROM link AS l JOIN link_counter AS c ON c.link_id = l.id
WHERE l.code = $1 AND l.domain = ''"""

_BY_IDEMPOTENCY = f"""
SELECT {_COLUMNS}, {_COUNTS}, l.request_digest
FROM link AS l JOIN link_counter AS c ON c.link_id = l.id WHERE l.idempotency_digest = $1"""

_MATCHING = f"""
SELECT {_COLUMNS}, {_COUNTS} FROM link AS l JOIN link_counter AS c ON c.link_id = l.id
WHERE l.long_url = $1 AND l.domain = ''
  AND ($2::text IS NULL OR l.code = $2)
  AND (cardinality($3::text[]) = 0 OR (l.tags @> $3 AND l.tags <@ $3))
  AND ($4::timestamptz IS NULL OR l.valid_since = $4)
  AND ($5::timestamptz IS NULL OR l.valid_until = $5)
  AND ($6::integer IS NULL OR l.max_visits = $6)
ORDER BY l.created_at DESC, l.id DESC LIMIT 1"""


async def find_link(database: Database, code: str) -> Any:
    """The row of a link with its counts. Raises the problem of an unknown code."""
    row = await database.fetchrow(_BY_CODE, code) if code.isprintable() else None
    if row is None:
        raise problems.link_not_found(code)
    return row


async def create_link(database: Database, draft: LinkDraft, author: Author) -> Any:
    """Make the link, or return the one that an earlier, equal request made.

    Raises the problem of a slug that is taken, or of an Idempotency-Key used for something else.
    """
    if not draft.find_if_exists:
        async with database.connection() as connection:
            return await _insert(connection, draft, author)
    async with transaction(database) as connection:
        # Two equal requests at the same time: the second waits here, then finds the first's link.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", draft.long_url
        )
        row = await connection.fetchrow(
            _MATCHING,
            draft.long_url,
            draft.slug,
            list(draft.tags),
            draft.valid_since,
            draft.valid_until,
            draft.max_visits,
        )
        return row if row is not None else await _insert(connection, draft, author)


async def _insert(connection: Any, draft: LinkDraft, author: Author) -> Any:
    idempotency, request = _digests(draft, author)
    for attempt in range(_ATTEMPTS_MAX):
        # Codes of a length may be used up some day; the next length has 62 times as many.
        length = draft.code_length + attempt // _ATTEMPTS_AT_A_LENGTH
        row = await connection.fetchrow(
            _INSERT,
            draft.slug or random_code(length),
            draft.long_url,
            draft.title,
            list(draft.tags),
            draft.valid_since,
            draft.valid_until,
            draft.max_visits,
            draft.crawlable,
            draft.forward_query,
            author.api_key_id,
            idempotency,
            request,
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
            raise problems.slug_taken(draft.slug)
    raise RuntimeError(f"no free code after {_ATTEMPTS_MAX} attempts")


def _digests(draft: LinkDraft, author: Author) -> tuple[bytes | None, bytes | None]:
    if author.idempotency_key is None:
        return None, None
    key = f"{author.api_key_id} {author.idempotency_key}".encode()
    return hashlib.sha256(key).digest(), hashlib.sha256(msgspec.json.encode(draft)).digest()


async def list_links(
    database: Database, wanted: LinkFilter, *, offset: int, limit: int
) -> tuple[list[Any], int]:
    """A page of links and how many fit in all."""
    conditions, arguments = _conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    column, direction = _ORDERS[wanted.order]
    nulls = "NULLS LAST" if column == "l.title" else ""
    rows = await database.fetch(
        f"""SELECT n.of_all, page.* FROM (SELECT count(*) AS of_all FROM link AS l {where}) AS n
            LEFT JOIN LATERAL (
                SELECT {_COLUMNS}, {_COUNTS}
                FROM link AS l JOIN link_counter AS c ON c.link_id = l.id {where}
                ORDER BY {column} {direction} {nulls}, l.id {direction}
                LIMIT {int(limit)} OFFSET {int(offset)}
            ) AS page ON true""",
        *arguments,
    )
    return [row for row in rows if row["id"] is not None], rows[0]["of_all"]


def _conditions(wanted: LinkFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    arguments: list[Any] = []

    def add(condition: str, argument: Any) -> None:
        arguments.append(argument)
        conditions.append(condition.format(f"${len(arguments)}"))

    if wanted.search:
        pattern = re.sub(r"([\\%_])", r"\\\1", wanted.search)
        add("concat_ws(' ', l.code, l.long_url, l.title) ILIKE {}", f"%{pattern}%")
    if wanted.tags:
        add("l.tags @> {}" if wanted.all_tags else "l.tags && {}", list(wanted.tags))
    if wanted.since is not None:
        add("l.created_at >= {}", wanted.since)
    if wanted.until is not None:
        add("l.created_at <= {}", wanted.until)
    return conditions, arguments
