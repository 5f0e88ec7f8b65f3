"""Search: only what one may see, in order, page by page, and nothing that was redacted."""

from __future__ import annotations

import time
from typing import Any

import pytest
from messaging.testing import Messaging, User
from systems_common.testing import wait_until


def search(user: User, term: str, token: str | None = None, **more: Any) -> Any:
    body = {"search_categories": {"room_events": {"search_term": term, **more}}}
    params = {"next_batch": token} if token else {}
    answer = user.ok("POST", "/search", body, **params)
    return answer["search_categories"]["room_events"]


def bodies(found: Any) -> list[str]:
    return [result["result"]["content"]["body"] for result in found["results"]]


def indexed(messaging: Messaging) -> None:
    """Wait until everything that was committed can be found."""

    def is_done() -> bool:
        [row] = messaging.sql(
            "SELECT count(*) AS n FROM event, event_text_position AS p"
            " WHERE NOT pg_visible_in_snapshot(event.xid, p.seen::pg_snapshot)"
        )
        return bool(row["n"] == 0)

    wait_until(is_done, timeout_s=10.0, what="the index")


def test_finding_ordering_and_paging(messaging: Messaging) -> None:
    alice, bob = messaging.user(), messaging.user()
    room = alice.create_room(preset="public_chat", name="Kettle", topic="tea and kettles")
    other = alice.create_room(preset="public_chat")
    bob.join(room)
    alice.send(room, "the kettle boils")
    sent = bob.send(room, "Kettle, kettle: KETTLE!")
    alice.send(other, "a kettle elsewhere")
    alice.send(room, "no such thing")
    alice.send(room, "kettles")
    indexed(messaging)
    found = search(alice, "kettle", order_by="recent", keys=["content.body"])
    assert bodies(found) == ["a kettle elsewhere", "Kettle, kettle: KETTLE!", "the kettle boils"]
    assert (found["count"], found["highlights"]) == (3, ["kettle"])
    assert bodies(search(alice, "kettle", keys=["content.body"]))[0] == "Kettle, kettle: KETTLE!"
    assert bodies(search(bob, "kettle -boils", keys=["content.body"])) == [
        "Kettle, kettle: KETTLE!"
    ]
    kinds = {r["result"]["type"] for r in search(bob, "kettle or tea")["results"]}
    assert kinds == {"m.room.message", "m.room.name", "m.room.topic"}
    for nothing in ("", "!", "\0", "kettle nowhere"):
        assert search(alice, nothing)["results"] == []
    # Page by page, each once, in both orders.
    for order in ("recent", "rank"):
        whole = bodies(search(alice, "kettle", order_by=order, keys=["content.body"]))
        paged, token = [], None
        for _ in whole:
            page = search(
                alice, "kettle", token, order_by=order, keys=["content.body"], filter={"limit": 1}
            )
            paged += bodies(page)
            token = page.get("next_batch")
        assert paged == whole
        assert token is None
    # By what a filter takes.
    for wanted, expected in (
        ({"rooms": [other]}, ["a kettle elsewhere"]),
        ({"not_rooms": [other], "senders": [bob.user_id]}, ["Kettle, kettle: KETTLE!"]),
        ({"types": ["m.room.topic"]}, []),
        ({"rooms": ["!none:example.org"]}, []),
    ):
        assert bodies(search(alice, "kettle", filter=wanted, keys=["content.body"])) == expected
    # With what stands around it, in groups, and with the state of the room.
    found = search(
        alice,
        "boils kettle OR kettle: kettle",
        order_by="recent",
        filter={"rooms": [room], "senders": [bob.user_id]},
        event_context={"before_limit": 1, "after_limit": 2, "include_profile": True},
        groupings={"group_by": [{"key": "room_id"}, {"key": "sender"}]},
        include_state=True,
    )
    [result] = found["results"]
    assert result["result"]["event_id"] == sent
    assert result["rank"] > 0
    context = result["context"]
    assert [e["content"]["body"] for e in context["events_before"]] == ["the kettle boils"]
    after = [e["content"]["body"] for e in context["events_after"]]
    assert after == ["no such thing", "kettles"]
    assert context["profile_info"].keys() == {alice.user_id, bob.user_id}
    page = alice.ok(
        "GET", f"/rooms/{room}/messages", dir="b", limit=1, **{"from": context["start"]}
    )
    assert page["chunk"][0]["type"] == "m.room.member"
    assert found["groups"]["room_id"] == {room: {"order": 0, "results": [sent]}}
    assert found["groups"]["sender"] == {bob.user_id: {"order": 0, "results": [sent]}}
    assert ("m.room.create", "") in {(e["type"], e["state_key"]) for e in found["state"][room]}


