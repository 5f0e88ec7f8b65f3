"""The web page, over HTTP as any machine can test it and in Chromium where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from shortener.testing import API_KEY, Shortener, Starter
from systems_common.testing.browser import open_page


@pytest.fixture(scope="module")
def with_page(starter: Starter) -> Iterator[Shortener]:
    with starter(WEB_PAGE="true") as running:
        yield running


def test_the_page_loads_nothing_from_outside(with_page: Shortener) -> None:
    reply = with_page.client.get("/", headers={"x-api-key": ""})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    addresses = re.findall(r'(?:src|href)="([^"]*)"', reply.text)
    assert addresses and all(address.startswith("/-/") for address in addresses)
    for address in addresses:
        asset = with_page.client.get(address)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        assert asset.headers["content-security-policy"] == policy
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org|example\.com)[a-z]", asset.text)
    assert with_page.client.get("/-/other.js").status_code == 404
    assert "no-cache" in with_page.client.get("/-/page.js?v=old").headers["cache-control"]


def test_without_the_setting_there_is_no_page(shortener: Shortener) -> None:
    assert shortener.client.get("/").status_code == 404
    assert shortener.client.get("/-/page.js").status_code == 404


def test_what_the_page_asks_of_the_api(with_page: Shortener) -> None:
    headers = {"idempotency-key": "from-the-page"}
    body = {"longUrl": "https://example.com/page", "title": "T", "tags": ["a"], "password": "p"}
    made = with_page.client.post("/rest/v3/short-urls", json=body, headers=headers).json()
    assert {"shortCode", "shortUrl", "longUrl", "title", "hasPassword"} <= set(made)
    page = with_page.client.get("/rest/v3/short-urls?page=1&itemsPerPage=10&searchTerm=page")
    assert page.json()["shortUrls"]["data"][0]["visitsSummary"]["total"] == 0
    visits = with_page.client.get(
        f"/rest/v3/short-urls/{made['shortCode']}/visits"
        "?page=1&itemsPerPage=1000&startDate=2026-01-01T00:00:00.000Z"
    ).json()["visits"]
    assert visits["pagination"]["totalItems"] == 0


def test_a_link_is_made_and_looked_at_in_a_browser(with_page: Shortener) -> None:
    with open_page() as page:
        page.screen(390, 844)
        page.open(with_page.process.url + "/")
        page.wait_for("document.activeElement.id === 'key'")

        submit = "document.getElementById({!r}).requestSubmit()"
        page.evaluate("document.getElementById('key').value = 'wrong'")
        page.evaluate(submit.format("key-form"))
        page.wait_for("document.getElementById('notice').classList.contains('bad')")
        page.complaints.clear()  # The browser itself notes the 401.
        page.evaluate(f"document.getElementById('key').value = {API_KEY!r}")
        page.evaluate(submit.format("key-form"))
        page.wait_for("document.querySelectorAll('#links li').length === 10")

        page.evaluate("document.getElementById('long').value = 'https://example.com/?x=<b>'")
        page.evaluate(submit.format("make"))
        page.wait_for("document.getElementById('notice').classList.contains('bad')")
        page.complaints.clear()  # And this 400: such an address is refused.
        page.evaluate("document.getElementById('long').value = 'https://example.com/made'")
        page.evaluate("document.getElementById('title').value = '<i>Made</i> in a browser'")
        page.evaluate("document.getElementById('slug').value = 'in-a-browser'")
        page.evaluate(submit.format("make"))
        page.wait_for("document.getElementById('qr').naturalWidth > 0")
        assert page.evaluate("document.getElementById('one-title').textContent") == (
            "<i>Made</i> in a browser"
        )
        assert page.evaluate("document.getElementById('one-short').href") == (
            "https://sho.rt/in-a-browser"
        )

        with_page.client.get("/in-a-browser", headers={"user-agent": "Mozilla/5.0 Firefox/140"})
        with_page.client.get("/in-a-browser", headers={"user-agent": "Googlebot"})
        with_page.wait_for_total("in-a-browser", 2)
        page.evaluate("document.getElementById('days').dispatchEvent(new Event('change'))")
        page.wait_for("!!document.querySelector('#chart rect.people')")
        label = page.evaluate("document.querySelector('#chart svg').getAttribute('aria-label')")
        assert label == "1 visits by people and 1 by bots in 30 days"
        assert page.evaluate("document.querySelectorAll('#chart-rows tr').length") == 30

        # Everything that can be acted on has a name, and nothing is wider than the screen.
        assert page.evaluate(_NAMELESS) == []
        for width in (320, 390, 1200):
            page.screen(width, 800)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints == []


_NAMELESS = """
[...document.querySelectorAll('button, a[href], input, select, img')]
  .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.hasAttribute('alt')
    || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML)
"""
