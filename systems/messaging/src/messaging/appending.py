"""Appends messages to rooms: many sends, to any rooms, in one statement and one transaction.

A send is judged by rights that this process remembers. The statement takes the lock of the room
and appends only if the room's state still is the one they were read with; else the rights are read
anew and the send is tried again. An event is committed before it is acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import asyncpg
import msgspec
from systems_common.batching import Batcher
from systems_common.contention import tried_again
from systems_common.database import Database

from messaging.authorization import Proposed, Standing, authorize
from messaging.errors import MatrixError, forbidden, unavailable
from messaging.rooms import Rights, Rooms
from messaging.sessions import Session

__all__ = ["Appender", "Message"]

_BATCH_MAX = 200
_CALLS_MAX = 4
_TRIES_MAX = 20

# locked: rows come out of it locked, as they are after the wait, and in the order of their numbers,
# so that two of these statements cannot wait for each other in a circle.
_APPEND = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
                         $6::text[], $7::bytea[], $8::boolean[], $9::bigint[], $10::text[])
    WITH ORDINALITY AS a(room_no, auth, device_no, sender, type, txn, content, counts, relates_to,
                         rel_type, n)
), known AS (
    SELECT a.n, e.seq FROM asked AS a JOIN event AS e
    ON (e.device_no, e.room_no, e.txn, e.type) = (a.device_no, a.room_no, a.txn, a.type)
), locked AS MATERIALIZED (
    SELECT no, seq, counted, auth FROM room WHERE no = ANY($1) ORDER BY no FOR UPDATE
), fresh AS MATERIALIZED (
    SELECT a.*, l.seq + row_number() OVER numbered AS seq,
           l.counted + count(*) FILTER (WHERE a.counts) OVER numbered AS counted
    FROM asked AS a JOIN locked AS l ON l.no = a.room_no AND l.auth = a.auth
    WHERE a.n NOT IN (SELECT n FROM known)
    WINDOW numbered AS (PARTITION BY a.room_no ORDER BY a.n)
), moved AS (
    UPDATE room AS r SET seq = f.seq, counted = f.counted, xid = pg_current_xact_id()
    FROM (SELECT room_no, max(seq) AS seq, max(counted) AS counted FROM fresh GROUP BY room_no)
        AS f
    WHERE r.no = f.room_no
), appended AS (
    INSERT INTO event (room_no, seq, ts, device_no, counted, counts, relates_to, sender, type, txn,
                       rel_type, content)
    SELECT room_no, seq, $11, device_no, counted, counts, relates_to, sender, type, txn, rel_type,
           content
    FROM fresh
), marked AS (
    INSERT INTO read_mark (room_no, user_id, seq, counted)
    SELECT room_no, sender, max(seq), max(counted) FROM fresh
    GROUP BY room_no, sender ORDER BY room_no, sender
    ON CONFLICT (room_no, user_id) DO UPDATE SET seq = excluded.seq, counted = excluded.counted
    WHERE read_mark.seq < excluded.seq
), highlit AS (
    INSERT INTO highlight (room_no, user_id, seq, is_extra)
    SELECT f.room_no, m.user_id, f.seq, NOT f.counts
    FROM unnest($12::bigint[], $13::text[]) AS w(n, user_id)
    JOIN fresh AS f USING (n)
    -- Each by their id: whoever is named is found without a look at all members.
    CROSS JOIN LATERAL (
        SELECT user_id FROM member
        WHERE room_no = f.room_no AND membership = 'join' AND user_id = w.user_id
        UNION ALL
        SELECT user_id FROM member
        WHERE w.user_id = '@room' AND room_no = f.room_no AND membership = 'join'
    ) AS m
    WHERE m.user_id <> f.sender
    ON CONFLICT DO NOTHING
)
SELECT n, seq FROM known
UNION ALL SELECT n, seq FROM fresh"""
_SENT = """
SELECT seq FROM event WHERE (device_no, room_no, txn, type) = ($1, $2, $3, $4)"""
_TELL = """
SELECT a.n, a.seq, pg_notify('room_moved', ($1::bigint[])[a.n]::text) AS told
FROM ({}) AS a"""