def test_only_what_one_may_see_is_found(messaging: Messaging) -> None:
    alice, bob, carol = (messaging.user() for _ in range(3))
    joined = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room = alice.create_room(preset="public_chat", initial_state=[joined])
    alice.send(room, "secret before")
    bob.join(room)
    alice.send(room, "secret within")
    bob.ok("POST", f"/rooms/{room}/leave", {})
    alice.send(room, "secret after")
    indexed(messaging)
    assert len(search(alice, "secret")["results"]) == 3
    found = search(bob, "secret", include_state=True)
    assert bodies(found) == ["secret within"]
    assert found["count"] == 1
    members = {
        e["state_key"]: e["content"]["membership"]
        for e in found["state"][room]
        if e["type"] == "m.room.member"
    }
    assert members == {alice.user_id: "join", bob.user_id: "leave"}
    assert search(carol, "secret")["results"] == []
    # The numbers of rooms are words of the index, but open no room.
    [row] = messaging.sql("SELECT no FROM room WHERE room_id = $1", room)
    assert search(carol, f"#{row['no']}")["results"] == []
    bob.ok("POST", f"/rooms/{room}/forget", {})
    assert search(bob, "secret")["results"] == []


def test_what_was_redacted_is_gone_from_the_index(messaging: Messaging) -> None:
    alice = messaging.user()
    room = alice.create_room()
    early, late = alice.send(room, "regrettable"), alice.send(room, "regrettable too")
    indexed(messaging)
    assert len(search(alice, "regrettable")["results"]) == 2
    alice.ok("PUT", f"/rooms/{room}/redact/{early}/r1", {})
    assert bodies(search(alice, "regrettable")) == ["regrettable too"]
    # Also one that is redacted before it was written there.
    alice.ok("PUT", f"/rooms/{room}/redact/{alice.send(room, 'regrettable 3')}/r2", {})
    alice.ok("PUT", f"/rooms/{room}/redact/{late}/r3", {})
    indexed(messaging)
    assert search(alice, "regrettable")["results"] == []
    left = messaging.sql(
        "SELECT count(*) AS n FROM event_text JOIN room ON room.no = room_no"
        " WHERE room_id = $1 AND words @@ 'regrettable'::tsquery",
        room,
    )
    assert left[0]["n"] == 0


def test_odd_contents_do_not_stop_the_index(messaging: Messaging) -> None:
    alice = messaging.user()
    room = alice.create_room()
    for number, body in enumerate(["a\0b odd", 5, None, {"x": "odd"}, "\\u0000 odd", "ö" * 30_000]):
        content = {"msgtype": "m.text", "body": body}
        alice.ok("PUT", f"/rooms/{room}/send/m.room.message/odd{number}", content)
    alice.ok("PUT", f"/rooms/{room}/send/m.room.message/none", {})
    alice.send(room, "odd but fine")
    indexed(messaging)
    assert "odd but fine" in bodies(search(alice, "odd"))


def test_more_than_one_chunk_is_taken(messaging: Messaging) -> None:
    """As after an import, or when nothing was indexed for long."""
    alice = messaging.user()
    room = alice.create_room()
    messaging.sql(
        """WITH moved AS (UPDATE room SET seq = seq + 4500, xid = pg_current_xact_id()
                          WHERE room_id = $1 RETURNING no, seq - 4500 AS seq)
           INSERT INTO event (room_no, seq, ts, counted, counts, sender, type, content)
           SELECT no, seq + n, n, 0, false, $2, 'm.room.message',
                  convert_to('{"msgtype":"m.text","body":"bulk ' || n || '"}', 'UTF8')
           FROM moved, generate_series(1, 4500) AS n""",
        room,
        alice.user_id,
    )
    alice.send(room, "and one")
    indexed(messaging)
    assert bodies(search(alice, "bulk", order_by="recent", filter={"limit": 2})) == [
        "bulk 4500",
        "bulk 4499",
    ]
    assert bodies(search(alice, "bulk 1234")) == ["bulk 1234"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"search_term": 1},
        {"search_term": "x" * 1_001},
        {"search_term": "x", "order_by": "oldest"},
        {"search_term": "x", "keys": ["content.other"]},
        {"search_term": "x", "groupings": {"group_by": [{"key": "type"}]}},
        {"search_term": "x", "event_context": {"before_limit": -1}},
        {"search_term": "x", "filter": {"limit": "5"}},
    ],
)
def test_what_is_refused(messaging: Messaging, asked: Any) -> None:
    user = _somebody(messaging)
    reply = user.call("POST", "/search", {"search_categories": {"room_events": asked}})
    assert reply.status_code == 400, reply.text


def test_tokens_of_something_else(messaging: Messaging) -> None:
    user = _somebody(messaging)
    body = {"search_categories": {"room_events": {"search_term": "x"}}}
    for token in ("x", "n5_1_1", "r1_1", "r--_1_1", "r1e99_1_1", "r1e-99_1_1", f"n{2**70}_1_1"):
        reply = user.call("POST", "/search", body, next_batch=token)
        assert reply.status_code == 400, (token, reply.text)
    assert user.ok("POST", "/search", {"search_categories": {}}) == {"search_categories": {}}


_users: list[User] = []


def _somebody(messaging: Messaging) -> User:
    if not _users:
        _users.append(messaging.user())
    return _users[0]


def test_a_search_that_is_off_is_not_there(switched: Messaging) -> None:
    user = switched.user()
    user.send(user.create_room(), "x")
    body = {"search_categories": {"room_events": {"search_term": "x"}}}
    assert user.call("POST", "/search", body).status_code == 404
    time.sleep(0.6)
    assert switched.sql("SELECT count(*) AS n FROM event_text")[0]["n"] == 0
