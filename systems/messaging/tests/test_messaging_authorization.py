"""Every endpoint there is, called by everybody: whom it lets in is written down here.

A new endpoint needs a row in one of the three tables.
"""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

import httpx
from messaging.described import SHAPES
from messaging.described.schemas import name_of
from messaging.endpoints import ROUTES
from messaging.openapi import pattern_of
from messaging.testing import SERVER_NAME, Messaging, User

# Statuses for who is signed in and who is not.
ANYBODY: dict[str, str] = {
    #                                      anonymous, signed in
    "GET /health":                            "200 200",
    "GET /health/live":                       "200 200",
    "GET /health/ready":                      "200 200",
    "GET /openapi.json":                      "200 200",
    "GET /_matrix/client/versions":           "200 200",
    "GET /.well-known/matrix/client":         "404 404",
    "GET /capabilities":                      "401 200",
    "GET /login":                             "200 200",
    "POST /login":                            "400 400",
    "POST /register":                         "401 401",
    "GET /register/available":                "200 200",
    "POST /refresh":                          "400 400",
    "GET /account/whoami":                    "401 200",
    # With no password: the stage that wants it.
    "POST /account/password":                 "401 401",
    "POST /account/deactivate":               "401 401",
    "POST /delete_devices":                   "401 401",
    "DELETE /devices/{deviceId}":             "401 401",
    "GET /devices":                           "401 200",
    "GET /devices/{deviceId}":                "401 200",
    "PUT /devices/{deviceId}":                "401 200",
    "POST /user_directory/search":            "401 200",
    "POST /createRoom":                       "401 200",
    "GET /joined_rooms":                      "401 200",
    "GET /publicRooms":                       "200 200",
    "POST /publicRooms":                      "401 200",
    "GET /sync":                              "401 200",
    "GET /pushrules":                         "401 200",
    "GET /pushrules/":                        "401 200",
    "GET /pushrules/global":                  "401 200",
    "GET /pushrules/global/":                 "401 200",
    # What is put is there to be got, until it is deleted.
    "PUT /pushrules/global/{kind}/{ruleId}":  "401 200",
    "GET /pushrules/global/{kind}":           "401 200",
    "GET /pushrules/global/{kind}/{ruleId}":  "401 200",
    "GET /pushrules/global/{kind}/{ruleId}/enabled": "401 200",
    "PUT /pushrules/global/{kind}/{ruleId}/enabled": "401 200",
    "GET /pushrules/global/{kind}/{ruleId}/actions": "401 200",
    "PUT /pushrules/global/{kind}/{ruleId}/actions": "401 200",
    "DELETE /pushrules/global/{kind}/{ruleId}": "401 200",
    "POST /search":                           "401 200",
    "PUT /sendToDevice/{eventType}/{txnId}":  "401 200",
    # Of files the upload of one that nobody announced, and reading one that is not there.
    "POST /_matrix/media/v3/upload":          "401 200",
    "POST /_matrix/media/v1/create":          "401 200",
    "PUT /_matrix/media/v3/upload/{serverName}/{mediaId}": "401 404",
    "GET /v1/media/config":                   "401 200",
    "GET /v1/media/download/{serverName}/{mediaId}": "401 404",
    "GET /v1/media/download/{serverName}/{mediaId}/{fileName}": "401 404",
    "GET /v1/media/thumbnail/{serverName}/{mediaId}": "401 404",
    "GET /_matrix/media/v3/config":           "401 200",
    "GET /_matrix/media/v3/download/{serverName}/{mediaId}": "404 404",
    "GET /_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}": "404 404",
    "GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}": "404 404",
    "POST /keys/upload":                      "401 200",
    "POST /keys/query":                       "401 200",
    "POST /keys/claim":                       "401 200",
    "GET /keys/changes":                      "401 200",
    "POST /keys/device_signing/upload":       "401 200",
    "POST /keys/signatures/upload":           "401 200",
    "POST /room_keys/version":                "401 200",
    "GET /room_keys/version":                 "401 200",
    "GET /room_keys/version/{version}":       "401 200",
    "PUT /room_keys/version/{version}":       "401 200",
    "PUT /room_keys/keys":                    "401 200",
    "GET /room_keys/keys":                    "401 200",
    "PUT /room_keys/keys/{roomId}":           "401 200",
    "GET /room_keys/keys/{roomId}":           "401 200",
    "PUT /room_keys/keys/{roomId}/{sessionId}": "401 200",
    "GET /room_keys/keys/{roomId}/{sessionId}": "401 200",
    "DELETE /room_keys/keys/{roomId}/{sessionId}": "401 200",
    "DELETE /room_keys/keys/{roomId}":        "401 200",
    "DELETE /room_keys/keys":                 "401 200",
    "DELETE /room_keys/version/{version}":    "401 200",
    "GET /voip/turnServer":                   "401 200",
    "GET /thirdparty/protocols":              "401 200",
    "GET /account/3pid":                      "401 200",
    "GET /v1/register/m.login.registration_token/validity": "200 200",
    "GET /pushers":                           "401 200",
    "POST /pushers/set":                      "401 200",
    "GET /notifications":                     "401 200",
    "POST /logout":                           "401 200",
    "POST /logout/all":                       "401 200",
}  # fmt: skip

