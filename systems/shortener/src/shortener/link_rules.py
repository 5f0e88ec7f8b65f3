"""The redirect rules of a link in the database; rules.py says what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from systems_common.database import Database, transaction

from shortener import problems

__all__ = ["RuleDraft", "list_rules", "set_rules"]


class RuleDraft(msgspec.Struct, frozen=True):
    """A rule that somebody wants, already checked; `conditions` is their JSON."""

    long_url: str
    conditions: str


async def list_rules(database: Database, link_id: int) -> list[Any]:
    """The rules of a link by priority."""
    return await database.fetch(
        "SELECT priority, long_url, conditions FROM redirect_rule WHERE link_id = $1"
        " ORDER BY priority",
        link_id,
    )


async def set_rules(database: Database, link: Any, rules: Sequence[RuleDraft]) -> None:
    """Put these in place of the rules of a link; they are tried in this order.

    Raises the problem of a link that is gone.
    """
    async with transaction(database) as connection:
        # This also tells every process, and makes two of these wait for each other.
        found = await connection.fetchval(
            "UPDATE link SET has_redirect_rules = $2 WHERE id = $1 RETURNING id",
            link["id"],
            bool(rules),
        )
        if found is None:
            raise problems.link_not_found(link["code"], link["domain"])
        await connection.execute("DELETE FROM redirect_rule WHERE link_id = $1", found)
        await connection.execute(
            """INSERT INTO redirect_rule (link_id, priority, long_url, conditions)
               SELECT $1, row_number() OVER (), long_url, conditions::jsonb
               FROM unnest($2::text[], $3::text[]) AS rule (long_url, conditions)""",
            found,
            [rule.long_url for rule in rules],
            [rule.conditions for rule in rules],
        )
