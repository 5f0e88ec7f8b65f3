"""Polls: asked, voted in once by each, counted right under any load, told of at their end."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mastodon import Mastodon, MastodonAPIError
from social.polls import RECOUNT
from social.testing import Social, User
from systems_common.testing import wait_until


def client(social: Social, user: User) -> Mastodon:
    return Mastodon(access_token=user.token, api_base_url=social.process.url)


def asked(user: User, *options: str, **more: Any) -> Any:
    poll = {"options": options or ("tea", "coffee", "water"), "expires_in": 600, **more}
    return user.write("What?", poll=poll)


def end(social: Social, status: Any) -> None:
    """Its time is over."""
    social.sql(
        "UPDATE poll SET expires_at = $2 WHERE status_id = $1",
        int(status["id"]),
        datetime.now(UTC) - timedelta(seconds=1),
    )


def vote(user: User, status: Any, *choices: int, status_code: int = 200) -> Any:
    path = f"/api/v1/polls/{status['poll']['id']}/votes"
    return user.call("POST", path, status_code, json={"choices": choices})


def shown(poll: Any) -> tuple[list[int | None], int, int]:
    return (
        [one["votes_count"] for one in poll["options"]],
        poll["votes_count"],
        poll["voters_count"],
    )


def test_a_poll_from_the_question_to_the_end_with_mastodon_py(social: Social) -> None:
    ann, bob = social.user(), social.user()
    asking, voting = client(social, ann), client(social, bob)
    status = asking.status_post(
        "Tea or coffee?", poll=asking.make_poll(["tea", "coffee"], expires_in=600)
    )
    poll = status.poll
    assert [one.title for one in poll.options] == ["tea", "coffee"]
    assert (poll.multiple, poll.expired, poll.votes_count, poll.voted) == (False, False, 0, True)
    seen = voting.status(status.id).poll
    assert (seen.voted, seen.own_votes) == (False, [])
    voted = voting.poll_vote(poll.id, [1])
    assert (voted.voted, voted.own_votes) == (True, [1])
    assert [one.votes_count for one in voting.poll(poll.id).options] == [0, 1]
    for choice in (0, 1):
        with pytest.raises(MastodonAPIError, match="already voted"):
            voting.poll_vote(poll.id, [choice])
    with pytest.raises(MastodonAPIError, match="your own polls"):
        asking.poll_vote(poll.id, [0])
    # Who has not signed in is told nothing of themselves.
    anonymous = social.client.get(f"/api/v1/polls/{poll.id}").json()
    assert "voted" not in anonymous
    assert "own_votes" not in anonymous
    end(social, {"id": str(status.id)})
    for api in (asking, voting):
        wait_until(
            lambda api=api: [one.type for one in api.notifications()][:1] == ["poll"],
            timeout_s=10.0,
            what="the notice of the end",
        )
    told = voting.notifications(types=["poll"])
    assert [(str(one.account.id), one.status.poll.expired) for one in told] == [(ann.id, True)]
    late = social.user()
    refused = late.call("POST", f"/api/v1/polls/{poll.id}/votes", 422, json={"choices": [0]})
    assert refused["error"] == "Validation failed: The poll has already ended"


def test_several_options_and_hidden_totals(social: Social) -> None:
    author, user, other = social.user(), social.user(), social.user()
    status = asked(author, multiple=True, hide_totals=True)
    voted = vote(user, status, 2, 0, 2)
    assert voted["own_votes"] == [0, 2]
    assert shown(voted) == ([None, None, None], 2, 1)
    vote(other, status, 2)
    assert shown(author.get(f"/polls/{status['id']}")) == ([None, None, None], 3, 2)
    end(social, status)
    assert shown(author.get(f"/polls/{status['id']}")) == ([1, 0, 2], 3, 2)
    shared = other.post(f"/statuses/{status['id']}/reblog")
    assert shared["poll"] is None
    assert shared["reblog"]["poll"]["own_votes"] == [2]


@pytest.mark.parametrize(
    ("choices", "said"),
    [([], "blank"), ([3], "does not exist"), ([-1], "does not exist"), ([0, 1], "one option")],
)
def test_votes_that_are_none_are_refused(social: Social, choices: list[int], said: str) -> None:
    author, user = social.user(), social.user()
    status = asked(author)
    assert said in vote(user, status, *choices, status_code=422)["error"]
    assert shown(user.get(f"/polls/{status['id']}")) == ([0, 0, 0], 0, 0)


@pytest.mark.parametrize(
    ("poll", "said"),
    [
        ({"options": ["one"], "expires_in": 600}, "at least two"),
        ({"options": list("abcde"), "expires_in": 600}, "more than 4"),
        ({"options": ["a", " "], "expires_in": 600}, "blank"),
        ({"options": ["a", "b" * 51], "expires_in": 600}, "longer than 50"),
        ({"options": ["a", "a"], "expires_in": 600}, "duplicate"),
        ({"options": ["a", "b"]}, "at least 300"),
        ({"options": ["a", "b"], "expires_in": 10_000_000}, "at most"),
    ],
)
def test_polls_that_are_none_are_refused(social: Social, poll: Any, said: str) -> None:
    user = social.user()
    refused = user.call("POST", "/api/v1/statuses", 422, json={"status": "?", "poll": poll})
    assert said in refused["error"]
    assert user.get(f"/accounts/{user.id}/statuses") == []


def test_only_who_may_see_a_status_sees_and_votes_in_its_poll(social: Social) -> None:
    author, follower, stranger, blocked = (social.user() for _ in range(4))
    follower.post(f"/accounts/{author.id}/follow")
    author.post(f"/accounts/{blocked.id}/block")
    private = author.write(
        "?", visibility="private", poll={"options": ["a", "b"], "expires_in": 600}
    )
    public = asked(author)
    for user, status in ((stranger, private), (blocked, public)):
        user.call("GET", f"/api/v1/polls/{status['id']}", 404)
        vote(user, status, 0, status_code=404)
    vote(follower, private, 0)
    without = author.write("no poll")
    author.call("GET", f"/api/v1/polls/{without['id']}", 404)


def test_an_edit_that_asks_something_else_begins_anew(social: Social) -> None:
    author, user = social.user(), social.user()
    status = user_status = asked(author, "a", "b")
    vote(user, status, 1)
    path = f"/api/v1/statuses/{status['id']}"

    def edit(*options: str) -> Any:
        poll = {"options": options, "expires_in": 900}
        return author.call("PUT", path, json={"status": "What now?", "poll": poll})["poll"]

    assert shown(edit("a", "b")) == ([0, 1], 1, 1)
    assert shown(edit("a", "b", "c")) == ([0, 0, 0], 0, 0)
    vote(user, user_status, 2)
    assert author.call("PUT", path, json={"status": "Never mind"})["poll"] is None
    history = author.get(f"/statuses/{status['id']}/history")
    titles = [one["poll"] and [o["title"] for o in one["poll"]["options"]] for one in history]
    assert titles == [["a", "b"], ["a", "b"], ["a", "b", "c"], None]
    assert social.sql("SELECT 1 FROM ballot WHERE status_id = $1", int(status["id"])) == []


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_a_recount_whatever_happens_at_once(social: Social, seed: int) -> None:
    """Voters who vote at the same moment, twice too; some are deleted, a poll is changed."""
    chance = random.Random(seed)
    author, voters = social.user(), [social.user() for _ in range(8)]
    polls = [asked(author, multiple=bool(n % 2)) for n in range(2)]
    expected: dict[str, dict[str, list[int]]] = {one["id"]: {} for one in polls}
    work = []
    for status in polls:
        for voter in voters:
            most = 3 if status["poll"]["multiple"] else 1
            for _ in range(2):
                work.append((voter, status, chance.sample(range(3), chance.randint(1, most))))
    chance.shuffle(work)

    def send(one: tuple[User, Any, list[int]]) -> tuple[str, str, list[int], int]:
        voter, status, choices = one
        path = f"/api/v1/polls/{status['id']}/votes"
        reply = voter.client.post(path, json={"choices": choices})
        return status["id"], voter.id, choices, reply.status_code

    with ThreadPoolExecutor(8) as threads:
        for status_id, voter_id, choices, code in threads.map(send, work):
            assert code in (200, 422)
            if code == 200:
                assert voter_id not in expected[status_id], "one voted twice"
                expected[status_id][voter_id] = choices
    assert all(len(one) == len(voters) for one in expected.values())
    gone = chance.choice(voters)
    social.sql("DELETE FROM account WHERE id = $1", gone.number)
    for status in polls:
        ballots = [c for who, c in expected[status["id"]].items() if who != gone.id]
        counted = [sum(n in one for one in ballots) for n in range(3)]
        found = shown(author.get(f"/polls/{status['id']}"))
        assert found == (counted, sum(counted), len(ballots))
    assert social.sql(RECOUNT) == []
    author.call("DELETE", f"/api/v1/statuses/{polls[0]['id']}")
    assert social.sql("SELECT 1 FROM poll_counter WHERE status_id = $1", int(polls[0]["id"])) == []
