"""The REST API: shapes, paging, filters, errors, keys."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from shortener.testing import LINKS, Shortener

PROBLEM = "application/problem+json"
TYPES = "https://shlink.io/api/error/"


def assert_problem(reply: Any, status: int, kind: str) -> dict[str, Any]:
    assert (reply.status_code, reply.headers["content-type"]) == (status, PROBLEM), reply.text
    body: dict[str, Any] = reply.json()
    assert body["type"] == (kind if kind == "about:blank" else TYPES + kind)
    assert body["status"] == status
    assert body["title"] and body["detail"]
    return body


def test_a_created_link_has_shlinks_shape(shortener: Shortener) -> None:
    reply = shortener.create(
        longUrl="https://example.com/a?b=c#d",
        customSlug="my slug",
        title="  A title ",
        tags=["Big News", "big  news", "docs"],
        validSince="2020-01-01T00:00:00+02:00",
        validUntil="2099-12-31",
        maxVisits=7,
        crawlable=True,
        forwardQuery=False,
        someFutureMember=1,
    )
    assert reply.status_code == 200
    created = reply.json()
    assert created.pop("dateCreated").endswith("+00:00")
    assert created == {
        "shortCode": "my-slug",
        "shortUrl": "https://sho.rt/my-slug",
        "longUrl": "https://example.com/a?b=c#d",
        "visitsSummary": {"total": 0, "nonBots": 0, "bots": 0},
        "tags": ["big-news", "docs"],
        "meta": {
            "validSince": "2019-12-31T22:00:00+00:00",
            "validUntil": "2099-12-31T00:00:00+00:00",
            "maxVisits": 7,
        },
        "domain": None,
        "title": "A title",
        "crawlable": True,
        "forwardQuery": False,
        "hasRedirectRules": False,
    }
    again = shortener.link("my-slug")
    again.pop("dateCreated")
    assert again == created


def test_a_generated_code_has_the_length_asked_for(shortener: Shortener) -> None:
    assert len(shortener.code()) == 5
    assert len(shortener.code(shortCodeLength=12)) == 12


@pytest.mark.parametrize(
    ("body", "element"),
    [
        ({"longUrl": "ftp://example.com/"}, "longUrl"),
        ({"longUrl": "javascript:alert(1)"}, "longUrl"),
        ({"longUrl": "https://example.com/\r\nset-cookie: a=b"}, "longUrl"),
        ({"longUrl": 5}, "longUrl"),
        ({"longUrl": "https://example.com/", "customSlug": "a?b"}, "customSlug"),
        ({"longUrl": "https://example.com/", "customSlug": "health"}, "customSlug"),
        ({"longUrl": "https://example.com/", "shortCodeLength": 3}, "shortCodeLength"),
        ({"longUrl": "https://example.com/", "maxVisits": 0}, "maxVisits"),
        ({"longUrl": "https://example.com/", "maxVisits": 2**40}, "maxVisits"),
        ({"longUrl": "https://example.com/", "validSince": "tomorrow"}, "validSince"),
        ({"longUrl": "https://example.com/", "tags": ["ok", " "]}, "tags"),
        ({"longUrl": "https://example.com/", "tags": "news"}, "tags"),
        ({"longUrl": "https://example.com/", "title": "a\0b"}, "title"),
        ({"longUrl": "https://example.com/", "domain": "no domain"}, "domain"),
        ({}, "longUrl"),
    ],
)
def test_what_does_not_fit_is_named(shortener: Shortener, body: Any, element: str) -> None:
    reply = shortener.client.post("/rest/v3/short-urls", json=body)
    assert assert_problem(reply, 400, "invalid-data")["invalidElements"] == [element]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b""])
def test_a_body_that_is_no_object_is_refused(shortener: Shortener, body: bytes) -> None:
    reply = shortener.client.post(
        "/rest/v3/short-urls", content=body, headers={"content-type": "application/json"}
    )
    assert reply.status_code == 400
    assert reply.headers["content-type"] == PROBLEM


def test_the_default_domain_may_be_named(shortener: Shortener) -> None:
    code = shortener.code(domain="SHO.RT")
    named = shortener.client.get(f"/rest/v3/short-urls/{code}", params={"domain": "sho.rt"})
    assert named.json()["domain"] is None
    other = shortener.client.get(f"/rest/v3/short-urls/{code}", params={"domain": "x.example"})
    assert_problem(other, 404, "short-url-not-found")


def test_a_taken_slug_is_refused(shortener: Shortener) -> None:
    shortener.code(customSlug="taken")
    reply = shortener.create(longUrl="https://example.com/other", customSlug="taken")
    assert assert_problem(reply, 400, "non-unique-slug")["customSlug"] == "taken"


def test_an_unknown_code_is_a_problem_that_names_it(shortener: Shortener) -> None:
    for path in ("/rest/v3/short-urls/nobody", "/rest/v3/short-urls/nobody/visits", "/nobody"):
        body = assert_problem(shortener.client.get(path), 404, "short-url-not-found")
        assert body["shortCode"] == "nobody"


@pytest.mark.parametrize(
    ("key", "kind"), [(None, "missing-authentication"), ("wrong", "invalid-api-key")]
)
@pytest.mark.parametrize("path", ["short-urls", "short-urls/s000001", "short-urls/s000001/visits"])
def test_the_api_wants_a_key(shortener: Shortener, key: str | None, kind: str, path: str) -> None:
    request = shortener.client.build_request("GET", f"/rest/v3/{path}")
    del request.headers["X-Api-Key"]
    if key is not None:
        request.headers["X-Api-Key"] = key
    assert_problem(shortener.client.send(request), 401, kind)


def test_a_disabled_and_an_expired_key_are_refused(shortener: Shortener) -> None:
    for name, column in (("disabled", "disabled = true"), ("expired", "expires_at = now()")):
        shortener.sql(
            "INSERT INTO api_key (digest, name) VALUES (sha256($1::bytea), $2)",
            name.encode(),
            name,
        )
        shortener.sql(f"UPDATE api_key SET {column} WHERE name = $1", name)
        reply = shortener.client.get("/rest/v3/short-urls", headers={"X-Api-Key": name})
        assert_problem(reply, 401, "invalid-api-key")


def test_unknown_paths_and_methods_are_problems(shortener: Shortener) -> None:
    assert_problem(shortener.client.get("/rest/v3/nothing"), 404, "not-found")
    assert_problem(shortener.client.get("/"), 404, "not-found")
    reply = shortener.client.delete("/rest/v3/short-urls")
    assert_problem(reply, 405, "about:blank")
    assert "GET" in reply.headers["allow"]


def list_codes(shortener: Shortener, **params: Any) -> tuple[list[str], dict[str, int]]:
    reply = shortener.client.get("/rest/v3/short-urls", params=params)
    assert reply.status_code == 200, reply.text
    page = reply.json()["shortUrls"]
    return [link["shortCode"] for link in page["data"]], page["pagination"]


def test_pages_do_not_overlap_and_tell_where_they_stand(shortener: Shortener) -> None:
    seen: list[str] = []
    for page in (1, 2, 3):
        codes, pagination = list_codes(
            shortener, page=page, itemsPerPage=120, endDate="2026-01-01", orderBy="dateCreated-ASC"
        )
        seen += codes
        assert pagination == {
            "currentPage": page,
            "pagesCount": 3,
            "itemsPerPage": 120,
            "itemsInCurrentPage": (120, 120, 60)[page - 1],
            "totalItems": LINKS,
        }
    assert seen == [f"s{number:06d}" for number in range(LINKS)]


def test_a_page_behind_the_last_is_empty(shortener: Shortener) -> None:
    codes, pagination = list_codes(shortener, page=99, endDate="2026-01-01")
    assert codes == []
    assert (pagination["currentPage"], pagination["totalItems"]) == (99, LINKS)


def test_the_newest_link_comes_first_and_ten_make_a_page(shortener: Shortener) -> None:
    newest = shortener.code()
    codes, pagination = list_codes(shortener)
    assert codes[0] == newest
    assert len(codes) == pagination["itemsPerPage"] == 10


def test_minus_one_asks_for_all(shortener: Shortener) -> None:
    codes, pagination = list_codes(shortener, itemsPerPage=-1, endDate="2026-01-01")
    assert len(codes) == LINKS
    assert pagination["pagesCount"] == 1


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["visits", "nonBotVisits", "shortCode", "longUrl", "title"])
def test_links_are_ordered(shortener: Shortener, field: str, direction: str) -> None:
    reply = shortener.client.get(
        "/rest/v3/short-urls",
        params={
            "orderBy": f"{field}-{direction}",
            "itemsPerPage": 50,
            "endDate": "2026-01-01",
        },
    )
    values = [
        {
            "visits": link["visitsSummary"]["total"],
            "nonBotVisits": link["visitsSummary"]["nonBots"],
        }.get(field, link.get(field))
        for link in reply.json()["shortUrls"]["data"]
    ]
    assert len(values) == 50
    assert values == sorted(values, reverse=direction == "DESC")


def test_tags_filter_by_any_and_by_all(shortener: Shortener) -> None:
    one = shortener.code(tags=["only-a", "shared-x"])
    two = shortener.code(tags=["only-b", "shared-x"])
    three = shortener.code(tags=["only-b"])
    any_of, _ = list_codes(shortener, **{"tags[]": ["only-a", "only-b"]})
    assert set(any_of) == {one, two, three}
    all_of, _ = list_codes(shortener, **{"tags[]": ["only-b", "shared-x"], "tagsMode": "all"})
    assert all_of == [two]


def test_a_search_takes_its_term_literally(shortener: Shortener) -> None:
    wanted = shortener.code(longUrl="https://example.com/100%25_sure", title="Odd Find")
    shortener.code(longUrl="https://example.com/100%25Xsure")
    assert list_codes(shortener, searchTerm="%25_SURE")[0] == [wanted]
    assert list_codes(shortener, searchTerm="odd find")[0] == [wanted]
    assert list_codes(shortener, searchTerm="\\")[0] == []


@pytest.mark.parametrize(
    ("params", "element"),
    [
        ({"page": "x"}, "page"),
        ({"orderBy": "color-ASC"}, "orderBy"),
        ({"tagsMode": "some"}, "tagsMode"),
        ({"startDate": "soon"}, "startDate"),
        ({"searchTerm": "a\0b"}, "searchTerm"),
    ],
)
def test_a_bad_parameter_is_named(
    shortener: Shortener, params: dict[str, str], element: str
) -> None:
    reply = shortener.client.get("/rest/v3/short-urls", params=params)
    assert assert_problem(reply, 400, "invalid-data")["invalidElements"] == [element]


def test_visits_show_what_was_clicked(shortener: Shortener) -> None:
    code = shortener.code(longUrl="https://example.com/seen")
    before = time.time()
    for headers, query in (
        ({"user-agent": "Firefox/140.0", "referer": "https://news.example/ü"}, ""),
        ({"user-agent": "Googlebot/2.1"}, "?utm=1&x=%20"),
    ):
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        shortener.client.get(f"/{code}{query}", headers=raw)
    shortener.wait_for_total(code, 2)
    page = shortener.client.get(f"/rest/v3/short-urls/{code}/visits").json()["visits"]
    bot, human = page["data"]
    assert abs(before - _seconds(human.pop("date"))) < 5
    assert human == {
        "referer": "https://news.example/ü",
        "userAgent": "Firefox/140.0",
        "visitLocation": None,
        "potentialBot": False,
        "visitedUrl": f"https://sho.rt/{code}",
        "redirectUrl": "https://example.com/seen",
    }
    assert (bot["potentialBot"], bot["referer"]) == (True, "")
    assert bot["visitedUrl"] == f"https://sho.rt/{code}?utm=1&x=%20"
    assert shortener.link(code)["visitsSummary"] == {"total": 2, "nonBots": 1, "bots": 1}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_visits_are_paged_and_filtered(shortener: Shortener) -> None:
    hottest = shortener.sql(
        """SELECT code, total, bots FROM link_counter JOIN link ON id = link_id
           ORDER BY total DESC LIMIT 1"""
    )[0]
    path = f"/rest/v3/short-urls/{hottest['code']}/visits"
    total = hottest["total"]
    everything = shortener.client.get(path).json()["visits"]
    assert everything["pagination"]["totalItems"] == len(everything["data"]) == total
    dates = [visit["date"] for visit in everything["data"]]
    assert dates == sorted(dates, reverse=True)
    second = shortener.client.get(path, params={"page": 2, "itemsPerPage": 10}).json()["visits"]
    assert second["data"] == everything["data"][10:20]
    assert second["pagination"]["pagesCount"] == -(-total // 10)
    people = shortener.client.get(path, params={"excludeBots": "true"}).json()["visits"]
    assert people["pagination"]["totalItems"] == len(people["data"]) == total - hottest["bots"]
    assert not any(visit["potentialBot"] for visit in people["data"])
    middle = dates[total // 2]
    late = shortener.client.get(f"{path}?startDate={quote(middle)}").json()["visits"]
    assert late["pagination"]["totalItems"] == sum(date >= middle for date in dates)
    unquoted = shortener.client.get(f"{path}?startDate={middle}").json()["visits"]
    assert unquoted["pagination"] == late["pagination"]


@pytest.mark.parametrize("path", ["/health", "/rest/v3/health"])
def test_health_tells_each_dependency_without_a_key(shortener: Shortener, path: str) -> None:
    request = shortener.client.build_request("GET", path)
    del request.headers["X-Api-Key"]
    reply = shortener.client.send(request)
    assert reply.status_code == 200
    body = reply.json()
    assert (body["status"], bool(body["version"])) == ("pass", True)
    assert body["checks"] == {"database": "pass", "cache": "pass", "broker": "pass"}


def test_the_api_describes_itself(shortener: Shortener) -> None:
    paths = shortener.client.get("/rest/v3/docs/openapi.json").json()["paths"]
    assert {"/rest/v3/short-urls", "/rest/v3/short-urls/{code}/visits"} <= set(paths)
