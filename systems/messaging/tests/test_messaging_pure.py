"""What needs no server: authorization, power levels, visibility, snapshots, ids, filters."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messaging.authorization import Proposed, Standing, authorize, may_redact
from messaging.errors import MatrixError
from messaging.events import (
    check_content,
    encoded_content,
    event_id_of,
    maybe_seq_of_event,
    redacted_content,
    relation_of,
)
from messaging.filters import EventFilter, Filter, parse_filter, passes
from messaging.mentions import ROOM, counts_as_unread, mentioned
from messaging.power import power_levels_of
from messaging.routing import Router
from messaging.snapshots import NOTHING, Position, Snapshot, later, parse_position, snapshot_of
from messaging.visibility import EVERYTHING, Turn, sees, stretches

ALICE, BOB, CAROL = "@alice:x", "@bob:x", "@carol:x"
LEVELS = {"users": {ALICE: 100, BOB: 50}}


def standing(**given: Any) -> Standing:
    power = power_levels_of(given.pop("levels", LEVELS), ALICE)
    return Standing(**{"creator": ALICE, "membership": "join", "power": power, **given})


def refused(event: Proposed, room: Standing) -> str | None:
    try:
        authorize(event, room)
    except MatrixError as error:
        return error.code
    return None


def member(sender: str, target: str, membership: Any) -> Proposed:
    return Proposed(sender, "m.room.member", {"membership": membership}, target)


@pytest.mark.parametrize("membership", ["leave", "invite", "ban"])
@pytest.mark.parametrize("sender", [ALICE, CAROL])
def test_only_who_is_in_the_room_sends(sender: str, membership: str) -> None:
    for kind, key in (("m.room.message", None), ("m.room.topic", "")):
        event = Proposed(sender, kind, {}, key)
        assert refused(event, standing(membership=membership)) == "M_FORBIDDEN"
    assert refused(Proposed(sender, "m.room.message", {}), standing()) is None


def test_what_sending_takes() -> None:
    topic = Proposed(CAROL, "m.room.topic", {"topic": "?"}, "")
    assert refused(topic, standing()) == "M_FORBIDDEN"
    assert refused(topic, standing(levels={"events": {"m.room.topic": 0}})) is None
    muted = standing(levels={"users_default": -1})
    assert refused(Proposed(CAROL, "m.room.message", {}), muted) == "M_FORBIDDEN"
    # Before there are power levels whoever made the room may do anything, and others speak.
    new = standing(levels=None)
    assert refused(Proposed(ALICE, "m.room.power_levels", LEVELS, ""), new) is None
    assert refused(Proposed(CAROL, "m.room.message", {}), new) is None


def test_the_state_of_another_user_is_theirs() -> None:
    for key, code in ((ALICE, None), (CAROL, "M_FORBIDDEN"), ("other", None)):
        assert refused(Proposed(ALICE, "org.example", {}, key), standing()) == code


@pytest.mark.parametrize(
    ("rule", "membership", "code"),
    [
        ("public", "leave", None),
        ("public", "ban", "M_FORBIDDEN"),
        ("invite", "leave", "M_FORBIDDEN"),
        ("invite", "invite", None),
        ("invite", "join", None),
        ("private", "leave", "M_FORBIDDEN"),
    ],
)
def test_joining(rule: str, membership: str, code: str | None) -> None:
    room = standing(join_rule=rule, membership=membership, target=membership)
    assert refused(member(CAROL, CAROL, "join"), room) == code
    assert refused(member(ALICE, CAROL, "join"), standing()) == "M_FORBIDDEN"


@pytest.mark.parametrize(
    ("sender", "wanted", "target", "before", "code"),
    [
        (CAROL, "invite", "@dan:x", "leave", None),
        (CAROL, "invite", "@dan:x", "join", "M_FORBIDDEN"),
        (ALICE, "invite", "@dan:x", "ban", "M_FORBIDDEN"),
        (BOB, "leave", CAROL, "join", None),
        (BOB, "ban", CAROL, "join", None),
        (BOB, "ban", CAROL, "leave", None),
        (BOB, "leave", ALICE, "join", "M_FORBIDDEN"),
        (BOB, "ban", ALICE, "join", "M_FORBIDDEN"),
        (BOB, "leave", CAROL, "ban", None),
        (BOB, "leave", CAROL, "leave", "M_FORBIDDEN"),
        (CAROL, "leave", "@dan:x", "join", "M_FORBIDDEN"),
        (CAROL, "ban", "@dan:x", "join", "M_FORBIDDEN"),
        (ALICE, "leave", BOB, "join", None),
    ],
)
def test_what_one_may_do_to_others(
    sender: str, wanted: str, target: str, before: str, code: str | None
) -> None:
    assert refused(member(sender, target, wanted), standing(target=before)) == code
    out = standing(target=before, membership="leave")
    assert refused(member(sender, target, wanted), out) == "M_FORBIDDEN"


def test_leaving_needs_a_membership() -> None:
    for membership, code in (
        ("join", None),
        ("invite", None),
        ("leave", "M_FORBIDDEN"),
        ("ban", "M_FORBIDDEN"),
    ):
        room = standing(membership=membership, target=membership)
        assert refused(member(CAROL, CAROL, "leave"), room) == code


def test_nobody_raises_themselves_or_lowers_their_equals() -> None:
    def change(sender: str, **levels: Any) -> str | None:
        content = {"users": {ALICE: 100, BOB: 50, CAROL: 50}, **levels}
        room = standing(
            levels={
                "users": {ALICE: 100, BOB: 50, CAROL: 50},
                "events": {"m.room.power_levels": 50},
            }
        )
        content.setdefault("events", {"m.room.power_levels": 50})
        return refused(Proposed(sender, "m.room.power_levels", content, ""), room)

    assert change(BOB) is None
    assert change(BOB, users={ALICE: 100, BOB: 51, CAROL: 50}) == "M_FORBIDDEN"
    assert change(BOB, users={ALICE: 100, BOB: 50, CAROL: 0}) == "M_FORBIDDEN"
    assert change(BOB, users={ALICE: 100, BOB: 0, CAROL: 50}) is None
    assert change(BOB, users={BOB: 50, CAROL: 50}) == "M_FORBIDDEN"
    assert change(BOB, ban=60) == "M_FORBIDDEN"
    assert change(BOB, ban=40) is None
    assert change(BOB, users={ALICE: "100"}) == "M_BAD_JSON"
    assert change(BOB, users={ALICE: True}) == "M_BAD_JSON"
    assert change(BOB, users={"alice": 1}) == "M_BAD_JSON"
    assert change(ALICE, users={ALICE: 100, BOB: 100, CAROL: 0}) is None


@pytest.mark.parametrize("content", [{}, {"membership": 1}, {"membership": "guest"}])
def test_memberships_that_are_none(content: dict[str, Any]) -> None:
    event = Proposed(ALICE, "m.room.member", content, ALICE)
    assert refused(event, standing()) == "M_BAD_JSON"


def test_state_with_a_meaning_is_checked() -> None:
    for kind, content in (
        ("m.room.join_rules", {"join_rule": "maybe"}),
        ("m.room.history_visibility", {"history_visibility": 1}),
    ):
        assert refused(Proposed(ALICE, kind, content, ""), standing()) == "M_BAD_JSON"
    assert refused(Proposed(ALICE, "m.room.create", {}, ""), standing()) == "M_FORBIDDEN"


def test_redacting() -> None:
    assert may_redact(CAROL, CAROL, standing())
    assert not may_redact(CAROL, BOB, standing())
    assert may_redact(BOB, ALICE, standing())


def seen(*turns: Turn, upto: int = 12) -> list[int]:
    allowed = stretches(turns)
    return [seq for seq in range(1, upto) if sees(allowed, seq)]


@pytest.mark.parametrize(
    ("visibility", "expected"),
    [
        ("world_readable", list(range(1, 12))),
        # Invited at 4, joined at 6, left at 8.
        ("shared", [*range(1, 9)]),
        # The event that closes it is judged by the more open of the two.
        ("invited", [1, 4, 5, 6, 7, 8]),
        ("joined", [1, 4, 6, 7, 8]),
    ],
)
def test_what_a_visibility_shows_of_a_stay(visibility: str, expected: list[int]) -> None:
    stay = [
        Turn(4, membership="invite"),
        Turn(6, membership="join"),
        Turn(8, membership="leave"),
    ]
    assert seen(Turn(1, visibility=visibility), *stay) == expected


def test_who_never_was_inside_sees_only_what_is_for_all() -> None:
    assert seen(Turn(1, visibility="shared"), Turn(4, membership="invite")) == []
    assert seen(Turn(1, visibility="shared"), Turn(4, membership="ban")) == []
    opened = [Turn(1, visibility="shared"), Turn(5, visibility="world_readable")]
    assert seen(*opened) == [5, 6, 7, 8, 9, 10, 11]
    # The event that closes it is still seen, by the more open of the two.
    assert seen(*opened, Turn(8, visibility="joined")) == [5, 6, 7, 8]


def test_a_member_of_an_ordinary_room_sees_everything() -> None:
    assert stretches([Turn(5, visibility="shared"), Turn(9, membership="join")]) == EVERYTHING


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["world_readable", "shared", "invited", "joined", None]),
            st.sampled_from(["join", "invite", "leave", "ban", None]),
        ),
        max_size=8,
    )
)
def test_stretches_are_in_order_and_apart(turns: list[tuple[str | None, str | None]]) -> None:
    made = [Turn(2 * n + 1, v, m) for n, (v, m) in enumerate(turns)]
    allowed = stretches(made)
    for (first, last), (after, _) in itertools.pairwise(allowed):
        assert first <= last < after - 1
    # Whoever is in the room sees what happens.
    membership = "leave"
    for turn in made:
        membership = turn.membership or membership
        if membership == "join":
            assert sees(allowed, turn.seq) and sees(allowed, turn.seq + 1)


snapshots = st.builds(
    lambda xmin, gaps: Snapshot(
        xmin, xmin + 20, frozenset({xmin, *(xmin + g for g in gaps)} if gaps else ())
    ),
    st.integers(1, 1000),
    st.sets(st.integers(1, 19), max_size=5),
)


@given(snapshots, *[st.integers(0, 9)] * 4)
def test_a_token_is_read_as_it_was_written(
    snapshot: Snapshot, to_device: int, typing: int, tail: int, presence: int
) -> None:
    position = Position("abc123", snapshot, to_device, typing, "f00d", tail, presence)
    assert parse_position(position.token) == position
    assert snapshot_of(snapshot.text) == snapshot
    # As tokens were before they told of presence.
    older = position.token.replace(f"_o{presence}", "")
    assert parse_position(older) == msgspec.structs.replace(position, presence=0)


@pytest.mark.parametrize(
    "ended_first", [("9:9:", "9:12:9,10", "9:12:9"), ("9:9:", "9:12:9,10", "10:12:10")]
)
def test_a_position_never_goes_back(ended_first: tuple[str, ...]) -> None:
    """A poll may be told by the database what the process itself reads only afterwards."""
    taken = [snapshot_of(text) for text in (*ended_first, "12:12:", "12:13:")]
    for n, one in enumerate(taken):
        for other in taken[n:]:
            assert later(one, other) == later(other, one) == other
            assert all(other.sees(xid) for xid in range(20) if one.sees(xid))


def test_what_a_snapshot_sees() -> None:
    snapshot = snapshot_of("10:15:10,12")
    assert [xid for xid in range(8, 18) if snapshot.sees(xid)] == [8, 9, 11, 13, 14]
    assert not NOTHING.sees(3)


@pytest.mark.parametrize(
    "token",
    [
        *("", "s", "t5", "sabc_1-2", "sabc_0-5_d0_t0_p.0", "sabc_9-5_d0_t0_p.0"),
        *("sabc_1-5-7_d0_t0_p.0", "s_1-5_d0_t0_p.0", "sabc_1-5_d0_t0_p.٣"),
        f"sabc_1-{2**64}_d0_t0_p.0",
        f"sabc_1-5_d{2**64}_t0_p.0",
        "sabc_1-9000" + "-5" * 5_000 + "_d0_t0_p.0",
    ],
)
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(MatrixError) as refusal:
        parse_position(token)
    assert refusal.value.code == "M_INVALID_PARAM"


@given(st.integers(0, 10**17))
def test_event_ids(seq: int) -> None:
    event_id = event_id_of("!room:x", seq)
    assert maybe_seq_of_event("!room:x", event_id) == seq
    assert maybe_seq_of_event("!other:x", event_id) is None


@pytest.mark.parametrize("event_id", ["", "$room.", "$room.01", "$room.-1", "$room.٣", 5, None])
def test_what_is_no_event_id(event_id: object) -> None:
    assert maybe_seq_of_event("!room:x", event_id) is None


def test_content_is_canonical_json() -> None:
    for wrong in ({"a": 1.5}, {"a": [2**53]}, {"a": {"b": -(2**53)}}):
        with pytest.raises(MatrixError, match=r"fraction|beyond"):
            check_content(wrong)
    check_content({"a": [1, True, None, "x", {"b": 2**53 - 1}]})
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(MatrixError, match="nested"):
        check_content(deep)
    with pytest.raises(MatrixError) as refusal:
        encoded_content({"body": "x" * 70_000})
    assert (refusal.value.status, refusal.value.code) == (413, "M_TOO_LARGE")


def test_what_a_redaction_leaves() -> None:
    left = redacted_content("m.room.member", {"membership": "join", "displayname": "A"})
    assert msgspec.json.decode(left) == {"membership": "join"}
    assert redacted_content("m.room.message", {"body": "x"}) == b"{}"


def test_relations() -> None:
    def of(relation: Any) -> tuple[int | None, str | None]:
        return relation_of("!r:x", {"m.relates_to": relation})

    assert of({"rel_type": "m.thread", "event_id": "$r.7"}) == (7, "m.thread")
    for other in (None, 1, {}, {"rel_type": 1, "event_id": "$r.7"}, {"event_id": "$r.7"}):
        assert of(other) == (None, None)
    assert of({"rel_type": "m.thread", "event_id": "$elsewhere.7"}) == (None, None)


def test_what_counts_and_whom_it_mentions() -> None:
    assert counts_as_unread("m.room.message", {"msgtype": "m.text"})
    assert counts_as_unread("m.room.encrypted", {})
    assert not counts_as_unread("m.room.message", {"msgtype": "m.notice"})
    assert not counts_as_unread("m.reaction", {})
    edit = {"m.relates_to": {"rel_type": "m.replace"}}
    assert not counts_as_unread("m.room.message", edit)
    content = {"m.mentions": {"user_ids": [BOB, 5, "no id"], "room": True}}
    assert mentioned(content, room_level=False) == [BOB]
    assert mentioned(content, room_level=True) == [BOB, ROOM]
    assert mentioned({**content, "msgtype": "m.notice"}, room_level=True) == []


def test_filters() -> None:
    assert Filter().takes_all
    found = parse_filter(b'{"room":{"timeline":{"types":["m.room.*"],"not_senders":["@b:x"]}}}')
    timeline = found.room.timeline
    assert not found.takes_all
    assert passes(timeline, kind="m.room.topic", sender="@a:x")
    assert not passes(timeline, kind="m.reaction", sender="@a:x")
    assert not passes(timeline, kind="m.room.topic", sender="@b:x")
    # Only * is special.
    assert not passes(EventFilter(types=["m.?"]), kind="m.a", sender="")
    assert [EventFilter(limit=n).bounded_limit for n in (None, 0, 5, 10**9)] == [10, 1, 5, 100]
    for text, code in ((b"{", "M_NOT_JSON"), (b'{"room":[]}', "M_BAD_JSON")):
        with pytest.raises(MatrixError) as refusal:
            parse_filter(text)
        assert refusal.value.code == code


def test_paths_are_split_before_they_are_decoded() -> None:
    router: Router[str] = Router()
    router.add("GET", "/rooms/{}/state/{}/{}", "state")
    router.add("PUT", "/rooms/{}/state/{}/{}", "put")
    router.add("GET", "/rooms/all", "all")
    assert router.find("GET", "/rooms/a%2Fb/state/m.x/%E2%98%83") == ("state", ["a/b", "m.x", "☃"])
    assert router.find("GET", "/rooms/!r:x/state/m.x/") == ("state", ["!r:x", "m.x", ""])
    assert router.find("GET", "/rooms/all") == ("all", [])
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/rooms", 404),
        ("GET", "/rooms/x", 404),
        ("DELETE", "/rooms/all", 405),
        ("GET", "/rooms/%FF/state/a/b", 400),
        ("GET", "/rooms/%00/state/a/b", 400),
    ):
        with pytest.raises(MatrixError) as refusal:
            router.find(method, path)
        assert refusal.value.status == status