# What is a user's: of somebody else it is asked for with their id in the path.
OF_A_USER: dict[str, str] = {
    #                                      anonymous, another, oneself
    "GET /profile/{userId}":                  "200 200 200",
    "GET /profile/{userId}/{keyName}":        "200 200 200",
    "PUT /profile/{userId}/{keyName}":        "401 403 200",
    "POST /user/{userId}/filter":             "401 403 200",
    "GET /user/{userId}/filter/{filterId}":   "401 403 200",
    "PUT /user/{userId}/account_data/{type}": "401 403 200",
    "GET /user/{userId}/account_data/{type}": "401 403 200",
    # Of another with whom no room is shared.
    "GET /presence/{userId}/status":          "401 403 200",
    "PUT /presence/{userId}/status":          "401 403 200",
}  # fmt: skip

# A room that is entered by invitation and whose history its members share. Who left or was banned
# had been in it, and sees what was there until then. `weak` has a level below that of messages.
ROLES = ("anonymous", "stranger", "invited", "left", "banned", "weak", "member", "admin")
READS = "401 403 403 200 200 200 200 200"
INSIDE = "401 403 403 403 403 200 200 200"
SPEAKS = "401 403 403 403 403 403 200 200"
RULES = "401 403 403 403 403 403 403 200"
OPEN = "200 200 200 200 200 200 200 200"
IN_A_ROOM: dict[str, str] = {
    # In the order of ROLES.
    "POST /join/{roomIdOrAlias}":                          "401 403 200 403 403 200 200 200",
    "POST /rooms/{roomId}/join":                           "401 403 200 403 403 200 200 200",
    "POST /knock/{roomIdOrAlias}":                         "401 403 403 403 403 403 403 403",
    "POST /rooms/{roomId}/leave":                          "401 403 200 403 403 200 200 200",
    "POST /rooms/{roomId}/forget":                         "401 400 400 200 200 400 400 400",
    "POST /rooms/{roomId}/invite":                         SPEAKS,
    "POST /rooms/{roomId}/kick":                           RULES,
    "POST /rooms/{roomId}/ban":                            RULES,
    "POST /rooms/{roomId}/unban":                          RULES,
    "GET /rooms/{roomId}/joined_members":                  INSIDE,
    "GET /rooms/{roomId}/members":                         READS,
    "GET /rooms/{roomId}/state":                           READS,
    "GET /rooms/{roomId}/state/{eventType}":               READS,
    "GET /rooms/{roomId}/state/{eventType}/{stateKey}":    READS,
    "PUT /rooms/{roomId}/state/{eventType}":               RULES,
    "PUT /rooms/{roomId}/state/{eventType}/{stateKey}":    RULES,
    # Who was invited may know what it is.
    "GET /v1/rooms/{roomId}/hierarchy":                    "401 403 200 403 403 200 200 200",
    "GET /v1/rooms/{roomId}/timestamp_to_event":           READS,
    "POST /rooms/{roomId}/report/{eventId}":               "401 404 404 404 404 200 200 200",
    "GET /rooms/{roomId}/aliases":                         READS,
    "GET /directory/room/{roomAlias}":                     OPEN,
    "PUT /directory/room/{roomAlias}":                     INSIDE,
    "DELETE /directory/room/{roomAlias}":                  RULES,
    "GET /directory/list/room/{roomId}":                   OPEN,
    "PUT /directory/list/room/{roomId}":                   RULES,
    "PUT /rooms/{roomId}/send/{eventType}/{txnId}":        SPEAKS,
    "PUT /rooms/{roomId}/redact/{eventId}/{txnId}":        RULES,
    "GET /rooms/{roomId}/event/{eventId}":                 READS,
    "GET /rooms/{roomId}/messages":                        READS,
    "GET /rooms/{roomId}/context/{eventId}":               READS,
    "GET /v1/rooms/{roomId}/relations/{eventId}":          READS,
    "GET /v1/rooms/{roomId}/relations/{eventId}/{relType}": READS,
    "GET /v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}": READS,
    "GET /v1/rooms/{roomId}/threads":                      READS,
    "POST /rooms/{roomId}/receipt/{receiptType}/{eventId}": INSIDE,
    "POST /rooms/{roomId}/read_markers":                   INSIDE,
    "PUT /rooms/{roomId}/typing/{userId}":                 INSIDE,
    # Nothing is kept there yet: 404 is for who was let in.
    "GET /user/{userId}/rooms/{roomId}/account_data/{type}": "401 403 404 404 403 404 404 404",
    "PUT /user/{userId}/rooms/{roomId}/account_data/{type}": "401 403 200 200 403 200 200 200",
    "GET /user/{userId}/rooms/{roomId}/tags":              INSIDE,
    "PUT /user/{userId}/rooms/{roomId}/tags/{tag}":        INSIDE,
    "DELETE /user/{userId}/rooms/{roomId}/tags/{tag}":     INSIDE,
}  # fmt: skip

