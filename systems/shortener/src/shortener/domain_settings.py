"""Domains: those that links were made for, and where their visitors go who find no link."""

from __future__ import annotations

from typing import Any, Literal

from systems_common.database import Database

from shortener import problems

__all__ = ["RedirectColumn", "find_domain", "list_domains", "set_redirects"]

RedirectColumn = Literal["base_url_redirect", "regular_404_redirect", "invalid_short_url_redirect"]

_COLUMNS = "name, base_url_redirect, regular_404_redirect, invalid_short_url_redirect"


async def list_domains(database: Database) -> list[Any]:
    """All domains, the default one ("") first."""
    return await database.fetch(f"SELECT {_COLUMNS} FROM domain ORDER BY name")


async def find_domain(database: Database, name: str) -> int:
    """The id of a domain, "" the default one. Raises the problem of an unknown one."""
    identifier: int | None = None
    if not name or name.isprintable():
        identifier = await database.fetchval("SELECT id FROM domain WHERE name = $1", name)
    if identifier is None:
        raise problems.domain_not_found(name)
    return identifier


async def set_redirects(
    database: Database, name: str, redirects: dict[RedirectColumn, str | None]
) -> Any:
    """Set some of the redirects of a domain, which need not be known yet; returns its row."""
    names = ["name", *redirects]
    values = [f"${n}" for n in range(1, len(names) + 1)]
    updates = [f"{column} = excluded.{column}" for column in names]
    return await database.fetchrow(
        f"""INSERT INTO domain ({", ".join(names)}) VALUES ({", ".join(values)})
            ON CONFLICT (name) DO UPDATE SET {", ".join(updates)} RETURNING {_COLUMNS}""",
        name,
        *redirects.values(),
    )
