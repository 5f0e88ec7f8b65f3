"""Notifications and markers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from social.api.parts import listed
from social.entities import Marker, Notification, encode, timestamp
from social.errors import ApiError, not_found
from social.notices import KINDS
from social.pages import PageQuery, page_of
from social.web.routing import Answer, Call, Empty, Endpoints, id_of

__all__ = ["endpoints"]

endpoints = Endpoints()


class NotificationQuery(PageQuery, frozen=True, kw_only=True):
    """Which of them; a type that is not known here has none."""

    types: list[str] | None = None
    exclude_types: list[str] = []
    account_id: str | None = None


@endpoints.add(
    "GET",
    "/api/v1/notifications",
    NotificationQuery,
    who="user",
    scope="read:notifications",
    returns=list[Notification],
)
async def notifications(call: Call, asked: NotificationQuery) -> Answer:
    """What somebody did that one may want to know of, the latest first."""
    page = page_of(asked, default=40, most=80)
    kinds = [
        number
        for number, name in enumerate(KINDS)
        if (not asked.types or name in asked.types) and name not in asked.exclude_types
    ]
    sender = id_of(asked.account_id) if asked.account_id else None
    found = await call.service.notices.page(call.me, page, kinds, sender)
    if not found:
        return Answer(b"[]")
    return listed(call, encode(found), int(found[0].id), int(found[-1].id))


class UnreadQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How far to count."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


@endpoints.add(
    "GET",
    "/api/v1/notifications/unread_count",
    UnreadQuery,
    who="user",
    scope="read:notifications",
)
async def unread_count(call: Call, asked: UnreadQuery) -> dict[str, int]:
    """How many are newer than the marker."""
    return {"count": await call.service.notices.unread(call.me, asked.limit)}


@endpoints.add("GET", "/api/v1/notifications/{id}", Empty, who="user", scope="read:notifications")
async def show(call: Call, _: Empty) -> Notification:
    """One of them."""
    found = await call.service.notices.one(call.me, call.id)
    if found is None:
        raise not_found()
    return found


@endpoints.add(
    "POST", "/api/v1/notifications/clear", Empty, who="user", scope="write:notifications"
)
async def clear(call: Call, _: Empty) -> dict[str, str]:
    """Dismiss all of them."""
    await call.service.notices.clear(call.me)
    return {}


@endpoints.add(
    "POST", "/api/v1/notifications/{id}/dismiss", Empty, who="user", scope="write:notifications"
)
async def dismiss(call: Call, _: Empty) -> dict[str, str]:
    """Dismiss one of them."""
    if not await call.service.notices.dismiss(call.me, call.id):
        raise not_found()
    return {}


class MarkerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which timelines."""

    timeline: list[str] | str = []


_MARKED = ("home", "notifications")


@endpoints.add("GET", "/api/v1/markers", MarkerQuery, who="user", scope="read:statuses")
async def markers(call: Call, asked: MarkerQuery) -> dict[str, Marker]:
    """How far one has read."""
    wanted = [asked.timeline] if isinstance(asked.timeline, str) else asked.timeline
    rows = await call.service.database.fetch(
        """SELECT timeline, last_read_id, version, extract(epoch FROM updated_at)::float8
           FROM marker WHERE account_id = $1 AND timeline = ANY($2::text[])""",
        call.me,
        wanted,
    )
    return {row[0]: Marker(str(row[1]), row[2], timestamp(row[3])) for row in rows}


class NewMarker(msgspec.Struct, frozen=True, kw_only=True):
    """The last one that was read."""

    last_read_id: str


class NewMarkers(msgspec.Struct, frozen=True, kw_only=True):
    """How far one has read now."""

    home: NewMarker | None = None
    notifications: NewMarker | None = None


@endpoints.add("POST", "/api/v1/markers", NewMarkers, who="user", scope="write:statuses")
async def set_markers(call: Call, asked: NewMarkers) -> dict[str, Marker]:
    """Say how far one has read."""
    found: dict[str, Marker] = {}
    for timeline in _MARKED:
        marker: NewMarker | None = getattr(asked, timeline)
        if marker is None:
            continue
        last = id_of(marker.last_read_id)
        now = datetime.now(UTC)
        version = await call.service.database.fetchval(
            """INSERT INTO marker AS m (account_id, timeline, last_read_id, version, updated_at)
               VALUES ($1, $2, $3, 1, $4)
               ON CONFLICT (account_id, timeline) DO UPDATE
               SET last_read_id = EXCLUDED.last_read_id, version = m.version + 1,
                   updated_at = EXCLUDED.updated_at
               RETURNING version""",
            call.me,
            timeline,
            last,
            now,
        )
        found[timeline] = Marker(str(last), version, timestamp(now.timestamp()))
    if not found:
        raise ApiError(422, "Expected a marker of home or of notifications")
    return found
