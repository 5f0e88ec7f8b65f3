"""Who sees what: every visibility, every way to read, for every kind of viewer."""

from __future__ import annotations

import httpx
import pytest
from social.testing import Social, User

VIEWERS = ("author", "follower", "mentioned", "stranger", "blocked", "anonymous")
# Who may see a status that mentions one account.
ALLOWED = {
    "public": {"author", "follower", "mentioned", "stranger", "anonymous"},
    "unlisted": {"author", "follower", "mentioned", "stranger", "anonymous"},
    "private": {"author", "follower", "mentioned"},
    "direct": {"author", "mentioned"},
}


@pytest.fixture(scope="module")
def people(social: Social) -> dict[str, User]:
    found = {name: social.user() for name in VIEWERS if name != "anonymous"}
    author = found["author"]
    for name in ("follower", "blocked", "mentioned"):
        found[name].post(f"/accounts/{author.id}/follow")
    found["mentioned"].post(f"/accounts/{author.id}/unfollow")
    author.post(f"/accounts/{found['blocked'].id}/block")
    return found


def client_of(social: Social, people: dict[str, User], viewer: str) -> httpx.Client:
    return social.client if viewer == "anonymous" else people[viewer].client


def ids(client: httpx.Client, path: str) -> list[str]:
    reply = client.get(f"/api/v1{path}")
    assert reply.status_code == 200, (path, reply.text)
    return [one["id"] for one in reply.json()]


@pytest.mark.parametrize("visibility", ALLOWED)
def test_every_read_follows_the_one_rule(
    social: Social, people: dict[str, User], visibility: str
) -> None:
    author, mentioned = people["author"], people["mentioned"]
    tag = f"tag{visibility}"
    post = author.write(f"For @{mentioned.name} #{tag}", visibility=visibility)["id"]
    answer = author.write("More", visibility=visibility, in_reply_to_id=post)["id"]
    assert [one["id"] for one in author.get(f"/statuses/{answer}/context")["ancestors"]] == [post]
    for viewer in VIEWERS:
        client = client_of(social, people, viewer)
        sees = viewer in ALLOWED[visibility]

        expected = 200 if sees else 404
        for path in ("", "/context", "/history", "/favourited_by", "/reblogged_by"):
            reply = client.get(f"/api/v1/statuses/{post}{path}")
            assert reply.status_code == expected, (viewer, path, reply.text)
        assert (post in ids(client, f"/statuses?id[]={post}")) == sees, viewer
        assert (post in ids(client, f"/accounts/{author.id}/statuses")) == sees, viewer
        listed = visibility == "public" and viewer != "blocked"
        assert (post in ids(client, f"/timelines/tag/{tag}")) == listed, viewer
        assert (post in ids(client, "/timelines/public")) == listed, viewer
        if viewer == "anonymous":
            continue
        for action in ("favourite", "bookmark"):
            reply = client.post(f"/api/v1/statuses/{post}/{action}")
            assert reply.status_code == expected, (viewer, action)
        sharable = sees and (
            visibility in ("public", "unlisted") or (viewer == "author" and visibility == "private")
        )
        reply = client.post(f"/api/v1/statuses/{post}/reblog")
        assert reply.status_code == (200 if sharable else 404), viewer
        client.post(f"/api/v1/statuses/{post}/unreblog")
    assert (post in people["follower"].home()) == (visibility != "direct")
    assert post not in people["mentioned"].home()
    told = [one["type"] for one in mentioned.get("/notifications") if one["status"]["id"] == post]
    assert told == ["mention"]


def test_what_was_marked_before_a_block_is_gone_after_it(social: Social) -> None:
    ann, bob = social.user(), social.user()
    bob.post(f"/accounts/{ann.id}/follow")
    post = ann.write("seen while it lasted")["id"]
    bob.post(f"/statuses/{post}/bookmark")
    bob.post(f"/statuses/{post}/favourite")
    carol = social.user()
    carol.post(f"/accounts/{bob.id}/follow")
    carol.post(f"/accounts/{ann.id}/follow")
    bob.post(f"/statuses/{post}/reblog")
    assert len(carol.whole_home()) == 2
    marks = {"types[]": ["reblog", "favourite"]}
    assert [one["type"] for one in ann.get("/notifications", **marks)] == ["reblog", "favourite"]
    ann.post(f"/accounts/{bob.id}/block")
    assert bob.get("/bookmarks") == bob.get("/favourites") == bob.home() == []
    assert ann.get("/notifications", **marks) == []
    assert bob.call("GET", f"/api/v1/statuses/{post}", 404) == {"error": "Record not found"}
    # A share of somebody whom the viewer blocks is not shown either, whoever shared it.
    carol.post(f"/accounts/{ann.id}/block")
    assert carol.whole_home() == []


def test_the_muted_are_left_out_of_lists_but_can_be_looked_at(social: Social) -> None:
    ann, bob = social.user(), social.user()
    ann.post(f"/accounts/{bob.id}/follow")
    post = bob.write("quiet please")["id"]
    ann.post(f"/accounts/{bob.id}/mute")
    bob.write(f"@{ann.name} do you hear me?")
    assert ann.home() == []
    assert ann.get("/notifications", **{"types[]": ["mention"]}) == []
    assert post not in [one["id"] for one in ann.get("/timelines/public")]
    assert ann.get(f"/statuses/{post}")["id"] == post
    assert post in [one["id"] for one in ann.get(f"/accounts/{bob.id}/statuses")]
    ann.post(f"/accounts/{bob.id}/unmute")
    assert post in ann.home()


def test_a_share_of_what_may_not_be_seen_any_more_is_not_there(social: Social) -> None:
    ann, bob, carol = social.user(), social.user(), social.user()
    carol.post(f"/accounts/{bob.id}/follow")
    post = ann.write("soon gone")["id"]
    bob.post(f"/statuses/{post}/reblog")
    assert len(carol.whole_home()) == 1
    ann.call("DELETE", f"/api/v1/statuses/{post}")
    assert carol.whole_home() == []
    assert bob.get(f"/accounts/{bob.id}/statuses") == []
    social.assert_no_drift()
