"""The statements that /sync reads with."""

from __future__ import annotations

from messaging.events import EVENT_COLUMNS

__all__ = [
    "ACCOUNT_DATA",
    "EVENTS",
    "HEROES",
    "INVITED",
    "MEMBERS",
    "RECEIPTS",
    "ROOMS",
    "STATE",
    "STRIPPED",
    "TIMELINES",
    "TO_DEVICE",
    "TURNS",
    "WAS_IN",
]

_E = ", ".join(f"e.{part.strip()}" for part in EVENT_COLUMNS.split(","))

ROOMS = """
SELECT m.room_no, m.membership, m.seq AS member_seq, m.xid::text::bigint AS member_xid,
       r.room_id, r.seq, r.counted, r.joined, r.xid::text::bigint AS xid
FROM member AS m JOIN room AS r ON r.no = m.room_no
WHERE m.user_id = $1 AND NOT m.is_forgotten"""
WAS_IN = """
SELECT w.no, (
    SELECT e.content FROM event AS e
    WHERE e.room_no = w.no AND e.type = 'm.room.member' AND e.state_key = $2
      AND pg_visible_in_snapshot(e.xid, $3::text::pg_snapshot)
    ORDER BY e.seq DESC LIMIT 1
) AS content FROM unnest($1::bigint[]) AS w(no)"""
TIMELINES = f"""
SELECT e.room_no, {_E}
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w(no, first, last)
CROSS JOIN LATERAL (
    SELECT * FROM event WHERE room_no = w.no AND seq BETWEEN w.first AND w.last
    ORDER BY seq DESC LIMIT $4
) AS e ORDER BY e.room_no, e.seq DESC"""
TURNS = """
SELECT room_no, seq, xid::text::bigint AS xid, type, content FROM event
WHERE room_no = ANY($1::bigint[]) AND ((type = 'm.room.history_visibility' AND state_key = '')
                     OR (type = 'm.room.member' AND state_key = $2))
ORDER BY seq"""
STATE = f"""
SELECT e.room_no, {_E} FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = ANY($1::bigint[]) AND (NOT $2 OR s.type <> 'm.room.member')"""
EVENTS = f"""
SELECT e.room_no, {_E} FROM unnest($1::bigint[], $2::bigint[]) AS w(no, seq)
JOIN event AS e ON e.room_no = w.no AND e.seq = w.seq"""
MEMBERS = f"""
SELECT e.room_no, {_E} FROM unnest($1::bigint[], $2::text[]) AS w(no, user_id)
JOIN room_state AS s ON s.room_no = w.no AND s.type = 'm.room.member' AND s.state_key = w.user_id
JOIN event AS e ON e.room_no = s.room_no AND e.seq = s.seq"""
STRIPPED = f"""
SELECT e.room_no, {_E} FROM room_state AS s JOIN event AS e USING (room_no, seq)
WHERE s.room_no = ANY($1::bigint[])
  AND ((s.state_key = '' AND s.type = ANY($2::text[]))
    OR (s.type = 'm.room.member' AND (s.state_key = $3 OR s.state_key = (
        SELECT i.sender FROM member AS m JOIN event AS i ON (i.room_no, i.seq) = (m.room_no, m.seq)
        WHERE m.room_no = s.room_no AND m.user_id = $3))))"""
RECEIPTS = """
SELECT room_no, user_id, type, thread, seq, ts FROM receipt
WHERE room_no = ANY($1::bigint[]) AND xid >= $2::text::xid8
  AND NOT pg_visible_in_snapshot(xid, $3::text::pg_snapshot)"""
ACCOUNT_DATA = """
SELECT room_no, type, content FROM account_data
WHERE user_no = $1 AND NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
ORDER BY room_no, type"""
TO_DEVICE = """
SELECT no, sender, type, content FROM to_device
WHERE device_no = $1 AND no > $2 ORDER BY no LIMIT $3"""
HEROES = """
SELECT w.no, h.user_id, h.membership FROM unnest($1::bigint[]) AS w(no) CROSS JOIN LATERAL (
    SELECT user_id, membership FROM member WHERE room_no = w.no AND user_id <> $2
    AND membership IN ('join', 'invite') ORDER BY user_id LIMIT 5) AS h"""
INVITED = """
SELECT room_no, count(*) AS n FROM member
WHERE room_no = ANY($1::bigint[]) AND membership = 'invite' GROUP BY room_no"""
