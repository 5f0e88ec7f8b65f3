"""Tags: their names, how many links and visits each has, renaming and deleting."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, get_args

import asyncpg
from systems_common.contention import tried_again
from systems_common.database import Database

from shortener import problems

__all__ = [
    "ENSURE_TAGS",
    "TagOrder",
    "delete_tags",
    "find_tag",
    "list_tags",
    "rename_tag",
    "tag_ids",
    "tag_stats",
]

# Looks before it inserts, because an insert that conflicts uses up an id.
ENSURE_TAGS = """
INSERT INTO tag (name)
SELECT name FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM tag WHERE tag.name = wanted.name) ORDER BY name
ON CONFLICT (name) DO NOTHING"""
"""Makes the tags that are not there yet; the names are an array."""

TagOrder = Literal[
    "nonBotVisits-ASC",
    "nonBotVisits-DESC",
    "shortUrlsCount-ASC",
    "shortUrlsCount-DESC",
    "tag-ASC",
    "tag-DESC",
    "visits-ASC",
    "visits-DESC",
]
_ORDER_COLUMNS = {
    "nonBotVisits": "people",
    "shortUrlsCount": "links",
    "tag": "name",
    "visits": "total",
}
_ORDERS = {
    order: f"{_ORDER_COLUMNS[field]} {direction}, name"
    for order in get_args(TagOrder)
    for field, _, direction in (order.partition("-"),)
}


async def tag_ids(database: Database, names: Collection[str]) -> dict[str, int]:
    """The ids of those of the names that are tags."""
    if not names:
        return {}
    rows = await database.fetch("SELECT name, id FROM tag WHERE name = ANY ($1)", list(names))
    return {row["name"]: row["id"] for row in rows}


async def find_tag(database: Database, name: str) -> int:
    """The id of a tag. Raises the problem of an unknown one."""
    identifier: int | None = None
    if name.isprintable():
        identifier = await database.fetchval("SELECT id FROM tag WHERE name = $1", name)
    if identifier is None:
        raise problems.tag_not_found(name)
    return identifier


async def list_tags(
    database: Database, *, search: str | None, order: TagOrder, offset: int, limit: int
) -> tuple[list[str], int]:
    """A page of tags' names and how many there are."""
    rows, of_all = await tag_stats(database, search=search, order=order, offset=offset, limit=limit)
    return [row["name"] for row in rows], of_all


async def tag_stats(
    database: Database, *, search: str | None, order: TagOrder, offset: int, limit: int
) -> tuple[list[Any], int]:
    """A page of tags with `links`, `total` and `bots` each, and how many tags there are."""
    rows = await database.fetch(
        f"""SELECT count(*) OVER () AS of_all, tag.name, coalesce(sum(t.links), 0)::bigint AS links,
                   coalesce(sum(t.total), 0)::bigint AS total,
                   coalesce(sum(t.bots), 0)::bigint AS bots,
                   coalesce(sum(t.total) - sum(t.bots), 0)::bigint AS people
            FROM tag LEFT JOIN tally AS t ON t.scope = tag.id
            WHERE $1::text IS NULL OR strpos(lower(tag.name), lower($1)) > 0
            GROUP BY tag.id ORDER BY {_ORDERS[order]} LIMIT {int(limit)} OFFSET {int(offset)}""",
        search,
    )
    if rows or not offset:
        return rows, rows[0]["of_all"] if rows else 0
    of_all: int = await database.fetchval(
        "SELECT count(*) FROM tag WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0",
        search,
    )
    return [], of_all


@tried_again
async def rename_tag(database: Database, old: str, new: str) -> None:
    """Give a tag another name. Raises the problem of an unknown tag or of a name that is taken."""
    identifier = await find_tag(database, old)
    if old == new:
        return
    try:
        await database.fetch("UPDATE tag SET name = $2 WHERE id = $1", identifier, new)
    except asyncpg.UniqueViolationError as error:
        raise problems.tag_taken(old, new) from error


@tried_again
async def delete_tags(database: Database, names: Collection[str]) -> None:
    """Delete tags; links keep the others. Names that are no tags change nothing."""
    await database.fetch(
        "DELETE FROM tag WHERE name = ANY ($1)", [name for name in names if name.isprintable()]
    )
