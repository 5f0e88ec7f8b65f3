"""Filters: what matches, where it is said, and until when."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mastodon import Mastodon
from social.matching import NOTHING, Filter, FilteredStatus, Keyword, Rules
from social.testing import Social, User
from social.web.parameters import unfold
from systems_common.testing import wait_until
from systems_common.testing.pictures import encoded, gradient
from websockets.sync.client import connect


def rules(
    *keywords: tuple[str, bool], statuses: tuple[str, ...] = (), ends_s: float = 100.0
) -> Rules:
    found = Filter(
        id="1",
        title="Filter",
        context=["home"],
        expires_at=None,
        filter_action="warn",
        keywords=[Keyword(str(n), *one) for n, one in enumerate(keywords)],
        statuses=[FilteredStatus("9", one) for one in statuses],
    )
    return Rules(1, [(found, ends_s)])


def matches(keyword: str, whole_word: bool, text: str) -> bool:
    return rules((keyword, whole_word)).results(0, text, [5], 0.0) != NOTHING


@pytest.mark.parametrize(
    ("keyword", "whole_word", "text", "expected"),
    [
        ("cat", True, "A cat, asleep", True),
        ("cat", True, "CAT", True),
        ("cat", True, "concatenate", False),
        ("cat", True, "cats", False),
        ("cat", True, "cat_nap", False),
        ("cat", False, "concatenate", True),
        ("big cat", True, "the big cat.", True),
        ("big cat", True, "the big  cat", False),
        ("#cat", True, "look: #cat", True),
        ("#cat", True, "look:x#cat", True),
        ("#cat", True, "#cats", False),
        (":)", True, "fine:)then", True),
        ("a.c", False, "abc", False),
        ("Straße", True, "in der STRASSE", True),
        ("猫", True, "猫 dort", True),
        ("猫", True, "黒猫", False),
        ("猫", False, "黒猫", True),
    ],
)
def test_keywords_match_as_documented(
    keyword: str, whole_word: bool, text: str, expected: bool
) -> None:
    assert matches(keyword, whole_word, text) == expected


_WORDS = st.text("abAB1_", min_size=1, max_size=3)


@given(_WORDS, st.lists(_WORDS, max_size=6), st.sampled_from([" ", ", ", "-", "\n"]))
def test_a_whole_word_matches_where_it_is_one_of_the_words(
    keyword: str, words: list[str], between: str
) -> None:
    text = between.join(words)
    folded = [word.lower() for word in words]
    assert matches(keyword, True, text) == (keyword.lower() in folded)
    assert matches(keyword, False, text) == (keyword.lower() in text.lower())


def test_a_result_says_what_matched_and_ends_with_the_filter() -> None:
    found = rules(("cat", True), ("dog", True), ("cow", True), statuses=("7",), ends_s=50.0)
    text = "a dog and a cat"
    (said,) = json.loads(found.results(0, text, [8, 7], 0.0))
    assert said["keyword_matches"] == ["cat", "dog"]
    assert said["status_matches"] == ["7"]
    assert set(said["filter"]) == {"id", "title", "context", "expires_at", "filter_action"}
    (said,) = json.loads(found.results(0, text, [5], 0.0))
    assert said["status_matches"] is None
    # Another version of the text is looked at anew; at its end the filter is gone.
    assert found.results(1, "nothing", [5], 0.0) == NOTHING
    assert found.results(0, text, [5], 49.0) != NOTHING
    assert found.results(0, text, [5], 50.0) == NOTHING


def test_lists_of_objects_are_read_from_forms() -> None:
    pairs = [
        ("keywords_attributes[][keyword]", "one"),
        ("keywords_attributes[][whole_word]", "true"),
        ("keywords_attributes[][keyword]", "two"),
        ("context[]", "home"),
    ]
    assert unfold(pairs) == {
        "keywords_attributes": [{"keyword": "one", "whole_word": "true"}, {"keyword": "two"}],
        "context": ["home"],
    }


def api_of(social: Social, user: User) -> Mastodon:
    return Mastodon(access_token=user.token, api_base_url=social.process.url)


def test_what_matches_is_said_wherever_a_status_is_shown(social: Social) -> None:
    ann, bob, carol = social.user(), social.user(), social.user()
    for one in (ann, carol):
        bob.post(f"/accounts/{one.id}/follow")
    api = api_of(social, bob)
    made = api.create_filter_v2(
        "Spiders",
        ["home", "thread"],
        "hide",
        keywords_attributes=[{"keyword": "spider", "whole_word": True}],
    )
    assert [one.keyword for one in api.filters_v2()[0].keywords] == ["spider"]
    url = f"ws://127.0.0.1:{social.process.port}/api/v1/streaming?stream=user"
    with connect(f"{url}&access_token={bob.token}") as ws:
        post = ann.write(f"@{bob.name} a Spider!", spoiler_text="animals")["id"]
        share = carol.post(f"/statuses/{post}/reblog")["id"]
        streamed: dict[str, Any] = {}
        while len(streamed) < 3:
            message = json.loads(ws.recv(timeout=10))
            streamed[message["event"]] = json.loads(message["payload"])
            if "reblog" in streamed[message["event"]] and streamed["update"]["reblog"]:
                streamed["share"] = streamed["update"]

        def said(status: Any) -> None:
            (found,) = status["filtered"]
            assert found["keyword_matches"] == ["spider"]
            assert found["status_matches"] is None
            assert found["filter"]["filter_action"] == "hide"
            assert found["filter"]["context"] == ["home", "thread"]

        said(streamed["share"])
        said(streamed["share"]["reblog"])
        said(streamed["notification"]["status"])
        home = {one["id"]: one for one in bob.get("/timelines/home")}
        said(home[share])
        said(home[share]["reblog"])
        said(home[post])
        said(bob.get("/notifications")[0]["status"])
        said(bob.get(f"/statuses/{post}"))
        answer = ann.write("and more", in_reply_to_id=post)["id"]
        said(bob.get(f"/statuses/{answer}/context")["ancestors"][0])
        assert bob.get(f"/statuses/{answer}")["filtered"] == []
        # Others have no such filter, and without an account there is none at all.
        assert carol.get(f"/statuses/{post}")["filtered"] == []
        assert "filtered" not in social.client.get(f"/api/v1/statuses/{post}").json()

        # A change counts at once, and is told to who listens.
        api.delete_filter_keyword_v2(made.keywords[0].id)
        assert bob.get(f"/statuses/{post}")["filtered"] == []
        while (message := json.loads(ws.recv(timeout=10)))["event"] != "filters_changed":
            pass
        assert "payload" not in message
    api.add_filter_status_v2(made.id, answer)
    (found,) = bob.get(f"/statuses/{answer}")["filtered"]
    assert (found["keyword_matches"], found["status_matches"]) == (None, [answer])
    assert [str(one.status_id) for one in api.filter_statuses_v2(made.id)] == [answer]


def test_options_of_polls_and_descriptions_of_pictures_are_texts_too(social: Social) -> None:
    user = social.user()
    api_of(social, user).create_filter_v2(
        "Cats", ["home"], "warn", keywords_attributes=[{"keyword": "cat", "whole_word": True}]
    )
    poll = {"options": ["a cat", "a dog"], "expires_in": 300}
    files, form = {"file": encoded(gradient(8, 8), "PNG")}, {"description": "A cat"}
    picture = user.call("POST", "/api/v2/media", files=files, data=form)["id"]
    for found in (user.write("which?", poll=poll), user.write("look", media_ids=[picture])):
        assert found["filtered"][0]["keyword_matches"] == ["cat"]


def test_a_filter_is_changed_and_ends(social: Social) -> None:
    user = social.user()
    api = api_of(social, user)
    post = user.write("spiders and snakes")["id"]
    made = api.create_filter_v2("Snakes", ["home"], "warn", expires_in=3600)
    keyword = api.add_filter_keyword_v2(made.id, "snake")
    assert keyword.whole_word is False
    assert len(user.get(f"/statuses/{post}")["filtered"]) == 1
    changed = api.update_filter_v2(
        made.id,
        title="Reptiles",
        keywords_attributes=[
            {"id": keyword.id, "keyword": "lizard"},
            {"keyword": "spiders", "whole_word": True},
        ],
    )
    assert (changed.title, changed.context, changed.filter_action) == ("Reptiles", ["home"], "warn")
    assert changed.expires_at is not None
    assert [one.keyword for one in changed.keywords] == ["lizard", "spiders"]
    (found,) = user.get(f"/statuses/{post}")["filtered"]
    assert found["keyword_matches"] == ["spiders"]
    user.call("PUT", f"/api/v2/filters/{made.id}", json={"expires_in": 1})
    wait_until(
        lambda: user.get(f"/statuses/{post}")["filtered"] == [],
        timeout_s=5.0,
        what="the filter to end",
    )
    user.call("PUT", f"/api/v2/filters/{made.id}", data={"expires_in": ""})
    assert len(user.get(f"/statuses/{post}")["filtered"]) == 1
    api.delete_filter_v2(made.id)
    assert user.get(f"/statuses/{post}")["filtered"] == api.filters_v2() == []


def test_older_clients_have_filters_of_one_keyword(social: Social) -> None:
    user = social.user()
    api = api_of(social, user)
    post = user.write("a spider, and snakes")["id"]
    made = api.filter_create("spider", ["home", "public"], irreversible=True, whole_word=True)
    assert (made.phrase, made.whole_word, made.irreversible) == ("spider", True, True)
    (found,) = user.get(f"/statuses/{post}")["filtered"]
    assert (found["filter"]["title"], found["filter"]["filter_action"]) == ("spider", "hide")
    changed = api.filter_update(made.id, phrase="snake", whole_word=False, irreversible=False)
    assert (changed.phrase, changed.irreversible) == ("snake", False)
    assert user.get(f"/statuses/{post}")["filtered"][0]["keyword_matches"] == ["snake"]
    whole = api.filters_v2()[0]
    other = api.add_filter_keyword_v2(whole.id, "cow")
    assert {one.phrase for one in api.filters()} == {"snake", "cow"}
    user.call("PUT", f"/api/v1/filters/{other.id}", 422, json={"context": ["thread"]})
    for one in (other, made):
        api.filter_delete(one.id)
    assert api.filters() == api.filters_v2() == []


def test_what_does_not_fit_is_refused_and_others_filters_are_not_there(social: Social) -> None:
    ann, bob = social.user(), social.user()
    form = {
        "title": "Form",
        "context[]": ["home", "account"],
        "keywords_attributes[][keyword]": "one",
        "keywords_attributes[][whole_word]": "false",
    }
    made = ann.call("POST", "/api/v2/filters", data=form)
    assert made["context"] == ["home", "account"]
    assert [one["whole_word"] for one in made["keywords"]] == [False]
    private = ann.write("mine", visibility="private")["id"]
    member = ann.call("POST", f"/api/v2/filters/{made['id']}/statuses", json={"status_id": private})
    path = f"/api/v2/filters/{made['id']}"
    keyword = f"/api/v2/filters/keywords/{made['keywords'][0]['id']}"
    status = f"/api/v2/filters/statuses/{member['id']}"
    for wrong in (
        {"context": ["somewhere"]},
        {"context": []},
        {"title": " "},
        {"filter_action": "shout"},
        {"expires_in": "soon"},
        {"keywords_attributes": [{"keyword": ""}]},
        {"keywords_attributes": [{"keyword": f"word{n}"} for n in range(300)]},
    ):
        ann.call("PUT", path, 422, json=wrong)
    ann.call("POST", "/api/v2/filters", 422, json={"title": "without a context"})
    ann.call("POST", f"{path}/statuses", 422, json={"status_id": private})
    calls: list[Callable[[User], Any]] = [
        lambda user, method=method, at=at: user.call(method, at, 404, json={})
        for at in (path, keyword, status, f"/api/v1/filters/{made['keywords'][0]['id']}")
        for method in (("GET", "DELETE") if at == status else ("GET", "PUT", "DELETE"))
    ]
    for call in calls:
        call(bob)
    mine = bob.call("POST", "/api/v2/filters", json={"title": "Mine", "context": ["home"]})["id"]
    bob.call("POST", f"/api/v2/filters/{mine}/statuses", 404, json={"status_id": private})
    bob.call("PUT", f"/api/v2/filters/{mine}", 404, json={"keywords_attributes": [{"id": "5"}]})
    assert ann.call("GET", path)["keywords"] == made["keywords"]
    assert re.fullmatch(r"\d+", ann.call("GET", status)["id"])
    ann.call("DELETE", status)
    ann.call("DELETE", keyword)
    found = ann.call("GET", path)
    assert found["keywords"] == found["statuses"] == []
