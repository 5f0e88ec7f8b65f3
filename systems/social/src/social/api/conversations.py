"""Conversations: direct statuses, by who takes part."""

from __future__ import annotations

from social.api.parts import listed
from social.conversations import Conversation
from social.entities import encode
from social.pages import PageQuery, page_of
from social.web.routing import Answer, Call, Empty, Endpoints

__all__ = ["endpoints"]

endpoints = Endpoints()


@endpoints.add(
    "GET",
    "/api/v1/conversations",
    PageQuery,
    who="user",
    scope="read:statuses",
    returns=list[Conversation],
)
async def conversations(call: Call, asked: PageQuery) -> Answer:
    """One's conversations, the one with the latest status first; paged by these statuses."""
    found = await call.service.conversations.page(call.me, page_of(asked))
    if found is None:
        return Answer(b"[]")
    return listed(call, encode(found.conversations), found.newest, found.oldest)


@endpoints.add(
    "POST", "/api/v1/conversations/{id}/read", Empty, who="user", scope="write:conversations"
)
async def read(call: Call, _: Empty) -> Conversation:
    """Mark a conversation as read."""
    return await call.service.conversations.mark_read(call.me, call.id)


@endpoints.add(
    "DELETE", "/api/v1/conversations/{id}", Empty, who="user", scope="write:conversations"
)
async def delete(call: Call, _: Empty) -> dict[str, str]:
    """Remove a conversation from one's list; what was written stays."""
    await call.service.conversations.delete(call.me, call.id)
    return {}
