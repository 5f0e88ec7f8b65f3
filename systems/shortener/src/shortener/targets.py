"""Where a code leads: what is known of it, and how it is read from the database.

A target is asked for by its key: the code itself on the default domain, `domain/code` on another.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from systems_common.database import Database

from shortener.addresses import location_of
from shortener.guard import LEADS_TO_BANNED
from shortener.rules import Condition, Rule

__all__ = ["DatabaseTargets", "Target", "Targets", "key_of"]


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a redirect needs of a link. Times are Unix seconds; `limited` is: has a maxVisits;
    `guarded`: has a password, or leads to a banned host.
    """

    link_id: int
    location: str
    valid_since_s: float | None
    valid_until_s: float | None
    limited: bool
    forward_query: bool
    rules: tuple[Rule, ...] = ()
    guarded: bool = False


class Targets(Protocol):
    """A source of targets that may remember them."""

    def peek(self, key: str) -> Target | None:
        """The target, when it can be had without waiting."""
        ...

    async def find(self, key: str) -> Target | None:
        """The target, or None when there is no such link. Raises `DatabaseUnavailableError`."""
        ...

    def forget(self, key: str) -> None:
        """The link of this key was made, changed or deleted."""
        ...

    def changes_are_told(self, told: bool) -> None:
        """From now on changes are told, so forget what may have changed unnoticed; or no more."""
        ...


def key_of(domain: str, code: str) -> str:
    """The key of a code on a domain; '' is the default one. No code holds a slash."""
    return f"{domain}/{code}" if domain else code


_SELECT = f"""
SELECT id, long_url, valid_since, valid_until, max_visits IS NOT NULL AS limited, forward_query,
    has_redirect_rules, password_digest IS NOT NULL OR {LEADS_TO_BANNED} AS guarded
FROM link WHERE code = $1 AND domain = $2"""

_SELECT_RULES = """
SELECT long_url, conditions FROM redirect_rule WHERE link_id = $1 ORDER BY priority"""


class DatabaseTargets:
    """REDIRECT_CACHE=off: every redirect reads its link."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def peek(self, key: str) -> Target | None:
        """Nothing is remembered."""
        return None

    async def find(self, key: str) -> Target | None:
        """Read the link, and its rules when it has some."""
        domain, _, code = key.rpartition("/")
        row = await self._database.fetchrow(_SELECT, code, domain)
        if row is None:
            return None
        identifier, long_url, since, until, limited, forward_query, has_rules, guarded = row
        rules: tuple[Rule, ...] = ()
        if has_rules:
            found = await self._database.fetch(_SELECT_RULES, identifier)
            rules = tuple(_rule(long_url, conditions) for long_url, conditions in found)
        return Target(
            identifier,
            location_of(long_url),
            None if since is None else since.timestamp(),
            None if until is None else until.timestamp(),
            limited,
            forward_query,
            rules,
            guarded,
        )

    def forget(self, key: str) -> None:
        """Nothing is remembered."""

    def changes_are_told(self, told: bool) -> None:
        """Nothing is remembered."""


class _StoredCondition(msgspec.Struct, frozen=True, rename="camel"):
    """A condition as the API gives it."""

    type: str
    match_value: str | None = None
    match_key: str | None = None


_decode_conditions = msgspec.json.Decoder(list[_StoredCondition]).decode


def _rule(long_url: str, conditions: str) -> Rule:
    return Rule(
        location_of(long_url),
        tuple(
            Condition(stored.type, stored.match_value or "", stored.match_key)
            for stored in _decode_conditions(conditions)
        ),
    )