VALUES = {
    "eventType": "m.room.message",
    "stateKey": "key",
    "txnId": "1",
    "relType": "m.thread",
    "receiptType": "m.read",
    "type": "org.example",
    "tag": "u.work",
    "keyName": "displayname",
    "filterId": "0",
    "deviceId": "D0",
    "kind": "override",
    "ruleId": "org.example.rule",
    "serverName": SERVER_NAME,
    "mediaId": "nosuchfile",
    "fileName": "a.txt",
    "version": "1",
    "sessionId": "session",
}
_SIZE = "width=32&height=32"
QUERIES = {
    "GET /register/available": "username=nobody-yet",
    "GET /v1/rooms/{roomId}/timestamp_to_event": "ts=0&dir=f",
    "GET /v1/register/m.login.registration_token/validity": "token=any",
    "GET /v1/media/thumbnail/{serverName}/{mediaId}": _SIZE,
    "GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}": _SIZE,
    **{
        f"{method} /room_keys/keys{depth}": "version=1"
        for method in ("PUT", "GET", "DELETE")
        for depth in ("", "/{roomId}", "/{roomId}/{sessionId}")
    },
}
_BACKUP = {"algorithm": "a", "auth_data": {}}
_KEY = {"first_message_index": 0, "forwarded_count": 0, "is_verified": True, "session_data": {}}
BODIES: dict[str, Any] = {
    "POST /account/password": {"new_password": "new"},
    "POST /delete_devices": {"devices": ["D0"]},
    "POST /user_directory/search": {"search_term": "no such"},
    "PUT /sendToDevice/{eventType}/{txnId}": {"messages": {}},
    "POST /keys/query": {"device_keys": {}},
    "POST /keys/claim": {"one_time_keys": {}},
    "PUT /profile/{userId}/{keyName}": {"displayname": "Name"},
    "PUT /pushrules/global/{kind}/{ruleId}": {"actions": [], "conditions": []},
    "PUT /pushrules/global/{kind}/{ruleId}/enabled": {"enabled": True},
    "PUT /pushrules/global/{kind}/{ruleId}/actions": {"actions": []},
    "PUT /presence/{userId}/status": {"presence": "online"},
    "POST /search": {"search_categories": {"room_events": {"search_term": "tea"}}},
    "POST /pushers/set": {"app_id": "a", "pushkey": "b", "kind": None},
    "POST /room_keys/version": _BACKUP,
    "PUT /room_keys/version/{version}": _BACKUP,
    "PUT /room_keys/keys": {"rooms": {}},
    "PUT /room_keys/keys/{roomId}": {"sessions": {}},
    "PUT /room_keys/keys/{roomId}/{sessionId}": _KEY,
    "PUT /rooms/{roomId}/typing/{userId}": {"typing": False},
    "PUT /rooms/{roomId}/state/{eventType}": {"topic": "another"},
}
BY_NAME = {name_of(shape): shape for shape in SHAPES}
_OPEN = {(route.method, route.pattern) for route in ROUTES if route.public}
PUBLIC = {name for name, one in BY_NAME.items() if (one.method, pattern_of(one.path)) in _OPEN}


