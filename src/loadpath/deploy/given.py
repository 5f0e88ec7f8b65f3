"""What a kind of dependency must say of itself to be used where the user runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from loadpath.deploy.address import Address
from loadpath.deploy.kinds import KINDS
from loadpath.deploy.outside import Outside


class GivenKind(Protocol):
    """The part of a `Kind` that a server given by URL needs."""

    title: str
    default_port: int
    name: str

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        """Its version, read without changing anything; "" if it hides."""
        ...


GIVEN_KINDS: Mapping[str, GivenKind] = {**KINDS, "http": Outside()}
"""Every kind that `url` may give: those that can be embedded, and those that cannot."""
