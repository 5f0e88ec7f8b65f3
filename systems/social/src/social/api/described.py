"""What the service says of its own API."""

from __future__ import annotations

from collections.abc import Iterable

from social import __version__
from social.entities import encode
from social.web.openapi import openapi
from social.web.routing import Answer, Call, Empty, Endpoint, Endpoints

__all__ = ["describing"]


def describing(endpoints: Iterable[Endpoint]) -> Endpoints:
    """The endpoint that describes these."""
    document = encode(openapi(endpoints, title="Social", version=__version__))
    group = Endpoints()

    @group.add("GET", "/api/openapi.json", Empty, who="anyone")
    async def described(call: Call, _: Empty) -> Answer:
        """Every endpoint, as an OpenAPI document."""
        return Answer(document)

    return group
