"""GET /rest/v3/events: what happens, as server-sent events."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.types import ASGIApp
from systems_common.event_stream import EventStream

from shortener import problems
from shortener.api_parts import AnyRequest, answers, service_of
from shortener.live import ALL_TOPICS, TOPICS_MAX, topic_of

__all__ = ["LIVE_HANDLERS"]


@get(
    "/events",
    operation_id="liveEvents",
    tags=["Integrations"],
    responses={
        200: ResponseSpec(str, description="Events", media_type="text/event-stream"),
        **answers(_400="A topic that there is not", _501="The service has no NATS"),
    },
)
async def live_events(
    request: AnyRequest, topic: Annotated[list[str] | None, Parameter(query="topic")] = None
) -> ASGIApp:
    """Visits and new links as they happen: `new-visit`, `new-visit/{code}`, `new-orphan-visit`,
    `new-short-url`; all but the second when no topic is given.
    """
    live = service_of(request).live
    topics = [topic_of(text) for text in topic] if topic else [*ALL_TOPICS]
    known = [text for text in topics if text is not None]
    if len(known) < len(topics) or len(known) > TOPICS_MAX:
        raise problems.invalid_data(["topic"], f"Expected at most {TOPICS_MAX} known topics.")
    if not live.is_available:
        raise problems.live_unavailable()
    return EventStream(live.events(known))


LIVE_HANDLERS = (live_events,)
