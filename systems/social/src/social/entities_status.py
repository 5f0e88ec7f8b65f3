"""A status in full. statuses.py puts it together from pieces that are encoded already."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from social.entities import Account, Count, Poll, StaticStatus
from social.matching import FilterResult

__all__ = ["DeletedStatus", "Status"]


class Status(StaticStatus, frozen=True, kw_only=True):
    """A status; what is the viewer's in it only for who has signed in."""

    account: Account
    poll: Poll | None
    replies_count: Count
    reblogs_count: Count
    favourites_count: Count
    favourited: bool | UnsetType = UNSET
    reblogged: bool | UnsetType = UNSET
    bookmarked: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    muted: bool | UnsetType = UNSET
    filtered: list[FilterResult] | UnsetType = UNSET
    reblog: Status | None


class DeletedStatus(Status, frozen=True, kw_only=True):
    """A status that is gone, with what it was written as."""

    text: Annotated[str, msgspec.Meta(description="To write it anew")]
