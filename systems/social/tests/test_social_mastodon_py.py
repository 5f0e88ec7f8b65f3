"""Mastodon.py, as somebody would use it, against the running service."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from mastodon import Mastodon, MastodonAPIError, MastodonNotFoundError, MastodonUnauthorizedError
from social.testing import Social
from systems_common.testing import wait_until

SCOPES = ["read", "write", "follow"]


def register(social: Social, name: str) -> Mastodon:
    url = social.process.url
    client_id, secret = Mastodon.create_app("Tests", scopes=SCOPES, api_base_url=url)
    api = Mastodon(client_id=client_id, client_secret=secret, api_base_url=url)
    api.create_account(
        name, "a long password", f"{name}@mail.example", agreement=True, scopes=SCOPES
    )
    return api


@pytest.fixture(scope="module")
def ann(social: Social) -> Iterator[Mastodon]:
    yield register(social, "Ann")


@pytest.fixture(scope="module")
def bob(social: Social) -> Iterator[Mastodon]:
    yield register(social, "bob")


def test_an_account_is_made_and_found(ann: Mastodon, bob: Mastodon) -> None:
    me = ann.account_verify_credentials()
    assert (me.username, me.acct, me.statuses_count) == ("Ann", "Ann", 0)
    assert bob.account_lookup("ann").id == me.id
    # Others have it within their names: Ann's begins so.
    assert bob.account_search("An")[0].username == "Ann"
    changed = ann.account_update_credentials(
        display_name="Ann A.", note="Hello <b>you</b>", fields=[("Pronouns", "she")]
    )
    assert changed.note == "<p>Hello &lt;b&gt;you&lt;/b&gt;</p>"
    assert changed.source.note == "Hello <b>you</b>"
    assert bob.account(me.id).fields[0].value == "<p>she</p>"


def test_the_server_says_what_it_is(social: Social) -> None:
    api = Mastodon(api_base_url=social.process.url)
    assert api.retrieve_mastodon_version().startswith("4.3")
    assert api.instance_v2().domain == "social.example"
    assert api.instance_v1().uri == "social.example"


def test_a_conversation_from_follow_to_bookmark(ann: Mastodon, bob: Mastodon) -> None:
    ann_id, bob_id = ann.me().id, bob.me().id
    assert bob.account_follow(ann_id).following
    post = ann.status_post("Hello #World, <script>alert(1)</script>", language="en")
    assert "<script>" not in post.content
    assert post.tags[0].name == "world"
    wait_until(
        lambda: [s.id for s in bob.timeline_home()] == [post.id],
        timeout_s=5.0,
        what="the post at home",
    )
    reply = bob.status_reply(post, "Nice")
    assert reply.mentions[0].id == ann_id
    assert ann.status_context(post.id).descendants[0].id == reply.id
    told = ann.notifications(types=["mention", "follow"])
    assert [(one.type, one.account.id) for one in told] == [("mention", bob_id), ("follow", bob_id)]

    assert bob.status_favourite(post.id).favourited
    shared = bob.status_reblog(post.id)
    assert shared.reblog.id == post.id
    assert bob.status_bookmark(post.id).bookmarked
    seen = bob.status(post.id)
    assert (seen.favourites_count, seen.reblogs_count, seen.replies_count) == (1, 1, 1)
    assert (seen.favourited, seen.reblogged, seen.bookmarked) == (True, True, True)
    assert [one.id for one in bob.bookmarks()] == [post.id]
    assert [one.id for one in bob.favourites()] == [post.id]
    assert [one.id for one in ann.status_favourited_by(post.id)] == [bob_id]
    assert [one.id for one in ann.status_reblogged_by(post.id)] == [bob_id]
    assert {one.type for one in ann.notifications()} == {"favourite", "reblog", "mention", "follow"}
    assert [one.id for one in ann.timeline_hashtag("world")] == [post.id]
    assert post.id in [one.id for one in ann.timeline_public()]

    assert not bob.status_unfavourite(post.id).favourited
    assert bob.status_unreblog(post.id).reblogs_count == 0
    assert not bob.status_unbookmark(post.id).bookmarked
    ann.notifications_clear()
    assert ann.notifications() == []


def test_a_status_is_edited_and_its_history_kept(ann: Mastodon, bob: Mastodon) -> None:
    post = ann.status_post("first", spoiler_text="careful")
    edited = ann.status_update(post.id, "second, for @bob")
    assert (edited.content, edited.spoiler_text) == (
        '<p>second, for <span class="h-card"><a href="https://social.example/@bob" class="u-url '
        'mention">@<span>bob</span></a></span></p>',
        "",
    )
    assert next(one.content for one in ann.status_history(post.id)) == "<p>first</p>"
    assert ann.status_source(post.id).text == "second, for @bob"
    assert bob.status(post.id).edited_at is not None
    ann.status_delete(post.id)
    with pytest.raises(MastodonNotFoundError):
        bob.status(post.id)


def test_pages_lead_through_a_whole_list(ann: Mastodon) -> None:
    ids = [ann.status_post(f"number {n}").id for n in range(7)]
    page = ann.account_statuses(ann.me().id, limit=3)
    found = list(page)
    while page := ann.fetch_next(page):
        found += page
    assert [one.id for one in found][:7] == ids[::-1]
    newer = ann.account_statuses(ann.me().id, min_id=ids[2], limit=2)
    assert [one.id for one in newer] == [ids[4], ids[3]]


def test_pins_markers_and_preferences(ann: Mastodon) -> None:
    post = ann.status_post("to be pinned")
    assert ann.status_pin(post.id).pinned
    assert [one.id for one in ann.account_statuses(ann.me().id, pinned=True)] == [post.id]
    assert not ann.status_unpin(post.id).pinned
    ann.markers_set("home", post.id)
    assert str(ann.markers_get("home").home.last_read_id) == str(post.id)
    assert ann.preferences()["posting:default:visibility"] == "public"


def test_a_locked_account_is_asked(social: Social, bob: Mastodon) -> None:
    eve = register(social, "eve")
    eve.account_update_credentials(locked=True)
    eve_id, bob_id = eve.me().id, bob.me().id
    assert bob.account_follow(eve_id).requested
    assert [one.id for one in eve.follow_requests()] == [bob_id]
    assert eve.notifications()[0].type == "follow_request"
    assert eve.follow_request_authorize(bob_id).followed_by
    assert bob.account_relationships(eve_id)[0].following
    assert [one.id for one in eve.account_followers(eve_id)] == [bob_id]
    assert bob.account_mute(eve_id, duration=60).muting
    assert [one.id for one in bob.mutes()] == [eve_id]
    assert not bob.account_unmute(eve_id).muting
    assert eve.account_block(bob_id).blocking
    assert not bob.account_relationships(eve_id)[0].following
    assert [one.id for one in eve.blocks()] == [bob_id]
    # To be unblocked it must be found, by its whole name.
    assert bob_id in [one.id for one in eve.account_search("bob")]
    assert bob_id not in [one.id for one in eve.account_search("bo")]
    assert eve_id not in [one.id for one in bob.account_search("eve")]
    assert not eve.account_unblock(bob_id).blocking


def test_an_app_is_let_in_by_the_consent_page(social: Social, ann: Mastodon) -> None:
    url = social.process.url
    client_id, secret = Mastodon.create_app(
        "Page", scopes=["read"], redirect_uris="https://app.example/back", api_base_url=url
    )
    api = Mastodon(client_id=client_id, client_secret=secret, api_base_url=url)
    page = api.auth_request_url(
        redirect_uris="https://app.example/back", scopes=["read"], state="kept"
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    shown = social.client.get("/oauth/authorize", params=query)
    assert shown.status_code == 200
    assert "<strong>Page</strong> asks to act for you" in shown.text
    wrong = social.client.post(
        "/oauth/authorize", data={**query, "username": "ann", "password": "wrong"}
    )
    assert wrong.status_code == 401
    sent = {**query, "username": "ann", "password": "a long password", "decision": "allow"}
    reply = social.client.post("/oauth/authorize", data=sent)
    assert reply.status_code == 302
    back = parse_qs(urlsplit(reply.headers["location"]).query)
    assert back["state"] == ["kept"]
    code = back["code"][0]
    asked = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": secret,
        "code": code,
        "redirect_uri": "https://app.example/back",
    }
    token = social.client.post("/oauth/token", data=asked).json()
    assert (token["scope"], token["token_type"]) == ("read", "Bearer")
    api = Mastodon(
        client_id=client_id,
        client_secret=secret,
        access_token=token["access_token"],
        api_base_url=url,
    )
    assert api.me().username == "Ann"
    # Only what was allowed, and the code was good once.
    with pytest.raises(MastodonAPIError, match="outside the authorized scopes"):
        api.status_post("not allowed")
    again = social.client.post("/oauth/token", data=asked)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    revoked = social.client.post(
        "/oauth/revoke",
        data={"client_id": client_id, "client_secret": secret, "token": token["access_token"]},
    )
    assert revoked.status_code == 200
    with pytest.raises(MastodonUnauthorizedError):
        api.me()


def test_a_password_is_no_grant_unless_enabled(social: Social) -> None:
    url = social.process.url
    client_id, secret = Mastodon.create_app("Old", scopes=["read"], api_base_url=url)
    reply = social.client.post(
        "/oauth/token",
        data={
            "grant_type": "password",
            "client_id": client_id,
            "client_secret": secret,
            "username": "ann",
            "password": "a long password",
        },
    )
    assert (reply.status_code, reply.json()["error"]) == (400, "unsupported_grant_type")


def test_what_is_wrong_with_a_registration_is_said_by_field(social: Social) -> None:
    url = social.process.url
    client_id, secret = Mastodon.create_app("R", scopes=SCOPES, api_base_url=url)
    api = Mastodon(client_id=client_id, client_secret=secret, api_base_url=url)
    token, error = api.create_account(
        "not good!", "short", "nowhere", agreement=True, scopes=SCOPES, return_detailed_error=True
    )
    assert token is None
    assert {name for name in ("username", "password", "email") if error.details[name]} == {
        "username",
        "password",
        "email",
    }


def test_a_list_is_made_filled_and_read(ann: Mastodon, social: Social) -> None:
    dan, eli = register(social, "dan"), register(social, "eli")
    made = ann.list_create("Friends", replies_policy="none")
    assert [one.title for one in ann.lists()] == ["Friends"]
    assert ann.timeline_list(made.id) == []
    with pytest.raises(MastodonNotFoundError):
        ann.list_accounts_add(made.id, [dan.me().id])
    for api in (dan, eli):
        ann.account_follow(api.me().id)
    ann.list_accounts_add(made.id, [dan.me().id])
    assert [one.username for one in ann.list_accounts(made.id)] == ["dan"]
    post = dan.status_post("in the list")
    eli.status_post("not in the list")
    dan.status_reply(post, "a reply to myself")
    dan.status_reply(ann.status_post("hello"), "a reply to somebody")
    found = [one.content for one in ann.timeline_list(made.id)]
    assert [text.rpartition("</span> ")[2] for text in found] == [
        "a reply to myself</p>",
        "<p>in the list</p>",
    ]
    assert ann.list_update(made.id, "Friends", "followed").replies_policy == "followed"
    assert len(ann.timeline_list(made.id)) == 3
    assert [one.id for one in ann.account_lists(dan.me().id)] == [made.id]
    ann.account_unfollow(dan.me().id)
    assert ann.list_accounts(made.id) == ann.timeline_list(made.id) == []
    ann.list_delete(made.id)
    assert ann.lists() == []


def test_accounts_hashtags_and_statuses_are_found(ann: Mastodon, bob: Mastodon) -> None:
    seen = ann.status_post("A quagga stood by the river #zoology")
    mine = ann.status_post("My secret quagga", visibility="private")
    ann.status_post("nothing of the kind")
    assert [one.id for one in ann.search("quagga").statuses] == [mine.id, seen.id]
    assert [one.id for one in bob.search("quagga -secret").statuses] == [seen.id]
    assert [one.id for one in bob.search('"by the river"', result_type="statuses").statuses] == [
        seen.id
    ]
    assert [one.name for one in bob.search("zool").hashtags] == ["zoology"]
    for name in ("@ann", "@ann@social.example", "Ann@Social.example"):
        assert bob.search(name, result_type="accounts").accounts[0].username == "Ann"
    assert bob.search("ann@elsewhere.example", result_type="accounts").accounts == []
