"""Endpoints of messages: sending, redacting, and reading what was said."""

from __future__ import annotations

from typing import Any

import msgspec

from messaging.api_rooms import reason_of
from messaging.appending import Message
from messaging.authorization import may_redact
from messaging.changing import tried_again
from messaging.errors import forbidden, invalid_param, not_found
from messaging.events import (
    Event,
    check_type,
    encoded_content,
    event_id_of,
    event_json,
    redacted_content,
    relation_of,
    seq_of_event,
)
from messaging.filters import EventFilter, parse_filter, passes
from messaging.http import Reply, Request, reply_json
from messaging.mentions import counts_as_unread, mentioned
from messaging.rooms import Rights, decoded, standing_in
from messaging.service import Route, Service
from messaging.sessions import Session
from messaging.visibility import Stretch, sees

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_V1 = "/_matrix/client/v1"
_TXN_MAX = 255
_PAGE_MAX = 1_000
_END = 2**62


def _txn(text: str) -> str:
    if not text or len(text) > _TXN_MAX:
        raise invalid_param(f"A transaction id has 1 to {_TXN_MAX} characters.")
    return text


async def send(service: Service, request: Request) -> Reply:
    """Send a message; the same transaction id gives the same event."""
    room_id, kind, txn = request.args
    check_type(kind)
    if kind == "m.room.redaction":
        raise invalid_param("Redactions are sent with /redact.")
    content = await request.object()
    session = request.session
    encoded = encoded_content(content)
    relates_to, rel_type = relation_of(room_id, content)
    counts = counts_as_unread(kind, content)
    txn = _txn(txn)

    def make(room_no: int, rights: Rights) -> Message:
        room_level = rights.level >= rights.power.to_notify_room
        return Message(
            room_no,
            rights.auth,
            session.device_no,
            session.user_id,
            kind,
            txn,
            encoded,
            counts,
            relates_to,
            rel_type,
            mentioned(content, room_level=room_level),
        )

    seq = await service.appender.send(session, room_id, make)
    service.presence.acted(session)
    return Reply(b'{"event_id":"%s"}' % event_id_of(room_id, seq).encode())


@tried_again
async def _redact(
    service: Service, session: Session, room_no: int, target: int, txn: str, content: dict[str, Any]
) -> int:
    kind = "m.room.redaction"
    async with service.changes.open(room_no) as change:
        connection = change.connection
        sent = await connection.fetchval(
            "SELECT seq FROM event WHERE device_no = $1 AND room_no = $2 AND txn = $3"
            " AND type = $4",
            session.device_no,
            room_no,
            txn,
            kind,
        )
        if sent is not None:
            return int(sent)
        standing = await standing_in(connection, room_no, session.user_id, session.user_id)
        if standing.membership != "join":
            raise forbidden("You are not in this room.")
        row = await connection.fetchrow(
            "SELECT sender, type, content, redacted_by FROM event WHERE room_no = $1 AND seq = $2",
            room_no,
            target,
        )
        if row is None:
            raise not_found("There is no such event in this room.")
        if not may_redact(session.user_id, row["sender"], standing):
            raise forbidden("You may not redact other users' events.")
        if row["type"] == "m.room.create":
            raise forbidden("The event that made the room stays.")
        seq = await change.add(
            session.user_id,
            kind,
            content,
            device_no=session.device_no,
            txn=txn,
            redacts=target,
        )
        if row["redacted_by"] is None:
            await connection.execute(
                "UPDATE event SET content = $3, redacted_by = $4, relates_to = NULL,"
                " rel_type = NULL WHERE room_no = $1 AND seq = $2",
                room_no,
                target,
                redacted_content(row["type"], decoded(row["content"])),
                seq,
            )
            # Power levels may have lost members, so what was read of them is out of date.
            change.auth = seq
        return seq


async def redact(service: Service, request: Request) -> Reply:
    """Take away what an event says."""
    room_id, event_id, txn = request.args
    body = await request.object(optional=True)
    reason = reason_of(body)
    session = request.session
    room_no = await service.rooms.number(room_id)
    if room_no is None:
        raise forbidden("You are not in this room.")
    target = seq_of_event(room_id, event_id)
    content = {} if reason is None else {"reason": reason}
    seq = await _redact(service, session, room_no, target, _txn(txn), content)
    return reply_json({"event_id": event_id_of(room_id, seq)})


