"""What several groups of endpoints need."""

from __future__ import annotations

from collections.abc import Sequence

from social.entities import encode
from social.errors import not_found
from social.pages import link_header
from social.people import AccountPage
from social.statuses import Shown
from social.timelines import Slice
from social.web.routing import Answer, Call

__all__ = ["accounts_answer", "json_list", "listed", "readable", "statuses_answer"]


def json_list(bodies: Sequence[bytes]) -> bytes:
    """Encoded values as an encoded list."""
    return b"[" + b",".join(bodies) + b"]"


def listed(call: Call, body: bytes, newest: int, oldest: int) -> Answer:
    """A page of a list, with the Link header that leads to those beside it."""
    uri = f"{call.service.base_url}{call.uri}"
    return Answer(body, headers=(link_header(uri, call.query, newest, oldest),))


def statuses_answer(call: Call, found: Slice | None) -> Answer:
    """A page of statuses."""
    if found is None:
        return Answer(b"[]")
    return listed(call, json_list([one.body for one in found.statuses]), found.newest, found.oldest)


def accounts_answer(call: Call, found: AccountPage | None) -> Answer:
    """A page of accounts."""
    if found is None:
        return Answer(b"[]")
    return listed(call, encode(found.accounts), found.newest, found.oldest)


async def readable(call: Call, status: int) -> Shown:
    """A status that this viewer may see. Raises a 404: what may not be seen does not exist."""
    found = await call.service.reader.one(call.viewer, status)
    if found is None:
        raise not_found()
    return found
