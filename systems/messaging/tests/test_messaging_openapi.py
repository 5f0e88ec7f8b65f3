"""What the service says of itself: Schemathesis tries to catch it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from messaging.described import SHAPES
from messaging.endpoints import ROUTES
from messaging.openapi import pattern_of
from messaging.testing import Messaging

EXAMPLES = int(os.environ.get("MESSAGING_SCHEMA_EXAMPLES", "2"))
"""Made-up requests for each operation."""
PHASES = os.environ.get("MESSAGING_SCHEMA_PHASES", "fuzzing")
"""`coverage,fuzzing` also tries the bounds of every parameter: thousands of requests more."""
# They would end the token that all other requests are made with, and take nothing that could be
# made up. Whom they let in the table of authorization says.
LEFT_OUT = ("post_v3_logout", "post_v3_logout_all")


def test_the_document_has_every_endpoint(messaging: Messaging) -> None:
    """An endpoint that is new needs an entry in `described`."""
    described = {(shape.method, pattern_of(shape.path)) for shape in SHAPES}
    assert described == {(route.method, route.pattern) for route in ROUTES}
    paths = messaging.client.get("/openapi.json").json()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert found == {(shape.method, shape.path) for shape in SHAPES}
    names = [one["operationId"] for methods in paths.values() for one in methods.values()]
    assert len(names) == len(set(names))
    assert set(LEFT_OUT) < set(names)
    sync = paths["/_matrix/client/v3/sync"]["get"]
    assert sync["security"] == [{"Token": []}]
    assert sync["summary"].startswith("What is new for this device")
    assert paths["/_matrix/client/v3/login"]["post"]["security"] == []


def test_no_request_breaks_the_schema_or_the_service(proving: Messaging, tmp_path: Path) -> None:
    """Every answer has a documented status, type and shape; none is a server error."""
    user, other = proving.user(), proving.user()
    rooms = [user.create_room(preset="public_chat", name=f"Room {n}") for n in range(3)]
    events = [user.send(room, "one") for room in rooms]
    for room, event in zip(rooms, events, strict=True):
        other.join(room)
        user.send(room, "two", **{"m.relates_to": {"rel_type": "m.thread", "event_id": event}})
    leaving = [user.create_room(preset="public_chat") for _ in range(3)]
    token = user.sync()["next_batch"]
    filter_id = user.ok("POST", f"/user/{quote(user.user_id)}/filter", {"room": {}})["filter_id"]
    backup = {"algorithm": "a", "auth_data": {}}
    version = user.ok("POST", "/room_keys/version", backup)["version"]
    known = {
        "version": [version],
        "roomId": rooms,
        "roomIdOrAlias": rooms,
        "userId": [user.user_id, other.user_id],
        "body.user_id": [other.user_id],
        "eventId": events,
        "eventType": ["m.room.message", "m.room.topic", "m.room.member", "m.room.power_levels"],
        "stateKey": ["", user.user_id, other.user_id],
        "relType": ["m.thread"],
        "receiptType": ["m.read", "m.read.private", "m.fully_read"],
        "deviceId": [user.device_id],
        "filterId": [filter_id],
        "keyName": ["displayname", "avatar_url"],
        "since": [token],
        "from": [token, "t1"],
        "to": [token],
        "at": [token],
        "filter": ['{"lazy_load_members": true}', '{"types": ["m.room.message"]}', filter_id],
    }
    (tmp_path / "schemathesis.toml").write_text(_configuration(known, leaving), "utf-8")
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{proving.process.url}/openapi.json",
            f"--header=Authorization: Bearer {user.token}",
            "--seed=1",
            f"--max-examples={EXAMPLES}",
            f"--phases={PHASES}",
            "--generation-database=none",
            *(f"--exclude-operation-id={name}" for name in LEFT_OUT),
            "--exclude-checks=positive_data_acceptance",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    # It got past the door: the token is good still, and the rooms have events that it sent.
    assert user.ok("GET", "/account/whoami")["user_id"] == user.user_id
    last = proving.sql("SELECT seq FROM room WHERE room_id = ANY($1)", rooms)
    assert sum(row[0] for row in last) > 30


def _configuration(known: dict[str, list[str]], leaving: list[str]) -> str:
    """Most made-up requests are about what is there, and the rooms that are left are others."""
    lines = [
        f"[dictionaries.known{n}]\nvalues = {json.dumps(each)}"
        for n, each in enumerate(known.values())
    ]
    lines.append(f"[dictionaries.leaving]\nvalues = {json.dumps(leaving)}")
    lines.append("[parameters]\ntimeout = 0")
    for n, name in enumerate(known):
        lines.append(f'"{name}" = {{ dictionary = "known{n}", probability = 0.8 }}')
    for verb in ("leave", "forget"):
        lines.append(f'[[operations]]\ninclude-operation-id = "post_v3_rooms_roomId_{verb}"')
        lines.append('[operations.parameters]\nroomId = { dictionary = "leaving" }')
    return "\n".join(lines) + "\n"
