"""The operations that need more than a line of loadpath.toml."""

import os

from loadpath.flow import get, operation, post, still_holds

# As in loadpath.toml: the key that `python -m shortener seed` put into the embedded database.
API_KEY = os.environ.get("SEED_API_KEY", "loadpath-embedded-test-key")


@operation("POST /short-urls", weight=10)
def shorten(state):
    """Make a link. Sent again with the same Idempotency-Key it would make no second one."""
    reply = yield post(
        "/rest/v3/short-urls",
        headers={"X-Api-Key": API_KEY, "Idempotency-Key": state.unique("link-")},
        json={"longUrl": state.fresh_url(), "tags": ["loadpath"]},
    )
    if reply.ok:
        link = reply.json()
        state.acknowledge("link", code=link["shortCode"], url=link["longUrl"])


@still_holds("link")
def redirects(link):
    """A link that was acknowledged leads where it was said to lead."""
    reply = yield get(f"/{link.code}")
    return reply.status in (301, 302, 307, 308) and reply.header("location") == link.url
