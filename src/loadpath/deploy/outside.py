"""Somebody else's HTTP service, which the service under test calls: always given by URL."""

from __future__ import annotations

from loadpath.deploy.address import Address


class Outside:
    """What there is to know about an HTTP service that Loadpath does not run."""

    title = "HTTP"
    default_port = 80
    name = ""

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        """It has none that a request could ask for without meaning something to it."""
        return ""
