"""Push rules: reading and changing them, and the unread counts that follow them."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messaging.mentions import counts_as_unread, mentioned
from messaging.power import power_levels_of
from messaging.push_evaluation import (
    OwnRules,
    Surroundings,
    _contains,
    _is_all,
    own_rules,
    verdict,
)
from messaging.push_rules import Changes, Rule, rules_of
from messaging.testing import Messaging, User

ME, OTHER = "@me:x", "@other:x"
AROUND = Surroundings("!r:x", 2, "Me Myself", power_levels_of({"users": {OTHER: 50}}, OTHER))


def pair(messaging: Messaging) -> tuple[User, User, str]:
    alice, bob = messaging.user(), messaging.user()
    room = alice.create_room(preset="public_chat")
    bob.join(room)
    bob.sync()
    return alice, bob, room


def ids(user: User, kind: str) -> list[str]:
    return [rule["rule_id"] for rule in user.ok("GET", f"/pushrules/global/{kind}")]


def put(user: User, path: str, body: Any, **params: Any) -> None:
    user.ok("PUT", f"/pushrules/global/{path}", body, **params)


def test_rules_are_read_changed_and_told(messaging: Messaging) -> None:
    user = messaging.user()
    first = user.sync()["account_data"]["events"]
    everything = user.ok("GET", "/pushrules/")
    assert first == [{"type": "m.push_rules", "content": everything}]
    assert user.ok("GET", "/pushrules/global/") == everything["global"]
    assert user.ok("GET", "/pushrules/global/override/") == everything["global"]["override"]
    predefined = ids(user, "override")
    assert predefined[0] == ".m.rule.master"
    assert predefined[-1] == ".m.rule.suppress_edits"

    put(user, "content/cake", {"pattern": "cake", "actions": ["notify", "coalesce"]})
    [told] = user.sync(timeout=5_000)["account_data"]["events"]
    assert told["content"] == user.ok("GET", "/pushrules/")
    assert user.ok("GET", f"/user/{user.user_id}/account_data/m.push_rules") == told["content"]
    cake = user.ok("GET", "/pushrules/global/content/cake")
    assert cake == {
        "rule_id": "cake",
        "default": False,
        "enabled": True,
        "pattern": "cake",
        "actions": ["notify"],
    }
    # The newest comes first, unless it is said where it comes.
    put(user, "content/tea", {"pattern": "tea", "actions": []})
    put(user, "content/last", {"pattern": "x", "actions": []}, after="cake")
    put(user, "content/second", {"pattern": "x", "actions": []}, before="cake")
    own = ["tea", "second", "cake", "last"]
    assert ids(user, "content") == [*own, ".m.rule.contains_user_name"]
    # One that is changed stays where it is, and as enabled as it is.
    put(user, "content/cake/enabled", {"enabled": False})
    put(user, "content/cake", {"pattern": "pie", "actions": []})
    assert ids(user, "content")[:4] == own
    assert user.ok("GET", "/pushrules/global/content/cake/enabled") == {"enabled": False}
    put(user, "content/cake/actions", {"actions": ["notify"]})
    assert user.ok("GET", "/pushrules/global/content/cake/actions") == {"actions": ["notify"]}
    assert user.ok("GET", "/pushrules/global/content/cake")["pattern"] == "pie"
    user.ok("DELETE", "/pushrules/global/content/cake")
    assert user.call("GET", "/pushrules/global/content/cake").status_code == 404
    # The master rule stays before those of the user.
    put(user, "override/mine", {"actions": [], "conditions": []})
    assert ids(user, "override")[:3] == [".m.rule.master", "mine", ".m.rule.suppress_notices"]
    put(user, "underride/.m.rule.message/actions", {"actions": []})
    put(user, "override/.m.rule.master/enabled", {"enabled": True})
    found = user.ok("GET", "/pushrules/")["global"]
    assert found["override"][0]["enabled"] is True
    assert [r["actions"] for r in found["underride"] if r["rule_id"] == ".m.rule.message"] == [[]]
    # Those of others are as they were.
    assert messaging.user().ok("GET", "/pushrules/") != {"global": found}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "x", None, 404),
        ("GET", "global/x", None, 404),
        ("GET", "global/override/none", None, 404),
        ("GET", "global/override/none/enabled", None, 404),
        ("PUT", "global/override/none/enabled", {"enabled": True}, 404),
        ("PUT", "global/override/none/actions", {"actions": []}, 404),
        ("PUT", "global/override/.m.rule.master/enabled", {"enabled": 1}, 400),
        ("PUT", "global/override/.mine", {"actions": []}, 400),
        ("PUT", "global/other/x", {"actions": []}, 400),
        ("PUT", "global/override/x", {}, 400),
        ("PUT", "global/override/x", {"actions": [1]}, 400),
        ("PUT", "global/override/x", {"actions": [], "conditions": [1]}, 400),
        ("PUT", "global/content/x", {"actions": []}, 400),
        ("PUT", "global/room/x?before=none", {"actions": []}, 400),
        ("PUT", "global/room/x?after=.m.rule.master", {"actions": []}, 400),
        ("PUT", "global/content/x", {"actions": [], "pattern": "x" * 60_000}, 413),
        ("DELETE", "global/override/none", None, 404),
        ("DELETE", "global/override/.m.rule.master", None, 400),
    ],
)
def test_what_is_refused(
    messaging: Messaging, method: str, path: str, body: Any, code: int
) -> None:
    path, _, query = path.partition("?")
    params = dict([query.split("=")]) if query else {}
    reply = _somebody(messaging).call(method, f"/pushrules/{path}", body, **params)
    assert reply.status_code == code, reply.text


_users: list[User] = []


def _somebody(messaging: Messaging) -> User:
    if not _users:
        _users.append(messaging.user())
    return _users[0]


@pytest.mark.parametrize("path", ["remembered", "read"])
def test_counts_follow_changed_rules(messaging: Messaging, path: str) -> None:
    """The same from what a process remembers, and read from the database for each answer."""
    alice, bob, room = pair(messaging)
    reading = {"full_state": "true"} if path == "read" else {"timeout": 5_000}

    def counts() -> tuple[int, int]:
        shown = bob.sync(**reading)["rooms"]["join"][room]["unread_notifications"]
        return shown["notification_count"], shown["highlight_count"]

    def say(body: str, **content: Any) -> tuple[int, int]:
        alice.send(room, body, **content)
        return counts()

    mention = {"m.mentions": {"user_ids": [bob.user_id]}}
    assert say("one") == (1, 0)
    # Mentions only: what was there before is judged by the new rules too.
    put(bob, f"room/{room}", {"actions": []})
    bob.sync()
    assert say("two") == (0, 0)
    assert say("you", **mention) == (1, 1)
    assert say("an edit", **{**mention, "m.relates_to": {"rel_type": "m.replace"}}) == (2, 2)
    loud = ["notify", {"set_tweak": "highlight"}]
    put(bob, "content/cake", {"pattern": "c?ke", "actions": loud})
    bob.sync()
    assert say("Cake!") == (3, 3)
    assert say("cakes") == (3, 3)
    assert say("a secret") == (3, 3)
    put(bob, "override/.m.rule.is_user_mention/enabled", {"enabled": False})
    bob.sync()
    assert say("more cake") == (2, 2)
    # Reading takes them away.
    bob.ok("POST", f"/rooms/{room}/receipt/m.read/{alice.send(room, 'seen cake')}", {})
    # Receipts are stored within a twentieth of a second.
    time.sleep(0.1)
    bob.sync()
    assert say("cake again") == (1, 1)
    put(bob, "override/.m.rule.master/enabled", {"enabled": True})
    bob.sync()
    assert say("cake and cake") == (0, 0)
    # And without any change they are those of everybody again.
    bob.ok("DELETE", "/pushrules/global/content/cake")
    bob.ok("DELETE", f"/pushrules/global/room/{room}")
    put(bob, "override/.m.rule.master/enabled", {"enabled": False})
    put(bob, "override/.m.rule.is_user_mention/enabled", {"enabled": True})
    bob.sync()
    assert say("the last") == (3, 0)


def judged(changes: Changes, kind: str, content: dict[str, Any]) -> tuple[bool, bool]:
    rules = [(k, r) for k, those in rules_of(ME, changes).items() for r in those if r.enabled]
    return verdict(OwnRules(ME, tuple(rules), False), kind, OTHER, content, AROUND)


@given(
    kind=st.sampled_from(["m.room.message", "m.room.encrypted", "m.reaction", "m.call.invite"]),
    msgtype=st.sampled_from(["m.text", "m.notice", None]),
    users=st.sampled_from([[ME], [OTHER], [], None, "me"]),
    room=st.sampled_from([True, False, 1, None]),
    relation=st.sampled_from(["m.replace", "m.thread", None]),
)
def test_the_rules_say_what_is_counted_when_an_event_is_appended(
    kind: str, msgtype: Any, users: Any, room: Any, relation: Any
) -> None:
    """Two ways of counting: by looking at rules, and by knowing what the predefined ones say."""
    content: dict[str, Any] = {"m.mentions": {"user_ids": users, "room": room}}
    content |= {"msgtype": msgtype, "m.relates_to": {"rel_type": relation}}
    named = bool({ME, "@room"} & set(mentioned(content, room_level=True)))
    expected = (counts_as_unread(kind, content) or named, named)
    assert judged(Changes(), kind, content) == expected


def test_only_what_changes_counts_makes_rules_ones_own() -> None:
    assert own_rules(ME, None) is None
    sound = b'{"actions":{".m.rule.message":["notify",{"set_tweak":"sound","value":"x"}]}}'
    assert own_rules(ME, sound) is None
    assert own_rules(ME, b'{"actions":{".m.rule.message":[]}}') is not None
    silent = own_rules(ME, b'{"enabled":{".m.rule.master":true}}')
    assert silent is not None and silent.is_silent


LOUD = ["notify", {"set_tweak": "highlight"}]


@pytest.mark.parametrize(
    ("condition", "content", "matches"),
    [
        ({"kind": "event_match", "key": "type", "pattern": "M.ROOM.*"}, {}, True),
        ({"kind": "event_match", "key": "room_id", "pattern": "!r:x"}, {}, True),
        (
            {"kind": "event_match", "key": "content.a\\.b.c", "pattern": "*"},
            {"a.b": {"c": ""}},
            True,
        ),
        ({"kind": "event_match", "key": "content.a", "pattern": "*"}, {"a": 1}, False),
        ({"kind": "event_match", "key": "content.a.b", "pattern": "*"}, {"a": "b"}, False),
        ({"kind": "event_match", "key": "state_key", "pattern": ""}, {}, False),
        ({"kind": "event_property_is", "key": "content.a", "value": True}, {"a": 1}, False),
        ({"kind": "event_property_is", "key": "content.a", "value": 1}, {"a": 1}, True),
        ({"kind": "event_property_is", "key": "content.a", "value": None}, {"a": None}, True),
        ({"kind": "event_property_is", "key": "content.a", "value": None}, {}, False),
        ({"kind": "event_property_is", "key": "content.a", "value": []}, {"a": []}, False),
        ({"kind": "event_property_contains", "key": "content.a", "value": 1}, {"a": [2, 1]}, True),
        ({"kind": "event_property_contains", "key": "content.a", "value": 1}, {"a": "1"}, False),
        ({"kind": "contains_display_name"}, {"body": "Hi, ME MYSELF!"}, True),
        ({"kind": "contains_display_name"}, {"body": "some myself"}, False),
        ({"kind": "room_member_count", "is": "2"}, {}, True),
        ({"kind": "room_member_count", "is": "<2"}, {}, False),
        ({"kind": "room_member_count", "is": ">=2"}, {}, True),
        ({"kind": "room_member_count", "is": "two"}, {}, False),
        ({"kind": "sender_notification_permission", "key": "room"}, {}, True),
        ({"kind": "sender_notification_permission"}, {}, False),
        ({"kind": "org.example.unknown"}, {}, False),
    ],
)
def test_conditions(condition: dict[str, Any], content: dict[str, Any], matches: bool) -> None:
    rule = Rule("mine", LOUD, [condition])
    assert judged(Changes({"override": [rule]}), "m.room.topic", content)[1] is matches
    assert judged(Changes({"underride": [rule]}), "m.room.topic", content)[0] is matches


def test_rules_of_senders_and_rooms_come_behind_those_of_content() -> None:
    quiet_sender = Changes({"sender": [Rule(OTHER, [])]})
    quiet_room = Changes({"room": [Rule("!r:x", [])]})
    for quiet in (quiet_sender, quiet_room):
        assert judged(quiet, "m.room.message", {"body": "x"}) == (False, False)
        loud = Changes({**quiet.own, "content": [Rule("x", LOUD, pattern="x")]})
        assert judged(loud, "m.room.message", {"body": "x"}) == (True, True)
        assert judged(loud, "m.room.message", {"body": "y"}) == (False, False)
    # The rules that search for names may be switched on; then mentions go before them.
    named = Changes(enabled={".m.rule.contains_user_name": True})
    assert judged(named, "m.room.message", {"body": "hi me"}) == (True, True)
    assert judged(named, "m.room.message", {"body": "hi me", "m.mentions": {}}) == (True, False)


letters = st.text(alphabet="ab_ .", max_size=7)
patterns = st.text(alphabet="aAb_ .*?", max_size=6)


@given(letters, patterns)
def test_patterns_match_as_their_definition_says(text: str, pattern: str) -> None:
    """A backtracking regular expression says it slowly; every substring is tried for a body."""
    slow = "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in pattern)
    assert _is_all(text, pattern) == bool(re.fullmatch(slow, text, re.I | re.S))

    def edge(at: int) -> bool:
        return not 0 <= at < len(text) or not re.match(r"\w", text[at])

    within = any(
        edge(start - 1) and edge(end) and re.fullmatch(slow, text[start:end], re.I | re.S)
        for start, end in itertools.combinations_with_replacement(range(len(text) + 1), 2)
    )
    if pattern:
        assert _contains(text, pattern.split("*")) == within


def test_no_pattern_takes_long() -> None:
    """With backtracking this would take longer than anybody waits."""
    assert not _is_all("a" * 20_000, "*a" * 200 + "b")
    assert not _contains("a" * 20_000, ("*a" * 200 + "b").split("*"))
