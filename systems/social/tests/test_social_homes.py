"""Homes are what the tables say they are, whatever was done, under every way to make them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from social.testing import Social, Starter, User
from systems_common.testing import wait_until

WAYS = {
    # Three followers make a celebrity.
    "hybrid": {"FANOUT_THRESHOLD": "2"},
    "write": {"FANOUT": "write", "FANOUT_IN": "request", "COUNTERS": "counted"},
    "read": {"FANOUT": "read", "PAGING": "offset"},
}


def act(chance: random.Random, users: list[User], posts: list[str]) -> None:
    """Do something at random; what is not allowed is refused, which is as good."""
    user, other = chance.sample(users, 2)
    post = chance.choice(posts) if posts else "1"
    what = chance.choices(
        ["write", "reply", "reblog", "delete", "follow", "unfollow", "block", "unblock",
         "mute", "unmute", "edit", "read"],
        [8, 3, 3, 2, 4, 2, 1, 2, 1, 1, 1, 4],
    )[0]  # fmt: skip
    path = "/api/v1/statuses"
    match what:
        case "write":
            visibility = chance.choice(["public", "public", "unlisted", "private", "direct"])
            posts.append(user.write(f"Hello @{other.name}", visibility=visibility)["id"])
        case "reply":
            sent = {"status": "Yes", "in_reply_to_id": post}
            reply = user.client.post(path, json=sent)
            if reply.status_code == 200:
                posts.append(reply.json()["id"])
        case "reblog":
            user.client.post(f"{path}/{post}/reblog")
        case "edit":
            user.client.put(f"{path}/{post}", json={"status": "changed"})
        case "delete":
            user.client.delete(f"{path}/{post}")
        case "read":
            user.home(limit=5)
        case "follow":
            user.client.post(
                f"/api/v1/accounts/{other.id}/follow", json={"reblogs": chance.random() < 0.7}
            )
        case _:
            user.client.post(f"/api/v1/accounts/{other.id}/{what}")


@pytest.mark.parametrize("way", WAYS)
def test_homes_equal_a_recomputation_after_anything(starter: Starter, way: str) -> None:
    chance = random.Random(4)
    with starter(**WAYS[way]) as social:
        users = [social.user() for _ in range(5)]
        for user in users[1:]:
            user.post(f"/accounts/{users[0].id}/follow")
        posts = [users[0].write("Hello all")["id"]]
        for _ in range(90):
            act(chance, users, posts)
        assert_homes(social, users)
        assert_pages_at_once(social, users)
        if way == "write":
            assert_thousands_are_reached(social, pulled=False)
        else:
            social.assert_no_drift()
        if way == "hybrid":
            assert social.sql("SELECT count(*) FROM account WHERE pulled")[0][0] > 0
            # Without Valkey homes are read from the tables, with it again they are made anew.
            social.valkey.kill()
            assert_homes(social, users[:2])
            users[0].write("while Valkey is away")
            social.valkey.start()
            assert_homes(social, users)


def assert_homes(social: Social, users: list[User]) -> None:
    """Every home is right, at the latest when what is under way is done."""
    for user in users:
        expected = social.expected_home(user)
        wait_until(
            lambda user=user, expected=expected: user.whole_home() == expected,
            timeout_s=8.0,
            what=f"the home of {user.name} to be {expected}",
        )


def assert_pages_at_once(social: Social, users: list[User]) -> None:
    """Pages of several homes, and several of one, are each right when all are read together."""
    asked: list[tuple[User, dict[str, Any], list[str]]] = []
    for user in users:
        home = social.expected_home(user)
        middle = home[len(home) // 2]
        older = [one for one in home if int(one) < int(middle)]
        newer = [one for one in home if int(one) > int(middle)]
        asked += [
            (user, {"limit": 4}, home[:4]),
            (user, {"limit": 3, "max_id": middle}, older[:3]),
            (user, {"limit": 3, "min_id": middle}, newer[-3:]),
            (user, {"limit": 5, "since_id": middle}, newer[:5]),
        ]
    with ThreadPoolExecutor(len(asked)) as threads:
        for _ in range(3):
            found = list(threads.map(lambda one: one[0].home(**one[1]), asked))
            assert found == [expected for _, _, expected in asked]


def assert_thousands_are_reached(social: Social, *, pulled: bool) -> None:
    """The last of more followers than are read at once has what is posted, the others too."""
    ann, bob = social.user(), social.user()
    others = 5_003
    social.sql(
        """WITH made AS (
               INSERT INTO account (id, username)
               SELECT n, 'one_of_many_' || n
               FROM generate_series($1::bigint - 1000000, $1::bigint - 1000001 + $2) AS n
               RETURNING id),
           counted AS (
               INSERT INTO account_counter (account_id, slot, following) SELECT id, 0, 1 FROM made)
           INSERT INTO follow (id, account_id, target_id) SELECT id, id, $1 FROM made""",
        bob.number,
        others,
    )
    social.sql("SELECT count_account($1, 0, $2, 0)", bob.number, others)
    ann.post(f"/accounts/{bob.id}/follow")
    assert ann.home() == []
    post = bob.write("Hello everybody")["id"]
    wait_until(lambda: ann.home() == [post], timeout_s=8.0, what="the post at home")
    wait_until(
        lambda: social.sql("SELECT FROM fanout") == [], timeout_s=8.0, what="the fan-out to end"
    )
    marked = social.sql("SELECT count(*) FROM follow WHERE target_id = $1 AND pulled", bob.number)
    assert marked[0][0] == (others + 1 if pulled else 0)
    assert ann.whole_home() == social.expected_home(ann)


def test_who_passes_the_threshold_by_thousands_is_pulled(social: Social) -> None:
    assert_thousands_are_reached(social, pulled=True)
    social.assert_no_drift()


def test_a_home_reaches_beyond_what_is_kept_of_it(social: Social) -> None:
    ann, bob = social.user(), social.user()
    ann.post(f"/accounts/{bob.id}/follow")
    ann.home()
    social.sql(
        """INSERT INTO status (id, account_id, visibility, text)
           SELECT (1000 + n)::bigint << 32, $1, 0, 'old ' || n FROM generate_series(1, 900) AS n""",
        bob.number,
    )
    social.sql("SELECT count_account($1, 900, 0, 0)", bob.number)
    # Made from PostgreSQL: the newest 800 of 900; each page must lead to the next nevertheless.
    ann.post(f"/accounts/{bob.id}/unfollow")
    ann.post(f"/accounts/{bob.id}/follow")
    newest = bob.write("newest")["id"]
    wait_until(lambda: ann.home(limit=1) == [newest], timeout_s=5.0, what="the newest at home")
    home = ann.whole_home()
    assert home == social.expected_home(ann)
    assert len(home) == 901
    around = home[790:815]
    assert ann.home(max_id=around[0], limit=24) == around[1:]
    assert ann.home(min_id=around[-1], limit=24) == around[:-1]
    assert ann.home(since_id=home[3]) == home[:3]


def test_a_post_is_at_home_once_though_fanned_out_twice(social: Social) -> None:
    ann, bob = social.user(), social.user()
    ann.post(f"/accounts/{bob.id}/follow")
    ann.home()
    sent = {"status": "only once"}
    keyed = {"Idempotency-Key": "the same"}
    replies = [
        bob.client.post("/api/v1/statuses", json=sent, headers=keyed).json()["id"] for _ in range(3)
    ]
    assert len(set(replies)) == 1
    wait_until(lambda: ann.home() == replies[:1], timeout_s=5.0, what="the post at home")
    other = ann.client.post("/api/v1/statuses", json=sent, headers=keyed).json()["id"]
    assert other != replies[0]
    assert ann.home() == [other, replies[0]]
