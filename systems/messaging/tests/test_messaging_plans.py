"""No statement of the service reads a growing table from end to end, whoever calls what.

PostgreSQL itself logs how it runs every statement (auto_explain) while each endpoint is called, in
a database of 200,000 events (`MESSAGING_PLAN_EVENTS`) with a room of 10,000 members.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from messaging.described import SHAPES
from messaging.described.schemas import Shape, name_of
from messaging.sessions import digest_of
from messaging.testing import (
    PASSWORD,
    SERVER_NAME,
    Messaging,
    User,
    migrated_database,
    new_database,
    on_database,
)
from systems_common.passwords import hashed
from systems_common.testing import EmbeddedServer, wait_until
from systems_common.testing.plans import (
    Explained,
    explained,
    log_plans,
    outline,
    rows_read,
    sequential_scans,
)

EVENTS = int(os.environ.get("MESSAGING_PLAN_EVENTS", "200000"))
USERS, MEMBERS, SMALL_MEMBERS, EACH = 12_000, 10_000, 5, 100
ROOMS = (EVENTS - 2 * MEMBERS) // EACH
TOKEN = "the token of the tests of plans"
SMALL = {"epoch", "event_text_position", "push_position", "schema_migration", "pusher"}
"""Tables that have as many rows in a large database as in a small one; and pushers, which meet the
members of the rooms that something was said in, whichever are fewer."""
ROWS_BESIDE_MAX, ROWS_RATIO_MAX = 1_500, 5
"""What a statement may read: a few rows for each that it answers with, such as a member's event and
their mark, and beside them as many as a thread has that it sums up."""
REFUSED = {
    # BASE_URL is not set, and the alias is there.
    "GET /.well-known/matrix/client": 404,
    "PUT /directory/room/{roomAlias}": 409,
    # It is public: nobody need knock.
    "POST /knock/{roomIdOrAlias}": 403,
    # Nobody announced that file, and there is none.
    "PUT /_matrix/media/v3/upload/{serverName}/{mediaId}": 404,
    **{
        f"GET {base}/{what}/{{serverName}}/{{mediaId}}{name}": 404
        for base in ("/v1/media", "/_matrix/media/v3")
        for what, name in (("download", ""), ("download", "/{fileName}"), ("thumbnail", ""))
    },
}

# User n has a device, keys and messages to it. Room 1 has 10,000 members, each other 5: room r the
# users from 5 r on, and all users 1 and 2. Each begins with its state; then users talk, and every
# tenth message is in a thread that the room's first message began. Half of the rooms are listed; of
# 30,000 more nothing is known but that they are there.
FILL = f"""
SET session_replication_role = replica; -- what refers to something is there, as it is made here
INSERT INTO account (user_id, password_digest, display_name)
SELECT '@p' || n || ':{SERVER_NAME}', '', 'Person ' || n FROM generate_series(1, {USERS}) AS n;
INSERT INTO device (user_no, device_id) SELECT no, 'D0' FROM account ORDER BY no;
INSERT INTO access_token (digest, device_no) SELECT sha256(no::text::bytea), no FROM device;
INSERT INTO device_key SELECT no, '{{}}' FROM device;
INSERT INTO device_list (user_id) SELECT user_id FROM account;
INSERT INTO user_change (user_no) SELECT no FROM account;
INSERT INTO one_time_key SELECT no, 'signed_curve25519', 'key', '{{}}'
FROM device;
INSERT INTO fallback_key SELECT no, 'signed_curve25519', 'f', '{{}}' FROM device;
INSERT INTO to_device SELECT no, nextval('to_device_no'), '@p1:{SERVER_NAME}', 'm.x', '{{}}'
FROM device;
INSERT INTO to_device_txn SELECT no, 'txn', 'm.x' FROM device;
INSERT INTO filter SELECT no, 0, 'x', '{{"room":{{}}}}' FROM account;
CREATE TEMP TABLE who AS
SELECT 1::bigint AS room_no, n AS place, n AS user_no FROM generate_series(1, {MEMBERS}) AS n
UNION ALL
SELECT r, k, CASE WHEN k <= 2 THEN k ELSE 3 + (r * {SMALL_MEMBERS} + k) % ({USERS} - 3) END
FROM generate_series(2, {ROOMS}) AS r, generate_series(1, {SMALL_MEMBERS}) AS k;
DELETE FROM who WHERE room_no > 12 AND user_no <= 2;
INSERT INTO who VALUES ({ROOMS} + 30000, 1, {USERS}); -- so that members are of rooms of any number
INSERT INTO room (room_id, version, creator, is_listed, seq, auth, counted, joined)
SELECT '!room' || r || ':{SERVER_NAME}', '10', '@p1:{SERVER_NAME}', r % 2 = 0,
       CASE WHEN r = 1 THEN {2 * MEMBERS} ELSE {EACH} END,
       CASE WHEN r = 1 THEN {MEMBERS + 6} ELSE {SMALL_MEMBERS + 6} END,
       CASE WHEN r = 1 THEN {MEMBERS - 6} ELSE {EACH - SMALL_MEMBERS - 6} END,
       CASE WHEN r = 1 THEN {MEMBERS} ELSE {SMALL_MEMBERS} END
