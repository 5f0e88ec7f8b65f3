"""Hears of new, changed and deleted links, and of domains, from PostgreSQL (LISTEN)."""

from __future__ import annotations

from systems_common.listening import listen

from shortener.domains import Domains
from shortener.targets import Targets

__all__ = ["listen_for_changes"]


async def listen_for_changes(url: str, targets: Targets, domains: Domains) -> None:
    """Run until cancelled. When the connection is up again everything is forgotten."""

    def is_told(told: bool) -> None:
        targets.changes_are_told(told)
        if told:
            domains.reload()

    await listen(
        url,
        name="shortener listen",
        channels={"link_changed": targets.forget, "domain_changed": lambda _: domains.reload()},
        is_told=is_told,
    )
