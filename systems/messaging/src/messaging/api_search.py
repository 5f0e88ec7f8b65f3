"""POST /search: events by their words, with what was said around them."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any, Literal

import msgspec

from messaging.api_messages import show_all
from messaging.errors import invalid_param, unrecognized
from messaging.events import Event, event_id_of, event_json
from messaging.filters import EventFilter
from messaging.http import Reply, Request, reply_json
from messaging.rooms import decoded
from messaging.search import KEYS, Found, Page
from messaging.service import Route, Service
from messaging.sessions import Session

__all__ = ["ROUTES"]

_TERM_MAX = 1_000
_CONTEXT_MAX = 20
_END = 2**62
_Around = Annotated[int, msgspec.Meta(ge=0)]


class _Context(msgspec.Struct, frozen=True):
    before_limit: _Around = 5
    after_limit: _Around = 5
    include_profile: bool = False


class _Group(msgspec.Struct, frozen=True):
    key: Literal["room_id", "sender"]


class _Groupings(msgspec.Struct, frozen=True):
    group_by: list[_Group] = []


class _RoomEvents(msgspec.Struct, frozen=True):
    search_term: str
    keys: list[str] | None = None
    filter: EventFilter = EventFilter()
    order_by: Literal["rank", "recent"] = "rank"
    event_context: _Context | None = None
    include_state: bool = False
    groupings: _Groupings = _Groupings()


class _Categories(msgspec.Struct, frozen=True):
    room_events: _RoomEvents | None = None


class _Body(msgspec.Struct, frozen=True):
    search_categories: _Categories


async def search(service: Service, request: Request) -> Reply:
    """Find events."""
    if service.settings.search == "off":
        raise unrecognized()
    body = await request.read(_Body)
    asked = body.search_categories.room_events
    if asked is None:
        return reply_json({"search_categories": {}})
    term = asked.search_term.replace("\0", " ")
    if len(term) > _TERM_MAX:
        raise invalid_param(f"search_term: expected at most {_TERM_MAX} characters")
    unknown = set(asked.keys or ()) - KEYS.keys()
    if unknown:
        raise invalid_param(f"keys: expected some of {', '.join(KEYS)}")
    kinds = {KEYS[key] for key in (asked.keys if asked.keys is not None else KEYS)}
    session = request.session
    token = request.query.get("next_batch") or None
    page = await service.search.page(
        session.user_id, term, asked.filter, kinds, asked.order_by, token
    )
    answer: dict[str, Any] = {
        # Of what may be seen only; that is not known beyond this page.
        "count": len(page.found) + (page.next_batch is not None),
        "highlights": await service.search.words(term),
        "results": await _results(service, session, page, asked.event_context),
    }
    if page.next_batch is not None:
        answer["next_batch"] = page.next_batch
    if asked.groupings.group_by:
        answer["groups"] = {one.key: _group(page, one.key) for one in asked.groupings.group_by}
    if asked.include_state:
        answer["state"] = await _states(service, session, page)
    return reply_json({"search_categories": {"room_events": answer}})


async def _results(
    service: Service, session: Session, page: Page, wanted: _Context | None
) -> list[dict[str, Any]]:
    by_room: dict[str, list[Event]] = defaultdict(list)
    for one in page.found:
        by_room[one.room_id].append(one.event)
    shown: dict[tuple[int, int], msgspec.Raw] = {}
    for room_id, events in by_room.items():
        encoded = await show_all(service, session, room_id, events)
        shown |= {(e.room_no, e.seq): raw for e, raw in zip(events, encoded, strict=True)}
    results = []
    for one in page.found:
        result: dict[str, Any] = {
            "rank": one.rank,
            "result": shown[one.event.room_no, one.event.seq],
        }
        if wanted is not None:
            result["context"] = await _context(service, session, page, one, wanted)
        results.append(result)
    return results


async def _context(
    service: Service, session: Session, page: Page, found: Found, wanted: _Context
) -> dict[str, Any]:
    event, room_id = found.event, found.room_id
    allowed, read = page.allowed[event.room_no], service.reading.page
    before = await read(
        event.room_no,
        allowed,
        after=0,
        upto=event.seq - 1,
        limit=min(wanted.before_limit, _CONTEXT_MAX),
        backwards=True,
    )
    after = await read(
        event.room_no,
        allowed,
        after=event.seq,
        upto=_END,
        limit=min(wanted.after_limit, _CONTEXT_MAX),
        backwards=False,
    )
    context: dict[str, Any] = {
        "start": f"t{(before[-1] if before else event).seq - 1}",
        "end": f"t{(after[-1] if after else event).seq}",
        "events_before": await show_all(service, session, room_id, before),
        "events_after": await show_all(service, session, room_id, after),
    }
    if wanted.include_profile:
        senders = sorted({one.sender for one in (*before, event, *after)})
        context["profile_info"] = {
            str(member.state_key): {
                key: value
                for key, value in decoded(member.content).items()
                if key in ("displayname", "avatar_url")
            }
            for member in await service.reading.members(event.room_no, senders)
        }
    return context


def _group(page: Page, key: str) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for one in page.found:
        name = one.room_id if key == "room_id" else one.event.sender
        group = groups.setdefault(name, {"order": len(groups), "results": []})
        group["results"].append(event_id_of(one.room_id, one.event.seq))
    return groups


async def _states(service: Service, session: Session, page: Page) -> dict[str, list[msgspec.Raw]]:
    states = {}
    for room_id, room_no in {one.room_id: one.event.room_no for one in page.found}.items():
        rights = await service.rooms.rights(room_no, session.user_id)
        # Of a room that was left as it was then.
        at = None if rights.membership == "join" else page.allowed[room_no][-1][1]
        state = await service.reading.state(room_no, at=at)
        states[room_id] = [
            msgspec.Raw(event_json(event, room_id, with_room=True)) for event in state
        ]
    return states


ROUTES = [Route("POST", "/_matrix/client/v3/search", search)]
