"""Shlink's REST API v3 as its documentation gives it, against what the service says of itself.

Written anew from https://api-spec.shlink.io (Shlink 5.1): every path, its methods, the parameters
of each, the statuses it documents, and the members of what it answers. What is left out on
purpose stands in LEFT_OUT and, with the reasons, in README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from shortener.testing import Shortener

PREFIX = "/rest/v3"
README = Path(__file__).parent.parent / "README.md"


class Documented(msgspec.Struct, frozen=True):
    """An operation: query parameters, statuses, and the required members of the answer by place."""

    query: str = ""
    statuses: str = "200"
    answer: dict[str, str] = {}


_PAGING = "page itemsPerPage"
_VISITS = f"startDate endDate {_PAGING} excludeBots"
_LINK = (
    "shortCode shortUrl longUrl dateCreated visitsSummary tags meta domain title crawlable "
    "forwardQuery hasRedirectRules"
)
_SUMMARY = "total nonBots bots"
_META = "validSince validUntil maxVisits"
_PAGES = "currentPage pagesCount itemsPerPage itemsInCurrentPage totalItems"
_VISIT = "referer date userAgent visitLocation potentialBot visitedUrl redirectUrl"
_REDIRECTS = "baseUrlRedirect regular404Redirect invalidShortUrlRedirect"
_A_LINK = {"": _LINK, "visitsSummary": _SUMMARY, "meta": _META}
_A_VISIT_LIST = {
    "": "visits",
    "visits": "data pagination",
    "visits.data": _VISIT,
    "visits.pagination": _PAGES,
}
_RULES = {
    "": "defaultLongUrl redirectRules",
    "redirectRules": "longUrl priority conditions",
    "redirectRules.conditions": "type matchKey matchValue",
}

API: dict[str, dict[str, Documented]] = {
    "/short-urls": {
        "get": Documented(
            f"{_PAGING} searchTerm tags[] tagsMode excludeTags[] excludeTagsMode orderBy startDate "
            "endDate excludeMaxVisitsReached excludePastValidUntil domain apiKeyName",
            answer={
                "": "shortUrls",
                "shortUrls": "data pagination",
                "shortUrls.data": _LINK,
                "shortUrls.data.visitsSummary": _SUMMARY,
                "shortUrls.data.meta": _META,
                "shortUrls.pagination": _PAGES,
            },
        ),
        "post": Documented("", "200 400", _A_LINK),
    },
    "/short-urls/shorten": {"get": Documented("apiKey longUrl format", "200", _A_LINK)},
    "/short-urls/{code}": {
        "get": Documented("domain", "200 404", _A_LINK),
        "delete": Documented("domain", "204 404 422"),
        "patch": Documented("domain", "200 400 404", _A_LINK),
    },
    "/short-urls/{code}/redirect-rules": {
        "get": Documented("domain", "200 404", _RULES),
        "post": Documented("domain", "200 400 404", _RULES),
    },
    "/short-urls/{code}/visits": {
        "get": Documented(f"domain {_VISITS}", "200 404", _A_VISIT_LIST),
        "delete": Documented("domain", "200 404", {"": "deletedVisits"}),
    },
    "/tags": {
        "get": Documented(
            f"{_PAGING} searchTerm orderBy", "200", {"": "tags", "tags": "data pagination"}
        ),
        "put": Documented("", "204 400 403 404 409"),
        "delete": Documented("tags[]", "204 403"),
    },
    "/tags/stats": {
        "get": Documented(
            f"{_PAGING} searchTerm orderBy",
            "200",
            {
                "": "tags",
                "tags": "data pagination",
                "tags.data": "tag shortUrlsCount visitsSummary",
                "tags.data.visitsSummary": _SUMMARY,
            },
        )
    },
    "/tags/{tag}/visits": {"get": Documented(f"domain {_VISITS}", "200 404", _A_VISIT_LIST)},
    "/domains": {
        "get": Documented(
            "",
            "200",
            {
                "": "domains",
                "domains": "data defaultRedirects",
                "domains.data": "domain isDefault redirects",
                "domains.data.redirects": _REDIRECTS,
                "domains.defaultRedirects": _REDIRECTS,
            },
        )
    },
    "/domains/redirects": {"patch": Documented("", "200 400", {"": _REDIRECTS})},
    "/domains/{domain}/visits": {"get": Documented(_VISITS, "200 404", _A_VISIT_LIST)},
    "/visits": {
        "get": Documented(
            "",
            "200",
            {
                "": "visits",
                "visits": "nonOrphanVisits orphanVisits",
                "visits.nonOrphanVisits": _SUMMARY,
                "visits.orphanVisits": _SUMMARY,
            },
        )
    },
    "/visits/orphan": {
        "get": Documented(
            f"domain type {_VISITS}",
            "200",
            {**_A_VISIT_LIST, "visits.data": f"{_VISIT} type"},
        ),
        "delete": Documented("", "200", {"": "deletedVisits"}),
    },
    "/visits/non-orphan": {"get": Documented(f"domain {_VISITS}", "200", _A_VISIT_LIST)},
    "/mercure-info": {"get": Documented("", "200 501")},
    "/health": {"get": Documented("", "200 503", {"": "status version links"})},
}

BODIES = {
    ("/short-urls", "post"): (
        "longUrl validSince validUntil maxVisits tags title crawlable forwardQuery customSlug "
        "pathPrefix findIfExists domain shortCodeLength",
        "longUrl",
    ),
    ("/short-urls/{code}", "patch"): (
        "longUrl validSince validUntil maxVisits tags title crawlable forwardQuery",
        "",
    ),
    ("/short-urls/{code}/redirect-rules", "post"): ("redirectRules", ""),
    ("/tags", "put"): ("oldName newName", "oldName newName"),
    ("/domains/redirects", "patch"): (f"domain {_REDIRECTS}", "domain"),
}

LEFT_OUT = {
    "/short-urls/shorten get": "deprecated",
    "/tags put 403": "roles",
    "/tags delete 403": "roles",
}
"""What is left out, and the word by which README.md gives the reason."""

OPERATIONS = [
    (path, method)
    for path, methods in API.items()
    for method in methods
    if f"{path} {method}" not in LEFT_OUT
]


@pytest.fixture(scope="module")
def described(shortener: Shortener) -> dict[str, Any]:
    found: dict[str, Any] = shortener.client.get(f"{PREFIX}/docs/openapi.json").json()
    return found


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_has_shlinks_parameters_and_statuses(
    described: dict[str, Any], path: str, method: str
) -> None:
    documented = API[path][method]
    operation = described["paths"][PREFIX + path][method]
    given = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    assert given == set(documented.query.split())
    wanted = {s for s in documented.statuses.split() if f"{path} {method} {s}" not in LEFT_OUT}
    assert wanted <= set(operation["responses"])
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for status in set(operation["responses"]) - {"200", "204"} - ({"503"} & wanted):
        assert operation["responses"][status]["content"] == {"application/problem+json": problem}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_answer_has_shlinks_members(described: dict[str, Any], path: str, method: str) -> None:
    documented = API[path][method]
    operation = described["paths"][PREFIX + path][method]
    for place, members in documented.answer.items():
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        for step in place.split(".") if place else ():
            schema = _object(described, _object(described, schema)["properties"][step])
        found = _object(described, schema)
        assert set(members.split()) <= set(found["properties"]), place
        # Whatever is documented is always there, if only as null.
        assert set(members.split()) <= set(found["required"]), place


BEYOND_SHLINK = {"password", f"{PREFIX}/events"}
"""What this service has and Shlink has not."""


@pytest.mark.parametrize(("path", "method"), BODIES)
def test_a_body_may_have_what_shlinks_may(
    described: dict[str, Any], path: str, method: str
) -> None:
    members, required = BODIES[path, method]
    body = described["paths"][PREFIX + path][method]["requestBody"]["content"]["application/json"]
    schema = _object(described, body["schema"])
    assert set(members.split()) == set(schema["properties"]) - BEYOND_SHLINK
    assert set(required.split()) <= set(schema.get("required", []))


def test_every_path_is_shlinks(described: dict[str, Any]) -> None:
    ours = {path for path in described["paths"] if path.startswith(PREFIX)}
    assert ours - BEYOND_SHLINK <= {PREFIX + path for path in API}


def test_what_is_left_out_is_said_with_its_reason() -> None:
    text = README.read_text("utf-8")
    section = text.partition("**Left out**")[2].partition("\n## ")[0]
    for reason in {*LEFT_OUT.values(), "pathPrefix", "Mercure", "geolocation"}:
        assert reason in section, reason


def _object(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The object that a schema is, refers to, or has items of."""
    while True:
        if "$ref" in schema:
            schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif schema.get("type") == "array":
            schema = schema["items"]
        else:
            return schema