FROM generate_series(1, {ROOMS}) AS r;
INSERT INTO room (room_id, version, creator)
SELECT '!empty' || r || ':{SERVER_NAME}', '10', '@p1:{SERVER_NAME}'
FROM generate_series(1, 30000) AS r;
INSERT INTO event (room_no, seq, ts, counted, counts, sender, type, state_key, content)
SELECT r.no, s.seq, 0, 0, false, r.creator, s.type, '', convert_to(s.content, 'UTF8')
FROM room AS r, (VALUES
    (1, 'm.room.create', '{{"creator":"@p1:{SERVER_NAME}","room_version":"10"}}'),
    (2, 'm.room.power_levels', '{{"users":{{"@p1:{SERVER_NAME}":100}}}}'),
    (3, 'm.room.join_rules', '{{"join_rule":"public"}}'),
    (4, 'm.room.history_visibility', '{{"history_visibility":"shared"}}'),
    (5, 'm.room.name', '{{"name":"A room"}}'),
    (6, 'm.room.topic', '{{"topic":"Tea"}}')) AS s(seq, type, content) WHERE r.seq > 0;
INSERT INTO event (room_no, seq, ts, counted, counts, sender, type, state_key, content)
SELECT room_no, 6 + place, 0, 0, false, '@p' || user_no || ':{SERVER_NAME}', 'm.room.member',
       '@p' || user_no || ':{SERVER_NAME}', '{{"membership":"join"}}' FROM who;
INSERT INTO room_state (room_no, type, state_key, seq)
SELECT room_no, type, state_key, seq FROM event;
INSERT INTO member (room_no, user_id, membership, seq)
SELECT room_no, '@p' || user_no || ':{SERVER_NAME}', 'join', 6 + place FROM who;
INSERT INTO event (room_no, seq, ts, device_no, counted, counts, sender, type, txn, content,
                   relates_to, rel_type)
SELECT r.no, n, 0, 1 + n % 20, n - r.auth, true, '@p' || 1 + n % 20 || ':{SERVER_NAME}',
       'm.room.message', n::text, '{{"msgtype":"m.text","body":"Hello"}}',
       CASE WHEN n % 10 = 0 THEN r.auth + 1 END, CASE WHEN n % 10 = 0 THEN 'm.thread' END
