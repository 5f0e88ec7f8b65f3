"""How the platform is used: 60 homes, 30 looks at somebody, 10 writes."""

import os

from loadpath.flow import delete, effects, get, login, operation, post, still_holds

# As in loadpath.toml: what `python -m social seed` puts into the embedded database.
TOKEN = os.environ.get("SEED_TOKEN", "loadpath-embedded-test-token")


def authorization(number):
    """The header of the seeded account of that number."""
    return {"Authorization": f"Bearer {TOKEN}-{number:06d}"}


@login
def sign_in(identity):
    """Every seeded account has a token that follows from its number."""
    headers = authorization(identity.number)
    me = yield get("/api/v1/accounts/verify_credentials", headers=headers)
    identity.account = me.json()["id"]
    followers = yield get(f"/api/v1/accounts/{identity.account}/followers?limit=3", headers=headers)
    identity.followers = [int(one["username"][1:]) for one in followers.json()]
    return headers


@operation("GET /timelines/home", weight=60)
def home(state):
    """The newest page of one's home."""
    yield get("/api/v1/timelines/home?limit=20")


@operation("GET /accounts/{id}/statuses", weight=30)
def user(state):
    """Look somebody up and read what they wrote."""
    found = yield get(f"/api/v1/accounts/lookup?acct={state.key('account')}")
    if found.ok:
        yield get(f"/api/v1/accounts/{found.json()['id']}/statuses?limit=20")


@operation("POST /statuses", weight=7)
def write(state):
    """Post. Sent again with the same Idempotency-Key it is not posted twice."""
    reply = yield make(state.attempt("post"), retries=2)
    if reply.ok:
        acknowledge(state, reply.json()["id"])


@operation("POST /statuses (reply)", weight=1)
def answer(state):
    """Answer the newest post of one's home."""
    page = yield get("/api/v1/timelines/home?limit=1")
    newest = page.json() if page.ok else []
    if newest:
        yield make(state.unique("reply-"), in_reply_to_id=newest[0]["id"])


@operation("POST /statuses/{id}/favourite", weight=1)
def favourite(state):
    """Favourite the newest post of one's home."""
    page = yield get("/api/v1/timelines/home?limit=1")
    newest = page.json() if page.ok else []
    if newest:
        # Whoever wrote it may have deleted it meanwhile.
        yield post(f"/api/v1/statuses/{newest[0]['id']}/favourite", expect=(404,))


@operation("POST, DELETE /statuses", weight=1)
def write_and_delete(state):
    """Post and think better of it."""
    made = yield make(state.unique("deleted-"))
    if made.ok:
        reply = yield delete(f"/api/v1/statuses/{made.json()['id']}")
        if reply.ok:
            state.acknowledge(
                "deleted post", id=made.json()["id"], followers=state.identity.followers
            )


def make(token, retries=0, **more):
    """The request that posts, once for each token however often it is sent."""
    return post(
        "/api/v1/statuses",
        headers={"Idempotency-Key": f"post-{token}"},
        json={"status": text_of(token), "visibility": "public", **more},
        retries=retries,
    )


def text_of(token):
    """What only the post of that token says."""
    return f"Something to say about #{tag_of(token)}"


def tag_of(token):
    """A hashtag that only the post of that token has."""
    return "t" + "".join(part for part in token.lower() if part.isalnum())


def acknowledge(state, status):
    """Remember that a post was acknowledged, and some of those who must find it at home."""
    state.acknowledge("post", id=status, followers=state.identity.followers)


@still_holds("post")
def stands_at_home_once(made):
    """A post that was acknowledged stands in each follower's home, once."""
    for number in made.followers:
        page = yield get(
            f"/api/v1/timelines/home?max_id={int(made.id) + 1}&limit=2",
            headers=authorization(number),
        )
        if not page.ok or [one["id"] for one in page.json()].count(made.id) != 1:
            return False
    return True


@still_holds("deleted post")
def stands_nowhere(gone):
    """A post that was deleted is not there, and in nobody's home."""
    reply = yield get(f"/api/v1/statuses/{gone.id}")
    if reply.status != 404:
        return False
    for number in gone.followers:
        page = yield get(
            f"/api/v1/timelines/home?max_id={int(gone.id) + 1}&limit=1",
            headers=authorization(number),
        )
        if not page.ok or gone.id in [one["id"] for one in page.json()]:
            return False
    return True


@effects("post")
def posts_made(attempt):
    """How many posts say what one request asked to post: sent twice, it should be one."""
    reply = yield get(f"/api/v1/timelines/tag/{tag_of(attempt.token)}")
    return len(reply.json()) if reply.ok else None
