"""What the service says of itself: Schemathesis tries to catch it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from social.api import ENDPOINTS
from social.testing import Social, User
from systems_common.testing.pictures import encoded, gradient

EXAMPLES = int(os.environ.get("SOCIAL_SCHEMA_EXAMPLES", "3"))
"""Made-up requests for each operation."""
IDS = 0.7
"""How often an id is one of what is there; else it is made up."""
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
PHASES = os.environ.get("SOCIAL_SCHEMA_PHASES", "fuzzing")
"""`coverage,fuzzing` also tries the bounds of every parameter: some 2,000 requests more."""


def test_the_document_has_every_endpoint(social: Social) -> None:
    paths = social.client.get("/api/openapi.json").json()["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert found == {(one.method, one.path) for one in ENDPOINTS} - {("GET", "/api/openapi.json")}
    home = paths["/api/v1/timelines/home"]["get"]
    assert (home["security"], home["x-scope"]) == ([{"Token": []}], "read:statuses")
    assert [one["name"] for one in home["parameters"]] == ["max_id", "since_id", "min_id", "limit"]


def test_every_answer_has_its_shape_in_the_document(social: Social) -> None:
    """Those without one are no JSON."""
    document = social.client.get("/api/openapi.json").json()
    shapeless = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if not operation["responses"]["200"]["content"].get("application/json", {}).get("schema")
    }
    files = {"/assets/{name}", "/media/{name}"}
    assert {path for path in shapeless if "/streaming" not in path} == {"/oauth/authorize", *files}
    entities = document["components"]["schemas"]
    assert {"reblog", "poll", "account", "filtered"} <= set(entities["Status"]["properties"])
    # What is the viewer's is not there for somebody without a token.
    assert "reblog" in entities["Status"]["required"]
    assert "filtered" not in entities["Status"]["required"]
    assert entities["Notification"]["properties"]["account"] == {
        "$ref": "#/components/schemas/Account"
    }


def ids_of(social: Social, mine: User) -> dict[str, list[str]]:
    """Ids of what is there, by the pattern of the paths that take them."""
    other = social.user()
    other.post(f"/accounts/{mine.id}/follow")
    upload = {"file": ("a.png", encoded(gradient(40, 30), "PNG"))}
    attached, free = (
        mine.call("POST", "/api/v2/media", files=upload, data={"description": "a slope"})["id"]
        for _ in range(2)
    )
    post = mine.write("a #tag for you", media_ids=[attached], language="en")["id"]
    poll = mine.write("which?", poll={"options": ["a", "b"], "expires_in": 600})["id"]
    other.post(f"/polls/{poll}/votes", {"choices": [1]})
    other.write(f"@{mine.name} psst", visibility="direct", in_reply_to_id=post)
    other.post(f"/statuses/{post}/favourite")
    shared = other.post(f"/statuses/{post}/reblog")["id"]
    edited = mine.write("first")["id"]
    mine.call("PUT", f"/api/v1/statuses/{edited}", json={"status": "second"})
    mine.post(f"/accounts/{other.id}/follow")
    friends = mine.post("/lists", {"title": "Friends"})["id"]
    mine.post(f"/lists/{friends}/accounts", {"account_ids": [other.id]})
    made = {"title": "x", "context": ["home"], "keywords_attributes": [{"keyword": "tag"}]}
    kept = mine.call("POST", "/api/v2/filters", json=made)
    of_status = f"/api/v2/filters/{kept['id']}/statuses"
    hidden = mine.call("POST", of_status, json={"status_id": poll})["id"]
    keyword = kept["keywords"][0]["id"]
    return {
        "/api/v1/accounts/": [mine.id, other.id],
        "/api/v1/statuses/": [post, poll, edited, shared],
        "/api/v1/polls/": [poll],
        "/api/v1/media/": [free],
        "/api/v1/lists/|/timelines/list/": [friends],
        "/api/v1/conversations/": [one["id"] for one in mine.get("/conversations")],
        "/api/v1/notifications/": [one["id"] for one in mine.get("/notifications")],
        "/api/v1/follow_requests/": [other.id],
        "/api/v1/filters/|/filters/keywords/": [keyword],
        "/filters/statuses/": [hidden],
        "/api/v2/filters/\\{id\\}": [kept["id"]],
        "/timelines/tag/": ["tag"],
        "/assets/": ["avatar.svg"],
    }


def configured(ids: Mapping[str, Sequence[str]]) -> str:
    """The ids as Schemathesis takes them; what would delete them is given none of them."""
    return "\n".join(
        f"""[dictionaries.known{number}]
values = {json.dumps(values)}
[[operations]]
include-path-regex = {json.dumps(pattern)}
exclude-method = "DELETE"
parameters = {{ {
            ", ".join(
                f'"path.{name}" = {{ dictionary = "known{number}", probability = {IDS} }}'
                for name in ("id", "hashtag", "name")
            )
        } }}"""
        for number, (pattern, values) in enumerate(ids.items())
    )


def test_no_request_breaks_the_service(social: Social, tmp_path: Path) -> None:
    """Every answer has a documented status, type and shape, and none is an error of ours."""
    mine = social.user()
    (tmp_path / "schemathesis.toml").write_text(configured(ids_of(social, mine)))
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{social.process.url}/api/openapi.json",
            f"--header=Authorization: Bearer {mine.token}",
            "--seed=1",
            f"--max-examples={EXAMPLES}",
            f"--phases={PHASES}",
            "--generation-database=none",
            # A stream never ends.
            "--exclude-path-regex=/streaming(?!/health)",
            f"--checks={CHECKS}",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    social.assert_no_drift()