async def show(
    service: Service, session: Session, room_id: str, event: Event, *, bundled: bool = True
) -> msgspec.Raw:
    """An event outside of /sync, with its room, its redaction, and its thread in short."""
    unsigned: dict[str, Any] = {}
    if event.redacted_by is not None:
        because = await service.reading.event(event.room_no, event.redacted_by)
        if because is not None:
            shown = event_json(because, room_id, with_room=True)
            unsigned["redacted_because"] = msgspec.Raw(shown)
    elif bundled:
        unsigned |= await service.relations.bundled(event, room_id, session)
    return msgspec.Raw(
        event_json(
            event,
            room_id,
            txn=event.device_no == session.device_no,
            with_room=True,
            unsigned=unsigned,
        )
    )


async def show_all(
    service: Service, session: Session, room_id: str, events: list[Event]
) -> list[msgspec.Raw]:
    """Several events, looked up together."""
    heads = await service.relations.bundled_all(events, room_id, session)
    shown = []
    for event in events:
        if event.redacted_by is not None:
            shown.append(await show(service, session, room_id, event))
        else:
            is_own = event.device_no == session.device_no
            unsigned = heads.get(event.seq)
            encoded = event_json(event, room_id, txn=is_own, with_room=True, unsigned=unsigned)
            shown.append(msgspec.Raw(encoded))
    return shown


async def get_event(service: Service, request: Request) -> Reply:
    """One event."""
    room_id, event_id = request.args
    session = request.session
    room_no, _, allowed = await service.rooms.readable(room_id, session.user_id)
    seq = seq_of_event(room_id, event_id)
    event = await service.reading.event(room_no, seq) if sees(allowed, seq) else None
    if event is None:
        raise not_found("There is no such event in this room.")
    return reply_json(await show(service, session, room_id, event))


def _event_filter(request: Request) -> EventFilter:
    text = request.query.get("filter")
    if not text:
        return EventFilter()
    return parse_filter(b'{"room":{"timeline":%s}}' % text.encode()).room.timeline


async def messages(service: Service, request: Request) -> Reply:
    """A page of a room's events, forwards or backwards from a token."""
    room_id = request.args[0]
    session = request.session
    query = request.query
    backwards = _is_backwards(request)
    wanted = _event_filter(request)
    limit = request.integer("limit", wanted.bounded_limit, least=1, most=_PAGE_MAX)
    room_no, _, allowed = await service.rooms.readable(room_id, session.user_id)
    start = _END if backwards else 0
    if text := query.get("from"):
        start = await service.seq_of_token(room_no, text)
    bound = 0 if backwards else _END
    if text := query.get("to"):
        bound = await service.seq_of_token(room_no, text)
    after, upto = (bound, start) if backwards else (start, bound)
    found = await service.reading.page(
        room_no, allowed, after=after, upto=upto, limit=limit, backwards=backwards
    )
    answer: dict[str, Any] = {}
    if found:
        last = found[-1].seq
        first = found[0].seq
        begun = first if backwards else first - 1
        answer["start"] = f"t{start if start < _END else begun}"
        if len(found) == limit or not backwards:
            answer["end"] = f"t{last - 1 if backwards else last}"
    else:
        answer["start"] = f"t{min(start, 2**53)}"
    kept = [
        event
        for event in found
        if passes(wanted, kind=event.type, sender=event.sender, room_id=room_id)
    ]
    answer["chunk"] = await show_all(service, session, room_id, kept)
    if wanted.lazy_load_members:
        senders = sorted({event.sender for event in kept})
        known = await service.reading.members(room_no, senders)
        answer["state"] = [msgspec.Raw(event_json(e, room_id, with_room=True)) for e in known]
    return reply_json(answer)


