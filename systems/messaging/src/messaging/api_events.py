"""Endpoints about one event: the one of a moment, and one that is reported."""

from __future__ import annotations

from messaging.errors import MatrixError, bad_json, invalid_param, missing_param, not_found
from messaging.events import event_id_of, seq_of_event
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.reporting import REPORT
from messaging.service import Route, Service
from messaging.visibility import sees

__all__ = ["ROUTES"]

_REASON_MAX = 2_000
_TS_MAX = 2**53

# The first event at or behind a time. Its rows are in the order of their numbers and, as far as the
# clocks of processes agree, of their times, so halving finds it without an index of times.
_AT = """
WITH RECURSIVE halved(low, high) AS (
    SELECT 1::bigint, seq + 1 FROM room WHERE no = $1
    UNION ALL
    SELECT CASE WHEN m.is_before THEN m.at + 1 ELSE low END,
           CASE WHEN m.is_before THEN high ELSE m.at END
    FROM halved CROSS JOIN LATERAL (
        SELECT seq AS at, ts < $2 AS is_before FROM event
        WHERE room_no = $1 AND seq = (low + high) / 2) AS m
    WHERE low < high
)
SELECT low FROM halved WHERE low = high"""
_TIME = "SELECT ts FROM event WHERE room_no = $1 AND seq = $2"


async def of_moment(service: Service, request: Request) -> Reply:
    """The event nearest to a time, before it or behind it."""
    room_id = request.args[0]
    if "ts" not in request.query:
        raise missing_param("ts is missing.")
    ts = request.integer("ts", 0, most=_TS_MAX)
    direction = request.query.get("dir")
    if direction not in ("f", "b"):
        raise invalid_param("dir: expected f or b")
    room_no, _, allowed = await service.rooms.readable(room_id, request.session.user_id)
    first = await service.database.fetchval(_AT, room_no, ts if direction == "f" else ts + 1)
    last = await service.database.fetchval("SELECT seq FROM room WHERE no = $1", room_no)
    if direction == "f":
        seq = min((max(low, first) for low, high in allowed if high >= first), default=None)
    else:
        seq = max((min(high, first - 1) for low, high in allowed if low < first), default=None)
    if seq is None or not 1 <= seq <= last:
        raise not_found("There is no such event.")
    found = await service.database.fetchval(_TIME, room_no, seq)
    return reply_json({"event_id": event_id_of(room_id, seq), "origin_server_ts": found})


async def report(service: Service, request: Request) -> Reply:
    """Tell the operator of an event."""
    room_id, event_id = request.args
    body = await request.object()
    reason, score = body.get("reason"), body.get("score")
    if not isinstance(reason, str | None) or type(score) not in (int, type(None)):
        raise bad_json("expected a text as reason and a whole number as score")
    if reason is not None and (len(reason) > _REASON_MAX or "\0" in reason):
        raise invalid_param(f"reason: expected at most {_REASON_MAX} characters, without NUL")
    if score is not None and not -100 <= score <= 0:
        raise invalid_param("score: expected a number from -100 to 0")
    session = request.session
    try:
        room_no = await service.rooms.inside(room_id, session.user_id)
    except MatrixError:
        raise not_found("There is no such event, or you are not in its room.") from None
    seq = seq_of_event(room_id, event_id)
    rights = await service.rooms.rights(room_no, session.user_id)
    is_seen = sees(await service.rooms.allowed(room_no, session.user_id, rights), seq)
    if not is_seen or await service.reading.event(room_no, seq) is None:
        raise not_found("There is no such event, or you are not in its room.")
    await service.database.fetch(REPORT, room_no, seq, session.user_no, reason, score)
    return EMPTY


ROUTES = [
    Route("GET", "/_matrix/client/v1/rooms/{}/timestamp_to_event", of_moment),
    Route("POST", "/_matrix/client/v3/rooms/{}/report/{}", report),
]
