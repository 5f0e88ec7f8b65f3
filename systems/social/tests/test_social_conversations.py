"""Conversations: who is in them, what is last in them, and what is left of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mastodon import Mastodon, MastodonNotFoundError
from social.testing import Social, User
from websockets.sync.client import connect


def api_of(social: Social, user: User) -> Mastodon:
    return Mastodon(access_token=user.token, api_base_url=social.process.url)


def lists(user: User) -> list[tuple[set[str], str, bool]]:
    """Who, the last status and whether it is unread, of each conversation of a user."""
    return [
        (
            {account["username"] for account in one["accounts"]},
            one["last_status"]["id"],
            one["unread"],
        )
        for one in user.get("/conversations")
    ]


def direct(author: User, *others: User, answered: str | None = None) -> str:
    names = " ".join(f"@{one.name}" for one in others)
    more = {} if answered is None else {"in_reply_to_id": answered}
    status: str = author.write(f"{names} psst", visibility="direct", **more)["id"]
    return status


def test_direct_statuses_make_conversations_by_who_takes_part(social: Social) -> None:
    ann, bob, carol = social.user(), social.user(), social.user()
    first = direct(ann, bob)
    assert lists(ann) == [({bob.name}, first, False)]
    assert lists(bob) == [({ann.name}, first, True)]
    answer = direct(bob, ann, answered=first)
    assert lists(ann) == [({bob.name}, answer, True)]
    assert lists(bob) == [({ann.name}, answer, False)]
    # With somebody else in it, it is another one, and so is one that answers nothing.
    wider = direct(ann, bob, carol, answered=answer)
    other = direct(ann, bob)
    assert lists(bob) == [
        ({ann.name}, other, True),
        ({ann.name, carol.name}, wider, True),
        ({ann.name}, answer, False),
    ]
    assert lists(carol) == [({ann.name, bob.name}, wider, True)]
    # Direct answers to what everybody may read are among those who exchange them.
    public = carol.write("for all")["id"]
    question = direct(ann, carol, answered=public)
    again = direct(ann, carol, answered=public)
    last = [status for _, status, _ in lists(ann)]
    assert last[0] == again
    assert question not in last
    note = ann.write("to myself", visibility="direct")["id"]
    assert lists(ann)[0] == ({ann.name}, note, False)
    # Only who takes part has it.
    assert lists(social.user()) == []


def test_conversations_are_paged_read_and_removed(social: Social) -> None:
    ann, bob = social.user(), social.user()
    made = [direct(ann, bob) for _ in range(5)]
    api = api_of(social, bob)
    page = api.conversations(limit=2)
    assert [str(one.last_status.id) for one in page] == made[:2:-1]
    found = list(page)
    while page := api.fetch_next(page):
        found += page
    assert [str(one.last_status.id) for one in found] == made[::-1]
    newer = api.conversations(min_id=made[1], limit=2)
    assert [str(one.last_status.id) for one in newer] == [made[3], made[2]]
    assert found[0].unread
    assert not api.conversations_read(found[0].id).unread
    assert [one["unread"] for one in bob.get("/conversations")] == [False, *[True] * 4]
    bob.call("DELETE", f"/api/v1/conversations/{found[0].id}")
    assert len(lists(bob)) == 4
    # Gone from the list of the one, not of the other, and it comes back with what is new in it.
    assert len(lists(ann)) == 5
    assert bob.get(f"/statuses/{made[4]}")["id"] == made[4]
    more = direct(ann, bob, answered=made[4])
    assert lists(bob)[0] == ({ann.name}, more, True)
    for identifier in (found[1].id, 5):
        with pytest.raises(MastodonNotFoundError):
            api_of(social, ann).conversations_read(identifier)
        ann.call("DELETE", f"/api/v1/conversations/{identifier}", 404)


def test_what_is_deleted_or_not_wanted_is_last_no_more(social: Social) -> None:
    ann, bob, eve = social.user(), social.user(), social.user()
    first = direct(ann, bob)
    second = direct(bob, ann, answered=first)
    third = direct(ann, bob, answered=second)
    for author, gone, last in ((ann, third, second), (ann, first, second)):
        author.call("DELETE", f"/api/v1/statuses/{gone}")
        assert [one for _, one, _ in lists(bob)] == [last]
        assert [one for _, one, _ in lists(ann)] == [last]
    bob.post(f"/accounts/{ann.id}/mute")
    muted = direct(ann, bob)
    assert [one for _, one, _ in lists(bob)] == [second]
    bob.post(f"/accounts/{ann.id}/unmute")
    assert [one for _, one, _ in lists(bob)] == [muted, second]
    bob.call("DELETE", f"/api/v1/statuses/{second}")
    assert [one for _, one, _ in lists(bob)] == [muted]
    bob.post(f"/accounts/{eve.id}/block")
    direct(eve, bob)
    bob.post(f"/accounts/{ann.id}/block")
    assert lists(bob) == []
    left = social.sql(
        """SELECT FROM conversation AS c WHERE last_status_id IS DISTINCT FROM
           (SELECT max(status_id) FROM conversation_status WHERE conversation_id = c.id)"""
    )
    assert left == []


def test_who_takes_part_hears_of_it_and_nobody_else(social: Social) -> None:
    ann, bob, eve = social.user(), social.user(), social.user()
    eve.post(f"/accounts/{ann.id}/follow")
    url = f"ws://127.0.0.1:{social.process.port}/api/v1/streaming"

    def stream(user: User) -> Any:
        return connect(f"{url}?stream=direct&access_token={user.token}", legacy=True)

    with stream(ann) as of_ann, stream(bob) as of_bob, stream(eve) as of_eve:
        status = direct(ann, bob)
        for ws, other, unread in ((of_ann, bob, False), (of_bob, ann, True)):
            message = json.loads(ws.recv(timeout=10))
            assert (message["stream"], message["event"]) == (["direct"], "conversation")
            found = json.loads(message["payload"])
            assert found["last_status"]["id"] == status
            assert ([one["id"] for one in found["accounts"]], found["unread"]) == (
                [other.id],
                unread,
            )
        ann.call("DELETE", f"/api/v1/statuses/{status}")
        for ws in (of_ann, of_bob):
            gone = {"stream": ["direct"], "event": "delete", "payload": status}
            assert json.loads(ws.recv(timeout=10)) == gone
        # The first that somebody hears of who takes part in nothing else is this one.
        mine = direct(bob, eve)
        assert (
            json.loads(json.loads(of_eve.recv(timeout=10))["payload"])["last_status"]["id"] == mine
        )
        # Named later on, one takes part from then on.
        ann.call("PUT", f"/api/v1/statuses/{direct(ann, bob)}", json={"status": f"@{eve.name}"})
        message = json.loads(of_eve.recv(timeout=10))
        others = {one["id"] for one in json.loads(message["payload"])["accounts"]}
        assert others == {ann.id, bob.id}
