"""Every endpoint there is, called by everybody: who is let in is what the table says, and what the
table says is what is written down here."""

from __future__ import annotations

from typing import Any

import pytest
from social.api import ENDPOINTS, PAGES
from social.testing import Social
from social.tokens import SCOPES, allows
from social.web.routing import Endpoint

# Endpoints that anybody may call without a token; all others need one.
OPEN = {
    "GET /health",
    "GET /api/openapi.json",
    "GET /health/live",
    "GET /health/ready",
    "GET /assets/{name}",
    "GET /media/{name}",
    "GET /.well-known/oauth-authorization-server",
    "GET /oauth/authorize",
    "POST /oauth/authorize",
    "POST /oauth/token",
    "POST /oauth/revoke",
    "POST /api/v1/apps",
    "GET /api/v1/instance",
    "GET /api/v2/instance",
    "GET /api/v1/custom_emojis",
    "GET /api/v1/accounts",
    "GET /api/v1/accounts/lookup",
    "GET /api/v1/accounts/{id}",
    "GET /api/v1/accounts/{id}/statuses",
    "GET /api/v1/accounts/{id}/followers",
    "GET /api/v1/accounts/{id}/following",
    "GET /api/v1/statuses",
    "GET /api/v1/statuses/{id}",
    "GET /api/v1/statuses/{id}/context",
    "GET /api/v1/statuses/{id}/history",
    "GET /api/v1/statuses/{id}/favourited_by",
    "GET /api/v1/statuses/{id}/reblogged_by",
    "GET /api/v1/polls/{id}",
    "GET /api/v1/timelines/public",
    "GET /api/v1/timelines/tag/{hashtag}",
    "GET /api/v1/streaming/health",
    "GET /",
    "GET /-/{name}",
    "GET /@{name}",
    "GET /@{name}/{id}",
    "GET /@{name}/{id}/reblogs/{share}",
    "GET /tags/{name}",
}
# With a token, any will do.
ANY_SCOPE = {name for name in OPEN if "/api/v1/a" not in name and "statuses" not in name} - {
    "GET /api/v1/polls/{id}",
    "GET /api/v1/timelines/public",
    "GET /api/v1/timelines/tag/{hashtag}",
} | {
    "POST /api/v1/apps",
    "GET /api/v1/apps/verify_credentials",
    # Each stream takes its own scope, whatever way it is asked for: test_social_streaming.py.
    "GET /api/v1/streaming",
}
OWNER_ONLY = {
    "PUT /api/v1/statuses/{id}",
    "DELETE /api/v1/statuses/{id}",
    "GET /api/v1/statuses/{id}/source",
}
EVERY = [*ENDPOINTS, *PAGES]
BY_NAME = {f"{one.method} {one.path}": one for one in EVERY}


def path_of(endpoint: Endpoint, identifier: str) -> str:
    return (
        endpoint.path.replace("{id}", identifier)
        .replace("{hashtag}", "tag")
        .replace("{name}", "avatar.svg")
    )


def test_the_table_has_no_endpoint_that_is_open_by_mistake() -> None:
    assert {name for name, one in BY_NAME.items() if one.who == "anyone"} == OPEN
    assert {name for name, one in BY_NAME.items() if not one.scope} == ANY_SCOPE
    for one in EVERY:
        # A picture that waits for its status is part of writing that.
        reads = one.method == "GET" and "/media/" not in one.path
        verb = "read" if reads else "write"
        assert not one.scope or one.scope in SCOPES, one.path
        assert not one.scope or one.scope.startswith(verb), one.path


def test_scopes_include_what_is_below_them() -> None:
    assert allows(frozenset(["write"]), "write:statuses")
    assert allows(frozenset(["follow"]), "write:blocks")
    assert not allows(frozenset(["follow"]), "write:statuses")
    assert not allows(frozenset(["read"]), "write:statuses")
    assert not allows(frozenset(["write:media"]), "write:statuses")


def test_every_endpoint_lets_in_whom_it_should(social: Social) -> None:
    owner, other = social.user(), social.user()
    post = owner.write("private", visibility="private")["id"]
    tokens = {
        "wrong scope": social.token(other.number, "push"),
        "app": social.token(None, "read write follow"),
        "unknown": "no such token",
    }

    def status(name: str, identifier: str, token: str | None) -> int:
        endpoint = BY_NAME[name]
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        sent: dict[str, Any] = {} if endpoint.method == "GET" else {"json": {"status": "edited"}}
        # Streamed, because a stream never ends.
        with social.client.stream(
            endpoint.method, path_of(endpoint, identifier), headers=headers, **sent
        ) as reply:
            if not reply.headers["content-type"].startswith("text/event-stream"):
                reply.read()
            return reply.status_code

    for name, endpoint in BY_NAME.items():
        of_accounts = "/accounts/" in name or "/follow_requests/" in name
        identifier = owner.id if of_accounts else post
        found = {who: status(name, identifier, token) for who, token in tokens.items()}
        found["anonymous"] = status(name, identifier, None)
        found["other user"] = status(name, identifier, other.token)
        assert all(code < 500 for code in found.values()), (name, found)
        assert found["unknown"] == 401, name
        assert (found["anonymous"] == 401) == (name not in OPEN) or "oauth" in name, (name, found)
        assert (found["wrong scope"] == 403) == (name not in ANY_SCOPE), (name, found)
        if endpoint.who == "user":
            assert found["app"] == 422, (name, found)
        if any(
            f"/{kind}/{{id}}" in name
            for kind in ("statuses", "notifications", "lists", "media", "polls")
        ):
            assert found["other user"] == 404, (name, found)
            assert found["anonymous"] in (401, 404), (name, found)
    assert owner.get(f"/statuses/{post}")["edited_at"] is None


@pytest.mark.parametrize("name", sorted(OWNER_ONLY))
def test_what_is_public_is_still_only_its_authors_to_change(social: Social, name: str) -> None:
    owner, other, blocked = social.user(), social.user(), social.user()
    post = owner.write("public")["id"]
    owner.post(f"/accounts/{blocked.id}/block")
    endpoint = BY_NAME[name]
    sent: dict[str, Any] = {} if endpoint.method == "GET" else {"json": {"status": "edited"}}
    for user in (other, blocked):
        user.call(endpoint.method, path_of(endpoint, post), 404, **sent)
    owner.call(endpoint.method, path_of(endpoint, post), 200, **sent)


def test_a_revoked_token_is_worth_nothing_at_once(social: Social) -> None:
    user = social.user()
    user.get("/accounts/verify_credentials")
    social.sql("DELETE FROM token WHERE account_id = $1", user.number)
    # Told by the database, whoever deleted it.
    for _ in range(50):
        reply = user.client.get("/api/v1/accounts/verify_credentials")
        if reply.status_code == 401:
            break
    assert reply.status_code == 401
    assert reply.json() == {"error": "The access token is invalid"}