class Message(msgspec.Struct, frozen=True):
    """A message event to append. `txn`: what the sending device calls it."""

    room_no: int
    auth: int
    device_no: int | None
    sender: str
    type: str
    txn: str | None
    content: bytes
    counts: bool
    relates_to: int | None
    rel_type: str | None
    mentions: list[str]


class Appender:
    """Appends; `moved` is called with the number of each room that has something new."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        moved: Callable[[int], None],
        *,
        notify: bool,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._moved = moved
        head, select, tail = _APPEND.partition("SELECT n, seq FROM known")
        self._sql = head + _TELL.format(select + tail) if notify else _APPEND
        self._clock_s = clock_s
        # A room's lock is held until its transaction is on disk, so several batches may be under
        # way at once: those of other rooms need not wait.
        self._batcher: Batcher[Message, int | None] = Batcher(
            self._append, size_max=_BATCH_MAX, calls_max=_CALLS_MAX
        )

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._batcher.drain()

    async def send(
        self, session: Session, room_id: str, make: Callable[[int, Rights], Message]
    ) -> int:
        """Append what `make` makes for the room's number and the sender's rights; its number.

        Raises M_FORBIDDEN when the sender may not.
        """
        room_no = await self._rooms.number(room_id)
        if room_no is None:
            raise forbidden("You are not in this room.")
        rights = self._rooms.remembered_rights(room_no, session.user_id)
        is_fresh = False
        for _ in range(_TRIES_MAX):
            if rights is None:
                rights, is_fresh = await self._rooms.rights(room_no, session.user_id), True
            message = make(room_no, rights)
            try:
                authorize(
                    Proposed(session.user_id, message.type, {}),
                    Standing("", rights.membership, rights.power),
                )
            except MatrixError:
                if is_fresh:
                    if (sent := await self._sent(message)) is not None:
                        return sent
                    raise
                # Refused by what is remembered is not refused yet: that may be out of date.
                rights = None
                continue
            seq = await self._batcher.submit(message)
            if seq is not None:
                return seq
            # The room's state has changed since the rights were read.
            rights = None
        raise unavailable()

    async def _sent(self, message: Message) -> int | None:
        """The number of the same send, if it was there before: then its answer was lost, and what
        has become of the sender since then does not matter."""
        found: int | None = await self._database.fetchval(
            _SENT, message.device_no, message.room_no, message.txn, message.type
        )
        return found

    async def _append(self, messages: list[Message]) -> list[int | None]:
        result = await self._insert(messages)
        for room_no in {m.room_no for m in messages}:
            self._moved(room_no)
        return result

    async def _insert(self, messages: list[Message]) -> list[int | None]:
        # The same send twice in one statement would break the unique index; one of them asks again.
        first: dict[tuple[object, ...], int] = {}
        asked: list[Message] = []
        places: list[int] = []
        for message in messages:
            key = (message.device_no, message.room_no, message.txn, message.type)
            place = first.setdefault(key, len(asked)) if message.txn is not None else len(asked)
            if place == len(asked):
                asked.append(message)
            places.append(place)
        rows = await self._run(asked)
        seqs: list[int | None] = [None] * len(asked)
        for row in rows:
            seqs[row[0] - 1] = row[1]
        return [seqs[place] for place in places]

    @tried_again
    async def _run(self, asked: list[Message]) -> list[tuple[int, int]]:
        mentions = [(n, user) for n, m in enumerate(asked, 1) for user in m.mentions]
        arguments = (
            [m.room_no for m in asked],
            [m.auth for m in asked],
            [m.device_no for m in asked],
            [m.sender for m in asked],
            [m.type for m in asked],
            [m.txn for m in asked],
            [m.content for m in asked],
            [m.counts for m in asked],
            [m.relates_to for m in asked],
            [m.rel_type for m in asked],
            int(self._clock_s() * 1000),
            [n for n, _ in mentions],
            [user for _, user in mentions],
        )
        while True:
            try:
                return await self._database.fetch(self._sql, *arguments)
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != "event_txn":
                    raise
                # The same send came to another process too, and is committed now: look again.