class Cell:
    """One call: of an endpoint, by somebody, about a room that is there for it alone."""

    def __init__(self, messaging: Messaging, name: str, caller: User | None, number: int) -> None:
        self.messaging = messaging
        self.name = name
        self.caller = caller
        self.room = f"!cell-{number}:{SERVER_NAME}"
        self.values = {
            **VALUES,
            "roomId": self.room,
            "roomIdOrAlias": self.room,
            "roomAlias": f"#cell-{number}:{SERVER_NAME}",
            "userId": caller.user_id if caller else f"@nobody:{SERVER_NAME}",
        }
        if name.startswith("PUT /directory/room/"):
            self.values["roomAlias"] = f"#new-{number}:{SERVER_NAME}"
        if "/state/{eventType}" in name:
            self.values["eventType"] = "m.room.topic"

    def call(self, body: Any = None, query: str = "", token: str = "") -> httpx.Response:
        endpoint = BY_NAME[self.name]
        path = endpoint.path
        for name, value in self.values.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        token = token or (self.caller.token if self.caller else "")
        return self.messaging.client.request(
            endpoint.method,
            f"{path}?{query or QUERIES.get(self.name, '')}",
            json=None if endpoint.method == "GET" else body or BODIES.get(self.name, {}),
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )


def test_every_endpoint_has_its_row() -> None:
    rows = [*ANYBODY, *OF_A_USER, *IN_A_ROOM]
    assert len(rows) == len(set(rows))
    assert set(rows) == set(BY_NAME)
    assert len(BY_NAME) == len(ROUTES)