FROM room AS r, LATERAL generate_series(r.auth + 1, r.seq) AS n WHERE r.seq > 0;
INSERT INTO read_mark SELECT room_no, '@p' || user_no || ':{SERVER_NAME}', 1, 0 FROM who;
INSERT INTO receipt (room_no, user_id, type, seq, ts)
SELECT room_no, '@p' || user_no || ':{SERVER_NAME}', 'm.read', 30, 0 FROM who;
INSERT INTO highlight SELECT room_no, '@p' || user_no || ':{SERVER_NAME}', 40 FROM who;
INSERT INTO alias SELECT '#room' || no || ':{SERVER_NAME}', no, creator FROM room WHERE seq > 0;
INSERT INTO account_data (user_no, room_no, type, content)
SELECT user_no, room_no, 'm.tag', '{{"tags":{{}}}}' FROM who;
INSERT INTO account_data (user_no, room_no, type, content)
SELECT no, 0, 'm.direct', '{{}}' FROM account;
INSERT INTO media SELECT 'm' || no, no, 'f' || no, 'text/plain' FROM account;
INSERT INTO thumbnail SELECT 'm' || no, 32, 32, false, 't' || no, 'image/png' FROM account;
INSERT INTO doomed_blob SELECT 'd' || no, 'infinity' FROM account;
INSERT INTO pusher (user_no, user_id, device_no, app_id, pushkey, url, content)
SELECT no, user_id, no, 'app', 'key' || no, 'https://push.invalid', '{{}}' FROM account
WHERE no > {USERS} - 300;
INSERT INTO report (room_no, seq, user_no) SELECT 1, 10, no FROM account;
INSERT INTO cross_signing_key SELECT no, 'master', 'k' || no, '{{}}' FROM account;
INSERT INTO key_signature (user_no, signer_no, target, key_id, signature)
SELECT no, no % 100 + 1, 'k' || no, 'ed25519:a', 'signature' FROM account;
UPDATE account SET backups_made = 2;
INSERT INTO key_backup SELECT no, n, 'a', '{{}}' FROM account, generate_series(1, 2) AS n;
INSERT INTO backed_up_key
SELECT no, 2, '!room' || n, 's' || n, 0, 0, true, '{{}}' FROM account, generate_series(1, 3) AS n;
INSERT INTO event_text (room_no, seq, ts, words)
SELECT room_no, seq, ts,
       array_to_tsvector(ARRAY['hello', '#' || room_no, 'word' || seq % 7000 + room_no % 11])
