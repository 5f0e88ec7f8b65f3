"""Endpoints that find rooms: the public directory, and what is in spaces."""

from __future__ import annotations

from typing import Any

from messaging.errors import bad_json, forbidden, invalid_param
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.service import Route, Service
from messaging.summaries import SUMMARY_COLUMNS, summary_of_room

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_LIMIT_MAX = 100

# Keyset: the page before ended behind (joined, no). The filter looks into name, topic and alias.
_PAGE = f"""
SELECT {SUMMARY_COLUMNS}
FROM room AS r
WHERE r.is_listed AND (-r.joined, r.no) > ($1, $2)
ORDER BY r.joined DESC, r.no LIMIT $3"""
_SCANNED_MAX = 1_000


async def _public_rooms(service: Service, limit: int, since: str | None, term: str | None) -> Reply:
    try:
        joined, no = (int(part) for part in (since or f"{-(2**31)}_0").split("_"))
        if max(abs(joined), abs(no)) > 2**62:
            raise ValueError
    except ValueError:
        raise invalid_param("since: that is no token of this list") from None
    found: list[dict[str, Any]] = []
    next_batch = None
    scanned = 0
    while len(found) < limit and scanned < _SCANNED_MAX:
        rows = await service.database.fetch(_PAGE, joined, no, limit + 1)
        for row in rows[:limit]:
            joined, no = -row["joined"], row["no"]
            shown = summary_of_room(row)
            looked_at = (shown.get(key, "") for key in ("name", "topic", "canonical_alias"))
            if term is None or any(term in text.lower() for text in looked_at):
                found.append(shown)
            if len(found) == limit:
                break
        scanned += len(rows)
        next_batch = f"{joined}_{no}" if len(rows) > limit or len(found) == limit else None
        if len(rows) <= limit:
            break
    answer: dict[str, Any] = {"chunk": found, "total_room_count_estimate": len(found)}
    if next_batch is not None:
        answer["next_batch"] = next_batch
    return reply_json(answer)


async def public_rooms(service: Service, request: Request) -> Reply:
    """The listed rooms, the largest first."""
    limit = request.integer("limit", 50, least=1, most=_LIMIT_MAX)
    return await _public_rooms(service, limit, request.query.get("since"), None)


async def search_public_rooms(service: Service, request: Request) -> Reply:
    """The listed rooms that fit a filter."""
    body = await request.object(optional=True)
    limit, since, wanted = body.get("limit", 50), body.get("since"), body.get("filter", {})
    if type(limit) is not int or not isinstance(since, str | None) or not isinstance(wanted, dict):
        raise bad_json("Expected limit: number, since: text, filter: object.")
    term = wanted.get("generic_search_term")
    if not isinstance(term, str | None):
        raise bad_json("generic_search_term: expected a text")
    bounded = min(_LIMIT_MAX, max(1, limit))
    return await _public_rooms(service, bounded, since, term.lower() if term else None)


async def hierarchy(service: Service, request: Request) -> Reply:
    """The rooms of a space and of the spaces in it."""
    token = request.query.get("from", "h0")
    if not (token[:1] == "h" and token[1:].isascii() and token[1:].isdigit() and len(token) < 10):
        raise invalid_param("from: that is no token of this list")
    rooms, behind = await service.hierarchy.page(
        request.session.user_id,
        request.args[0],
        skip=int(token[1:]),
        limit=request.integer("limit", 50, least=1, most=_LIMIT_MAX),
        depth_max=request.integer("max_depth", 10, most=100),
        suggested_only=request.query.get("suggested_only") == "true",
    )
    answer: dict[str, Any] = {"rooms": rooms}
    if behind is not None:
        answer["next_batch"] = f"h{behind}"
    return reply_json(answer)


async def listing(service: Service, request: Request) -> Reply:
    """Whether a room is listed."""
    no = await service.rooms.existing(request.args[0])
    listed = await service.database.fetchval("SELECT is_listed FROM room WHERE no = $1", no)
    return reply_json({"visibility": "public" if listed else "private"})


async def set_listing(service: Service, request: Request) -> Reply:
    """List a room or not: by who may change its aliases."""
    visibility = (await request.object()).get("visibility", "public")
    if visibility not in ("public", "private"):
        raise invalid_param("visibility: expected public or private")
    no = await service.rooms.inside(request.args[0], request.session.user_id)
    rights = await service.rooms.rights(no, request.session.user_id)
    if rights.level < rights.power.to_send("m.room.canonical_alias", is_state=True):
        raise forbidden("Your power level is too low for that.")
    await service.database.fetch(
        "UPDATE room SET is_listed = $2 WHERE no = $1", no, visibility == "public"
    )
    return EMPTY


ROUTES = [
    Route("GET", f"{_CLIENT}/publicRooms", public_rooms, public=True),
    Route("POST", f"{_CLIENT}/publicRooms", search_public_rooms),
    Route("GET", "/_matrix/client/v1/rooms/{}/hierarchy", hierarchy),
    Route("GET", f"{_CLIENT}/directory/list/room/{{}}", listing, public=True),
    Route("PUT", f"{_CLIENT}/directory/list/room/{{}}", set_listing),
]