def test_everybody_is_let_in_where_the_table_says(proving: Messaging) -> None:
    [[user], [other]] = proving.users(2)
    query = f"from={user.sync()['next_batch']}"
    found: dict[str, str] = {}
    for name in (*ANYBODY, *OF_A_USER):
        about = [other, user] if name in OF_A_USER else [user]
        cells = [Cell(proving, name, None, 0), *(Cell(proving, name, user, 0) for _ in about)]
        for cell, owner in zip(cells, [user, *about], strict=True):
            cell.values["userId"] = owner.user_id
        more = query if name == "GET /keys/changes" else ""
        if name.startswith("POST /logout"):
            # It ends a token, and that of the others is still needed.
            [[cells[1].caller]] = proving.users(1)
        replies = [cell.call(query=more) for cell in cells]
        found[name] = " ".join(str(reply.status_code) for reply in replies)
        if name not in PUBLIC:
            assert replies[0].json()["errcode"] == "M_MISSING_TOKEN", name
            refused = cells[0].call(token="mat_unknown", query=more)
            assert (refused.status_code, refused.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert found == {**ANYBODY, **OF_A_USER}


# A copy of a room, one for each call, under the ids !cell-1, !cell-2, …
COPY = """
WITH made AS (
    INSERT INTO room (room_id, version, creator, seq, auth, counted, joined)
    SELECT '!cell-' || n || ':' || $3, version, creator, seq, auth, counted, joined
    FROM room, generate_series(1, $2::int) AS n WHERE room_id = $1 RETURNING no, room_id
), original AS (
    SELECT no FROM room WHERE room_id = $1
), events AS (
    INSERT INTO event (room_no, seq, ts, counted, counts, replaces, relates_to, sender, type,
                       state_key, rel_type, content)
    SELECT m.no, seq, ts, counted, counts, replaces, relates_to, sender, type, state_key, rel_type,
           content
    FROM made AS m, event WHERE room_no = (SELECT no FROM original)
), states AS (
    INSERT INTO room_state (room_no, type, state_key, seq)
    SELECT m.no, type, state_key, seq
    FROM made AS m, room_state WHERE room_no = (SELECT no FROM original)
), members AS (
    INSERT INTO member (room_no, user_id, membership, seq)
    SELECT m.no, user_id, membership, seq
    FROM made AS m, member WHERE room_no = (SELECT no FROM original)
)
INSERT INTO alias (alias, room_no, creator)
SELECT '#' || substr(m.room_id, 2), m.no, r.creator
FROM made AS m, room AS r WHERE r.room_id = $1"""


def test_a_room_lets_in_whom_the_table_says(proving: Messaging) -> None:
    people = [devices[0] for devices in proving.users(len(ROLES) + 2)]
    victim, outlaw, *others = people
    users: dict[str, User | None] = dict(zip(ROLES, others, strict=False))
    weak, member, admin = others[-3:]
    users["anonymous"] = None
    invited = [user for role, user in users.items() if user and role not in ("stranger", "admin")]
    room = admin.create_room(
        invite=[one.user_id for one in (victim, outlaw, *invited)],
        power_level_content_override={"users": {admin.user_id: 100, weak.user_id: -1}},
        topic="Tea",
    )
    left, banned = users["left"], users["banned"]
    assert left is not None and banned is not None
    event = admin.send(room, "one")
    admin.send(room, "two", **{"m.relates_to": {"rel_type": "m.thread", "event_id": event}})
    for one in (victim, outlaw, left, banned, weak, member):
        one.join(room)
    left.ok("POST", f"/rooms/{room}/leave", {})
    for one in (banned, outlaw):
        admin.ok("POST", f"/rooms/{room}/ban", {"user_id": one.user_id})
    cells = {
        (name, role): Cell(proving, name, users[role], number)
        for number, (name, role) in enumerate(itertools.product(IN_A_ROOM, ROLES), 1)
    }
    proving.sql(COPY, room, len(cells), SERVER_NAME)
    targets = {"invite": others[1], "kick": victim, "ban": victim, "unban": outlaw}
    found: dict[str, list[str]] = {}
    for (name, role), cell in cells.items():
        cell.values["eventId"] = f"${cell.room[1:].partition(':')[0]}.{event.rpartition('.')[2]}"
        if name.startswith("GET") and "{stateKey}" in name:
            cell.values |= {"eventType": "m.room.member", "stateKey": victim.user_id}
        target = targets.get(name.rpartition("/")[2])
        body = {"user_id": target.user_id} if target else None
        if name == "PUT /directory/room/{roomAlias}":
            body = {"room_id": cell.room}
        reply = cell.call(body)
        found.setdefault(name, []).append(str(reply.status_code))
        if reply.status_code == 403:
            assert reply.json()["errcode"] == "M_FORBIDDEN", (name, role)
        if "{userId}" in name and role == "member":
            # Nobody acts for another, whatever room they share.
            cell.values["userId"] = admin.user_id
            assert cell.call(body).status_code == 403, name
    assert {name: " ".join(statuses) for name, statuses in found.items()} == IN_A_ROOM
    # Who was refused changed nothing.
    refused = [
        cell.room
        for (name, role), cell in cells.items()
        if IN_A_ROOM[name].split()[ROLES.index(role)] in ("401", "403")
    ]
    moved = proving.sql(
        "SELECT room_id FROM room WHERE room_id = ANY($1)"
        " AND (seq, is_listed) <> (SELECT seq, false FROM room WHERE room_id = $2)",
        refused,
        room,
    )
    assert len(refused) > 100
    assert moved == []