async def context(service: Service, request: Request) -> Reply:
    """An event with what was said before and after it."""
    room_id, event_id = request.args
    session = request.session
    limit = request.integer("limit", 10, least=0, most=_PAGE_MAX)
    room_no, rights, allowed = await service.rooms.readable(room_id, session.user_id)
    seq = seq_of_event(room_id, event_id)
    event = await service.reading.event(room_no, seq) if sees(allowed, seq) else None
    if event is None:
        raise not_found("There is no such event in this room.")
    page = service.reading.page
    before = await page(
        room_no, allowed, after=0, upto=seq - 1, limit=(limit + 1) // 2, backwards=True
    )
    after = await page(room_no, allowed, after=seq, upto=_END, limit=limit // 2, backwards=False)
    last = after[-1].seq if after else seq
    first = before[-1].seq if before else seq
    at = None if rights.membership == "join" and not after else last
    wanted = _event_filter(request)
    if wanted.lazy_load_members:
        senders = sorted({e.sender for e in (*before, event, *after)})
        state = await service.reading.members(room_no, senders)
    else:
        state = await service.reading.state(room_no, at=at)
    return reply_json(
        {
            "event": await show(service, session, room_id, event),
            "events_before": await show_all(service, session, room_id, before),
            "events_after": await show_all(service, session, room_id, after),
            "start": f"t{first - 1}",
            "end": f"t{last}",
            "state": [msgspec.Raw(event_json(e, room_id, with_room=True)) for e in state],
        }
    )


async def relations(service: Service, request: Request) -> Reply:
    """The events that relate to one, newest first unless asked otherwise."""
    room_id, event_id, *rest = request.args
    session = request.session
    room_no, _, allowed = await service.rooms.readable(room_id, session.user_id)
    parent = seq_of_event(room_id, event_id)
    if not sees(allowed, parent) or await service.reading.event(room_no, parent) is None:
        raise not_found("There is no such event in this room.")
    return await _page_of(
        service,
        request,
        room_no,
        allowed,
        parent=parent,
        rel_type=rest[0] if rest else None,
        kind=rest[1] if len(rest) > 1 else None,
    )


def _is_backwards(request: Request) -> bool:
    direction = request.query.get("dir", "b")
    if direction not in ("b", "f"):
        raise invalid_param("dir: expected b or f")
    return direction == "b"


async def _page_of(
    service: Service,
    request: Request,
    room_no: int,
    allowed: tuple[Stretch, ...],
    *,
    parent: int,
    rel_type: str | None,
    kind: str | None,
) -> Reply:
    query = request.query
    backwards = _is_backwards(request)
    limit = request.integer("limit", 50, least=1, most=_PAGE_MAX)
    start = _END if backwards else 0
    if text := query.get("from"):
        start = await service.seq_of_token(room_no, text)
    found = await service.relations.page(
        room_no,
        parent,
        rel_type,
        kind,
        after=0 if backwards else start,
        upto=start if backwards else _END,
        limit=limit,
        backwards=backwards,
    )
    shown = [event for event in found if sees(allowed, event.seq)]
    answer: dict[str, Any] = {
        "chunk": await show_all(service, request.session, request.args[0], shown)
    }
    if len(found) == limit:
        answer["next_batch"] = f"t{found[-1].seq - 1 if backwards else found[-1].seq}"
    if query.get("from"):
        answer["prev_batch"] = query["from"]
    return reply_json(answer)


async def threads(service: Service, request: Request) -> Reply:
    """The roots of a room's threads, the one with the newest reply first."""
    room_id = request.args[0]
    session = request.session
    include = request.query.get("include", "all")
    if include not in ("all", "participated"):
        raise invalid_param("include: expected all or participated")
    limit = request.integer("limit", 50, least=1, most=_PAGE_MAX)
    room_no, _, allowed = await service.rooms.readable(room_id, session.user_id)
    before = _END
    if text := request.query.get("from"):
        before = await service.seq_of_token(room_no, text)
    found, more = await service.relations.threads(
        room_no, session.user_id if include == "participated" else None, before, limit
    )
    shown = [event for event in found if sees(allowed, event.seq)]
    answer: dict[str, Any] = {"chunk": await show_all(service, session, room_id, shown)}
    if more is not None:
        answer["next_batch"] = f"t{more}"
    return reply_json(answer)


ROUTES = [
    Route("PUT", f"{_CLIENT}/rooms/{{}}/send/{{}}/{{}}", send),
    Route("PUT", f"{_CLIENT}/rooms/{{}}/redact/{{}}/{{}}", redact),
    Route("GET", f"{_CLIENT}/rooms/{{}}/event/{{}}", get_event),
    Route("GET", f"{_CLIENT}/rooms/{{}}/messages", messages),
    Route("GET", f"{_CLIENT}/rooms/{{}}/context/{{}}", context),
    Route("GET", f"{_V1}/rooms/{{}}/relations/{{}}", relations),
    Route("GET", f"{_V1}/rooms/{{}}/relations/{{}}/{{}}", relations),
    Route("GET", f"{_V1}/rooms/{{}}/relations/{{}}/{{}}/{{}}", relations),
    Route("GET", f"{_V1}/rooms/{{}}/threads", threads),
]
