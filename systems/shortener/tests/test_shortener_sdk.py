"""Shlink's own SDK for JavaScript, driven against the running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shortener.testing import API_KEY, Shortener
from systems_common.testing.node import printed_by

CALLS = Path(__file__).parent / "sdk" / "calls.mjs"
TYPES = "https://shlink.io/api/error/"


@pytest.fixture(scope="module")
def printed(shortener: Shortener) -> dict[str, Any]:
    """What calls.mjs printed."""
    shown: dict[str, Any] = printed_by(CALLS, shortener.process.url, API_KEY)
    return shown


@pytest.fixture(scope="module")
def results(printed: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = printed["results"]
    return shown


def error_of(result: Any) -> dict[str, Any]:
    error: dict[str, Any] = result["error"]
    return error


def test_every_method_of_the_sdk_was_called(printed: dict[str, Any]) -> None:
    assert len(printed["methods"]) >= 23
    assert set(printed["methods"]) <= set(printed["results"])


def test_calls_that_are_to_succeed_do(results: dict[str, Any]) -> None:
    refused = {name for name, result in results.items() if "error" in (result or {})}
    assert refused == {
        "slugTaken",
        "invalidUrl",
        "unknownLink",
        "badRules",
        "tagConflict",
        "tagUnknown",
        "mercureInfo",
        "deletedIsGone",
        "badKey",
    }


@pytest.mark.parametrize(
    ("name", "status", "kind", "more"),
    [
        ("slugTaken", 400, "non-unique-slug", {"customSlug": "sdk-link"}),
        ("invalidUrl", 400, "invalid-data", {"invalidElements": ["longUrl"]}),
        ("unknownLink", 404, "short-url-not-found", {"shortCode": "no-such-link"}),
        ("badRules", 400, "invalid-data", {"invalidElements": ["conditions"]}),
        ("tagConflict", 409, "tag-conflict", {"oldName": "sdk-renamed", "newName": "sdk-one"}),
        ("tagUnknown", 404, "tag-not-found", {"tag": "no-such-tag"}),
        ("mercureInfo", 501, "mercure-not-configured", {}),
        ("deletedIsGone", 404, "short-url-not-found", {"shortCode": "sdk-link"}),
        ("badKey", 401, "invalid-api-key", {}),
    ],
)
def test_refusals_are_shlinks_problems(
    results: dict[str, Any], name: str, status: int, kind: str, more: dict[str, Any]
) -> None:
    error = error_of(results[name])
    assert {"type", "title", "detail", "status"} <= set(error)
    assert (error["status"], error["type"]) == (status, TYPES + kind)
    assert {key: error[key] for key in more} == more


def test_links_come_back_as_they_were_made_and_changed(results: dict[str, Any]) -> None:
    created = results["createShortUrl"]
    assert created["shortUrl"] == "https://sho.rt/sdk-link"
    assert created["tags"] == ["sdk-one", "sdk-two"]
    assert created["meta"]["maxVisits"] == 1000
    assert results["getShortUrl"] == created
    elsewhere = results["createOnDomain"]
    assert elsewhere["domain"] == "sdk.example"
    assert elsewhere["shortUrl"] == "https://sdk.example/sdk-link"
    assert results["getOnDomain"] == elsewhere
    changed = results["updateShortUrl"]
    assert changed["longUrl"] == "https://example.com/changed"
    assert changed["title"] is None
    assert changed["tags"] == ["sdk-one", "sdk-three"]
    assert changed["meta"] == {**created["meta"], "validUntil": None, "maxVisits": 500}
    assert changed["crawlable"] is True


def test_lists_are_filtered(results: dict[str, Any]) -> None:
    assert results["listShortUrls"]["data"] == [results["updateShortUrl"]]
    assert results["listShortUrls"]["pagination"] == {
        "currentPage": 1,
        "pagesCount": 1,
        "itemsPerPage": 5,
        "itemsInCurrentPage": 1,
        "totalItems": 1,
    }
    assert results["listOnDomain"]["data"] == [results["createOnDomain"]]
    assert results["listByKey"]["pagination"]["totalItems"] == 0


def test_rules_are_kept_in_their_order(results: dict[str, Any]) -> None:
    rules = results["getShortUrlRedirectRules"]
    assert rules == results["setShortUrlRedirectRules"]
    assert rules["defaultLongUrl"] == "https://example.com/changed"
    assert [(rule["priority"], rule["longUrl"]) for rule in rules["redirectRules"]] == [
        (1, "https://example.com/android"),
        (2, "https://example.com/asked"),
    ]
    assert rules["redirectRules"][1]["conditions"] == [
        {"type": "query-param", "matchKey": "foo", "matchValue": "bar"}
    ]


def test_visits_are_listed_and_summed(results: dict[str, Any]) -> None:
    [visit] = results["getShortUrlVisits"]["data"]
    assert (visit["userAgent"], visit["referer"]) == ("Firefox/140.0", "https://example.org/")
    assert visit["potentialBot"] is False
    tagged = results["getTagVisits"]
    assert [visit["potentialBot"] for visit in tagged["data"]] == [True, False]
    assert tagged["pagination"]["totalItems"] == 2
    of_domain, everywhere = results["getDomainVisits"], results["getNonOrphanVisits"]
    assert of_domain["data"][:2] == everywhere["data"] == tagged["data"]
    sums = results["getVisitsOverview"]["nonOrphanVisits"]
    assert sums["total"] == sums["bots"] + sums["nonBots"] == everywhere["pagination"]["totalItems"]
    assert of_domain["pagination"]["totalItems"] == sums["total"]
    assert set(results["getOrphanVisits"]) == {"data", "pagination"}
    assert results["deleteShortUrlVisits"] == {"deletedVisits": 2}


def test_tags_are_renamed_and_deleted(results: dict[str, Any]) -> None:
    assert {"sdk-one", "sdk-two", "sdk-three"} <= set(results["listTags"]["data"])
    stats = {entry["tag"]: entry for entry in results["tagsStats"]["data"]}
    sums = {"total": 2, "nonBots": 1, "bots": 1}
    assert stats["sdk-one"] == {"tag": "sdk-one", "shortUrlsCount": 2, "visitsSummary": sums}
    assert stats["sdk-three"]["visitsSummary"] == sums
    assert stats["sdk-two"]["shortUrlsCount"] == 0
    left = [name for name in results["listTagsAfter"]["data"] if name.startswith("sdk-")]
    assert left == ["sdk-renamed"]


def test_domains_have_their_redirects(results: dict[str, Any]) -> None:
    redirects = {
        "baseUrlRedirect": "https://example.com/base",
        "regular404Redirect": None,
        "invalidShortUrlRedirect": None,
    }
    assert results["editDomainRedirects"] == redirects
    default, *others = results["listDomains"]["data"]
    assert (default["domain"], default["isDefault"]) == ("sho.rt", True)
    assert {"domain": "sdk.example", "isDefault": False, "redirects": redirects} in others
    assert set(results["listDomains"]["defaultRedirects"]) == set(redirects)


def test_the_service_is_healthy(results: dict[str, Any]) -> None:
    assert results["health"]["status"] == "pass"
