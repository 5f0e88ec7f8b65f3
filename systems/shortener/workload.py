"""The operations that need more than a line of loadpath.toml."""

import os

from loadpath.flow import delete, effects, get, operation, patch, post, still_holds

# As in loadpath.toml: the key that `python -m shortener seed` put into the embedded database.
API_KEY = os.environ.get("SEED_API_KEY", "loadpath-embedded-test-key")


@operation("POST /short-urls", weight=6)
def shorten(state):
    """Make a link. Sent again with the same Idempotency-Key it makes no second one, so a client
    may try again, and does."""
    reply = yield make(state.attempt("link"), retries=2)
    if reply.ok:
        link = reply.json()
        state.acknowledge("link", code=link["shortCode"], url=link["longUrl"])


@operation("PATCH /short-urls/{code}", weight=2)
def retitle(state):
    """Change the title of a link, as popular as those that are followed; it leads where it led.

    Every process forgets the link and reads it anew, so this is what edits cost redirects.
    """
    yield patch(
        f"/rest/v3/short-urls/{state.key('link')}",
        headers={"X-Api-Key": API_KEY},
        json={"title": state.unique("Title ")},
    )


@operation("POST, DELETE /short-urls/{code}", weight=2)
def shorten_and_delete(state):
    """Make a link and delete it: one of its own, so that no other operation misses it."""
    made = yield make(state.unique("deleted-"))
    if not made.ok:
        return
    code = made.json()["shortCode"]
    reply = yield delete(f"/rest/v3/short-urls/{code}", headers={"X-Api-Key": API_KEY})
    if reply.ok:
        state.acknowledge("deleted link", code=code)


def make(token, retries=0):
    """The request that makes a link, one for each token however often it is sent."""
    return post(
        "/rest/v3/short-urls",
        headers={"X-Api-Key": API_KEY, "Idempotency-Key": f"link-{token}"},
        json={"longUrl": long_url(token), "tags": ["loadpath"]},
        retries=retries,
    )


def long_url(token):
    """Where the link made for that token leads, and no other."""
    return f"https://example.org/made/{token}"


@still_holds("link")
def redirects(link):
    """A link that was acknowledged leads where it was said to lead."""
    reply = yield get(f"/{link.code}")
    return reply.status in (301, 302, 307, 308) and reply.header("location") == link.url


@still_holds("deleted link")
def is_gone(link):
    """A link that was deleted leads nowhere."""
    reply = yield get(f"/{link.code}")
    return reply.status == 404


@effects("link")
def links_made(attempt):
    """How many links lead where one request asked for: sent twice, it should be one."""
    reply = yield get(
        "/rest/v3/short-urls",
        params={"searchTerm": long_url(attempt.token)},
        headers={"X-Api-Key": API_KEY},
    )
    return reply.json()["shortUrls"]["pagination"]["totalItems"] if reply.ok else None
