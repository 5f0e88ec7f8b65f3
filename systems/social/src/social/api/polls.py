"""Polls of statuses: read, and voted in."""

from __future__ import annotations

import msgspec

from social.api.parts import readable
from social.entities import Poll
from social.errors import not_found
from social.web.routing import Answer, Call, Empty, Endpoints

__all__ = ["endpoints"]

endpoints = Endpoints()


async def _poll(call: Call) -> Answer:
    # A poll has the id of its status, and is there for whom that is there.
    await readable(call, call.id)
    found = await call.service.polls.read(call.viewer, [call.id])
    if call.id not in found:
        raise not_found()
    return Answer(found[call.id])


@endpoints.add(
    "GET", "/api/v1/polls/{id}", Empty, who="anyone", scope="read:statuses", returns=Poll
)
async def show(call: Call, _: Empty) -> Answer:
    """A poll."""
    return await _poll(call)


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """Options by their number, from 0."""

    choices: list[int] = []


@endpoints.add(
    "POST", "/api/v1/polls/{id}/votes", Choices, who="user", scope="write:statuses", returns=Poll
)
async def vote(call: Call, asked: Choices) -> Answer:
    """Vote in a poll, once."""
    await readable(call, call.id)
    await call.service.polls.vote(call.me, call.id, asked.choices)
    return await _poll(call)