FROM event WHERE type = 'm.room.message' AND seq % 5 = 0;
"""


BIG, LEFT = (f"!room{n}:{SERVER_NAME}" for n in (1, 11))
ME, OTHER = f"@p1:{SERVER_NAME}", f"@p2:{SERVER_NAME}"
AUTH = {"type": "m.login.password", "user": ME, "password": PASSWORD}
VALUES = {
    "roomId": BIG,
    "roomIdOrAlias": f"#room7:{SERVER_NAME}",
    "roomAlias": f"#room1:{SERVER_NAME}",
    "userId": ME,
    "eventType": "m.room.topic",
    "stateKey": "key",
    "txnId": "1",
    "relType": "m.thread",
    "receiptType": "m.read",
    "type": "org.example",
    "tag": "u.work",
    "keyName": "displayname",
    "filterId": "0",
    "deviceId": "PHONE",
    "kind": "override",
    "ruleId": "org.example.rule",
    "serverName": SERVER_NAME,
    "mediaId": "nosuchfile",
    "fileName": "a.txt",
    "version": "1",
    "sessionId": "s1",
}
_BACKUP = {"algorithm": "a", "auth_data": {}}
_BACKED_UP = {
    "first_message_index": 0,
    "forwarded_count": 0,
    "is_verified": True,
    "session_data": {},
}
LAST = ("/leave", "/forget", "/logout", "/logout/all", "/account/deactivate")
"""Paths that end so are called last, in this order."""
BODIES: dict[str, Any] = {
    "POST /login": {**AUTH, "device_id": "LAPTOP"},
    "POST /register": {
        "username": "new",
        "password": "new",
        "auth": {"type": "m.login.dummy"},
        "refresh_token": True,
    },
    "POST /account/deactivate": {"auth": AUTH},
    "POST /account/password": {
        "new_password": PASSWORD,
        "logout_devices": False,
        "auth": AUTH,
    },
    "DELETE /devices/{deviceId}": {"auth": AUTH},
    "POST /delete_devices": {"devices": ["TABLET"], "auth": AUTH},
    "POST /user_directory/search": {"search_term": "person 77"},
    "POST /createRoom": {"invite": [OTHER], "room_alias_name": "new"},
    "POST /publicRooms": {"filter": {"generic_search_term": "no such"}},
    "PUT /directory/room/{roomAlias}": {"room_id": BIG},
    "PUT /profile/{userId}/{keyName}": {"displayname": "Name"},
    "POST /pushers/set": {
        "app_id": "a",
        "pushkey": "b",
        "kind": "http",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": "https://push.example.org/_matrix/push/v1/notify"},
    },
    "POST /keys/device_signing/upload": {
        "master_key": {"user_id": ME, "usage": ["master"], "keys": {"ed25519:new": "new"}},
        "auth": AUTH,
    },
    "POST /keys/signatures/upload": {OTHER: {"k2": {}}},
    "POST /room_keys/version": _BACKUP,
    "PUT /room_keys/version/{version}": _BACKUP,
    "PUT /room_keys/keys": {"rooms": {BIG: {"sessions": {"s0": _BACKED_UP}}}},
    "PUT /room_keys/keys/{roomId}": {"sessions": {}},
    "PUT /room_keys/keys/{roomId}/{sessionId}": _BACKED_UP,
    "PUT /rooms/{roomId}/typing/{userId}": {"typing": False},
    "PUT /rooms/{roomId}/send/{eventType}/{txnId}": {"m.mentions": {"user_ids": [OTHER]}},
    "PUT /sendToDevice/{eventType}/{txnId}": {"messages": {OTHER: {"*": {}}}},
    "POST /keys/upload": {
        "device_keys": {"user_id": ME, "device_id": "D0", "keys": {"a": "b"}},
        "one_time_keys": {"signed_curve25519:new": {}},
        "fallback_keys": {"signed_curve25519:new": {}},
    },
    "POST /keys/query": {"device_keys": {OTHER: []}},
    "PUT /pushrules/global/{kind}/{ruleId}": {"actions": [], "conditions": []},
    "PUT /pushrules/global/{kind}/{ruleId}/enabled": {"enabled": True},
    "PUT /pushrules/global/{kind}/{ruleId}/actions": {"actions": ["notify"]},
    "PUT /presence/{userId}/status": {"presence": "online"},
    "POST /search": {"search_categories": {"room_events": {"search_term": "word40 hello"}}},
    "POST /keys/claim": {"one_time_keys": {OTHER: {"D0": "signed_curve25519"}}},
    **{
        f"POST /rooms/{{roomId}}/{verb}": {"user_id": f"@p{n}:{SERVER_NAME}"}
        for n, verb in ((MEMBERS + 1, "invite"), (3, "kick"), (4, "ban"), (4, "unban"))
    },
}


class Watched:
    """A service on the large database, and the plans of what it asks."""

    def __init__(self, messaging: Messaging, postgres: EmbeddedServer) -> None:
        self.messaging = messaging
        self.user = User(messaging.client, ME, TOKEN, "D0")
        self._log = postgres.log
        self._from = postgres.log.stat().st_size

    def plans(self) -> list[Explained]:
        """Of all statements so far."""

        def written() -> str:
            with self._log.open("rb") as log:
                log.seek(self._from)
                return log.read().decode("utf-8", "replace")

        # Other sessions have written theirs when this last one has.
        self.messaging.sql("SELECT 'the end' AS end")
        wait_until(lambda: "'the end'" in written(), timeout_s=10.0, what="the plans")
        return list(explained(written()))


@pytest.fixture(scope="module")
def watched(postgres: EmbeddedServer, starter: Any) -> Iterator[Watched]:
    url = new_database(postgres.url, migrated_database(postgres.url))

    async def fill(connection: Any) -> None:
        await connection.execute(FILL)
        await connection.execute(
            "UPDATE access_token SET digest = $1 WHERE device_no = 1", digest_of(TOKEN)
        )
        await connection.execute(
            "UPDATE account SET password_digest = $1 WHERE no = 1", hashed(PASSWORD)
        )
        # Their words are there and they were pushed, so there is nothing to catch up with.
        for table in ("event_text_position", "push_position"):
            await connection.execute(f"UPDATE {table} SET seen = pg_current_snapshot()::text")
        await connection.execute("VACUUM ANALYZE")

    on_database(url, fill)
    log_plans(url)
    with starter(DATABASE_URL=url, RECEIPTS="sync") as running:
        yield Watched(msgspec.structs.replace(running, database_url=url), postgres)


def call_everything(watched: Watched) -> dict[str, int]:
    """Call every endpoint; what each answered that was not 200."""
    user = watched.user
    client = watched.messaging.client
    first = {"dir": "f", "limit": 1, "from": f"t{MEMBERS + 6}"}
    [root] = user.ok("GET", f"/rooms/{quote(BIG)}/messages", **first)["chunk"]
    token = user.ok("GET", "/sync")["next_batch"]
    # As of another process: to be read from the database.
    other_token = re.sub("_p[^.]*", "_pother", token)
    for device in ("PHONE", "TABLET"):
        user.ok("POST", "/login", {**AUTH, "device_id": device})
    refreshing = user.ok("POST", "/login", {**AUTH, "device_id": "WATCH", "refresh_token": True})
    values = {**VALUES, "eventId": root["event_id"]}
    queries = {
        "GET /register/available": {"username": "nobody-yet"},
        "GET /v1/rooms/{roomId}/timestamp_to_event": {"ts": 0, "dir": "f"},
        "GET /v1/register/m.login.registration_token/validity": {"token": "any"},
        "GET /keys/changes": {"from": token},
        "GET /sync": {"since": other_token},
        **{
            f"{method} /room_keys/keys{depth}": {"version": "2"}
            for method in ("PUT", "GET", "DELETE")
            for depth in ("", "/{roomId}", "/{roomId}/{sessionId}")
        },
        "GET /v1/media/thumbnail/{serverName}/{mediaId}": {"width": 32, "height": 32},
        "GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}": {"width": 32, "height": 32},
    }
    refused = {}

    def call(shape: Shape, **changed: str) -> None:
        name = name_of(shape)
        path = shape.path
        for key, value in (values | changed).items():
            path = path.replace(f"{{{key}}}", quote(value, safe=""))
        body = {"refresh_token": refreshing["refresh_token"]} if name == "POST /refresh" else {}
        reply = client.request(
            shape.method,
            path,
            json=None if shape.method == "GET" else BODIES.get(name, body),
            params=queries.get(name, {}),
            headers={"Authorization": f"Bearer {user.token}"},
        )
        if reply.status_code != 200:
            refused[name] = reply.status_code

    for shape in sorted(SHAPES, key=_place):
        is_left = shape.path.endswith(("/leave", "/forget"))
        if shape.path.endswith(LAST[2:]):
            token_of_its_own = user.ok("POST", "/login", AUTH)["access_token"]
            user = User(client, ME, token_of_its_own, "")
        call(shape, **({"roomId": LEFT} if is_left else {}))
    return refused


def _place(shape: Shape) -> tuple[int, bool]:
    """What is put is there to be got."""
    ends = [n for n, end in enumerate(LAST, 1) if shape.path.endswith(end)]
    return max(ends, default=0), shape.method != "PUT"


def _is_breach(one: Explained) -> bool:
    answered = one.plan["Actual Rows"]
    whole = [table for table in sequential_scans(one.plan) if table[:3] != "pg_"]
    # What a room of 10,000 members is half of may be read as a whole to answer with them.
    is_whole = bool(set(whole) - SMALL) and answered < MEMBERS / 2
    return is_whole or rows_read(one.plan) > ROWS_BESIDE_MAX + ROWS_RATIO_MAX * answered


def test_no_statement_reads_a_growing_table_to_its_end(watched: Watched) -> None:
    assert call_everything(watched) == REFUSED
    plans = watched.plans()
    assert len({one.sql for one in plans}) > 80
    breaches = {one.sql: outline(one.plan) for one in plans if _is_breach(one)}
    assert not breaches, "\n".join(f"{sql}\n{plan}" for sql, plan in breaches.items())


def test_a_sequential_scan_is_noticed(watched: Watched) -> None:
    watched.messaging.sql("SELECT count(*) FROM event WHERE ts > 0")
    [found] = [one for one in watched.plans() if "ts > 0" in one.sql]
    assert sequential_scans(found.plan) == ["event"]
    assert rows_read(found.plan) > EVENTS / 2
