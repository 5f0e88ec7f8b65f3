"""Domains, paths that lead nowhere, and what visitors send that they should not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shortener.addresses import check_long_url, location_of, with_path, with_query
from shortener.testing import Shortener, Starter
from systems_common.testing import wait_until

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OTHER = "other.example"


@pytest.fixture(scope="module")
def running(starter: Starter) -> Iterator[Shortener]:
    """A service with a domain beside the default one, that forwards paths and may not track."""
    with starter(
        VISITS="sync", DISABLE_TRACK_PARAM="nostat", REDIRECT_EXTRA_PATH_MODE="append"
    ) as service:
        service.sql("INSERT INTO domain (name) VALUES ($1)", OTHER)
        yield service


def make(running: Shortener, code: str, domain: str, **columns: Any) -> None:
    """A link of a domain, made in the database."""
    running.sql(
        """WITH made AS (
               INSERT INTO link (domain, code, long_url, max_visits) VALUES ($1, $2, $3, $4)
               RETURNING id
           ) INSERT INTO link_counter (link_id) SELECT id FROM made""",
        domain,
        code,
        columns.get("long_url", f"https://example.com/{domain or 'default'}/{code}"),
        columns.get("max_visits"),
    )
    running.sql("SELECT pg_notify('link_changed', $1)", f"{domain}/{code}".removeprefix("/"))


def location(running: Shortener, path: str, host: str, **headers: str) -> str | None:
    reply = running.client.get(path, headers={"Host": host, **headers})
    assert reply.status_code in (302, 404)
    return reply.headers.get("location")


def test_the_host_decides_and_falls_back_to_the_default_domain(running: Shortener) -> None:
    make(running, "both", "")
    make(running, "both", OTHER)
    make(running, "only-here", OTHER)
    make(running, "everywhere", "")
    wait_until(
        lambda: location(running, "/both", OTHER) == f"https://example.com/{OTHER}/both",
        timeout_s=10.0,
        what="the domain",
    )
    for host in ("sho.rt", "unheard-of.example", "", f"{OTHER}.evil.example"):
        assert location(running, "/both", host) == "https://example.com/default/both"
        assert location(running, "/only-here", host) is None
    for host in (OTHER, OTHER.upper(), f"{OTHER}:443"):
        assert location(running, "/only-here", host) == f"https://example.com/{OTHER}/only-here"
        assert location(running, "/everywhere", host) == "https://example.com/default/everywhere"


def test_a_link_of_its_own_takes_the_place_of_the_default_domain_s(running: Shortener) -> None:
    make(running, "later", "")
    wait_until(
        lambda: location(running, "/later", OTHER) == "https://example.com/default/later",
        timeout_s=10.0,
        what="the default's",
    )
    for change, expected in (
        (lambda: make(running, "later", OTHER), f"https://example.com/{OTHER}/later"),
        (
            lambda: running.sql("DELETE FROM link WHERE code = 'later' AND domain = $1", OTHER),
            "https://example.com/default/later",
        ),
    ):
        change()
        wait_until(
            lambda expected=expected: location(running, "/later", OTHER) == expected,
            timeout_s=10.0,
            what=expected,
        )


def orphans(running: Shortener) -> list[tuple[Any, ...]]:
    rows = running.sql(
        "SELECT type, domain, visited_url, redirect_url, bot, address FROM orphan_visit ORDER BY id"
    )
    return [tuple(row) for row in rows]


def test_visits_that_find_nothing_are_kept(running: Shortener) -> None:
    running.sql("DELETE FROM orphan_visit")
    used_up = running.code(maxVisits=1)
    for path, status in (
        ("/", 404),
        ("/no-such-code?a=b", 404),
        (f"/{used_up}", 302),
        (f"/{used_up}", 404),
        ("/rest/v3/nothing", 404),
        ("/no-such-code/deeper", 404),
    ):
        reply = running.client.get(path, headers={"User-Agent": FIREFOX})
        assert reply.status_code == status, path
    assert running.client.head("/no-such-code").status_code == 404
    running.client.get("/no-such-code?nostat")
    running.client.get("/bot", headers={"Host": OTHER, "User-Agent": "Googlebot/2.1"})
    assert orphans(running) == [
        ("base_url", "", "https://sho.rt/", None, False, "127.0.0.0"),
        ("invalid_short_url", "", "https://sho.rt/no-such-code?a=b", None, False, "127.0.0.0"),
        ("invalid_short_url", "", f"https://sho.rt/{used_up}", None, False, "127.0.0.0"),
        ("invalid_short_url", "", "https://sho.rt/no-such-code/deeper", None, False, "127.0.0.0"),
        ("invalid_short_url", OTHER, f"https://{OTHER}/bot", None, True, "127.0.0.0"),
    ]


def test_orphans_are_kept_through_jetstream_too(shortener: Shortener) -> None:
    shortener.sql("DELETE FROM orphan_visit")
    for path in ("/", "/no-such-code", "/two/segments"):
        assert shortener.client.get(path).status_code == 404
    wait_until(lambda: len(orphans(shortener)) == 3, timeout_s=10.0, what="three orphans")
    kinds = [orphan[0] for orphan in orphans(shortener)]
    assert kinds == ["base_url", "invalid_short_url", "regular_404"]


def test_a_domain_leads_those_who_find_nothing_elsewhere(running: Shortener) -> None:
    running.sql(
        """UPDATE domain SET base_url_redirect = 'https://example.com/home',
           invalid_short_url_redirect = 'https://example.com/invalid' WHERE name = $1""",
        OTHER,
    )
    wait_until(
        lambda: location(running, "/", OTHER) == "https://example.com/home",
        timeout_s=10.0,
        what="the redirect",
    )
    assert location(running, "/missing", OTHER) == "https://example.com/invalid"
    assert location(running, "/missing", "sho.rt") is None
    assert orphans(running)[-2][:4] == (
        "invalid_short_url",
        OTHER,
        f"https://{OTHER}/missing",
        "https://example.com/invalid",
    )


def test_more_path_is_appended_where_that_is_wanted(
    running: Shortener, shortener: Shortener
) -> None:
    address = "https://example.com/docs/?v=1#top"
    code = running.code(longUrl=address)
    for extra, expected in (
        ("/a/b", "https://example.com/docs/a/b?v=1#top"),
        ("/", "https://example.com/docs/?v=1#top"),
        ("//evil.example/", "https://example.com/docs//evil.example/?v=1#top"),
        ("/%2e%2e%2f@evil.example", "https://example.com/docs/../@evil.example?v=1#top"),
        ("/a?x=1", "https://example.com/docs/a?v=1&x=1#top"),
    ):
        assert location(running, f"/{code}{extra}", "sho.rt") == expected
    bare = running.code(longUrl="https://example.com")
    assert location(running, f"/{bare}/@evil.example", "") == "https://example.com/@evil.example"
    assert shortener.client.get(f"/{shortener.code()}/a").status_code == 404


def test_a_visit_that_asks_not_to_be_counted_is_not(running: Shortener) -> None:
    code = running.code(longUrl="https://example.com/quiet", maxVisits=1)
    for _ in range(2):
        assert location(running, f"/{code}?nostat", "") == "https://example.com/quiet"
        asked = location(running, f"/{code}?a=1&nostat=yes&b=2", "")
        assert asked == "https://example.com/quiet?a=1&b=2"
    assert running.total(code) == 0
    assert location(running, f"/{code}", "") is not None
    assert running.total(code) == 1
    # Nor does it open what has had all its visits.
    assert location(running, f"/{code}?nostat", "") is None


def test_of_an_address_only_a_part_is_kept(starter: Starter, running: Shortener) -> None:
    code = running.code()
    running.client.get(f"/{code}", headers={"X-Forwarded-For": "203.0.113.77"})
    kept = running.sql(
        "SELECT address FROM visit JOIN link ON link.id = link_id WHERE code = $1", code
    )
    # Nobody said that there is a proxy, so what the header says is not believed.
    assert [row["address"] for row in kept] == ["127.0.0.0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=2", "https://e.com/?a=2&b=1"),
        ("b=2&c=3", "https://e.com/?a=1&b=2&c=3"),
        ("b=2&b=3", "https://e.com/?a=1&b=2&b=3"),
        ("%61=2", "https://e.com/?%61=2&b=1"),
        ("a", "https://e.com/?a&b=1"),
        ("&&", "https://e.com/?a=1&b=1"),
        ("off=1", "https://e.com/?a=1&b=1"),
        ("x#y", "https://e.com/?a=1&b=1&x%23y"),
    ],
)
def test_a_forwarded_parameter_replaces_the_address_s_own(query: str, expected: str) -> None:
    assert with_query("https://e.com/?a=1&b=1", query, without="off") == expected


addresses = st.builds(
    "https://example.com{}{}{}".format,
    st.sampled_from(["", "/", "/a/", "/é", "/a//b"]),
    st.sampled_from(["", "?", "?a", "?a=1&b=é", "?&="]),
    st.sampled_from(["", "#", "#/a?b"]),
)


@given(addresses, st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_added_the_host_stays(address: str, query: str, path: str) -> None:
    url = check_long_url(address)
    if url is not None:
        found = with_query(with_path(location_of(url), f"/{path}"), query)
        assert urlsplit(found).netloc == "example.com"
        assert found.isascii()
        assert found.isprintable()
        assert not set(found) & set(' "<>\\')
        assert urlsplit(found).fragment == urlsplit(location_of(url)).fragment


@pytest.mark.parametrize(
    "long_url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT://example.com/%0aalert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "//evil.example",
        "/relative",
        "https://user:password@example.com/",
        "https://bank.example@evil.example/",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://example.com\\@evil.example/",
        "https://exa\tmple.com/",
    ],
)
def test_addresses_that_would_harm_make_no_link(running: Shortener, long_url: str) -> None:
    reply = running.create(longUrl=long_url)
    assert reply.status_code == 400
    assert reply.json()["invalidElements"] == ["longUrl"]


def test_no_header_can_be_smuggled_into_a_redirect(running: Shortener) -> None:
    code = running.code(longUrl="https://example.com/x")
    for path in (
        f"/{code}?a=%0d%0aset-cookie:x=1",
        f"/{code}/%0d%0aset-cookie:x=1",
        f"/{code}?%0d%0a%0d%0a%3Cscript%3E",
    ):
        reply = raw(
            running, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        head = reply.partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 302")
        assert b"\nset-cookie" not in head
        assert reply.partition(b"\r\n\r\n")[2] == b""


def raw(running: Shortener, request: bytes) -> bytes:
    """The answer to these very bytes."""
    found = urlsplit(running.process.url)
    with socket.create_connection((found.hostname, found.port or 0), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass  # A server may reset what it cannot read.
        return answer


_bytes = st.binary(max_size=30)
# Bytes that end a request line or a header would make another request of the rest.
_in_line = _bytes.map(lambda b: bytes(c for c in b if c not in b"\r\n\0 "))
_header = st.sampled_from(
    [b"Host", b"User-Agent", b"Referer", b"Accept-Language", b"X-Forwarded-For", b"Cookie", b"X"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"BREW"]),
    st.lists(st.sampled_from([b"fuzzed", b"/", b"%", b"%00", b"%2f", b"%ff", b".."]) | _in_line),
    st.none() | _in_line,
    st.lists(st.tuples(_header, _in_line), max_size=6),
)
def test_no_request_makes_the_service_fail(
    running: Shortener,
    method: bytes,
    path: list[bytes],
    query: bytes | None,
    headers: list[tuple[bytes, bytes]],
) -> None:
    target = b"/" + b"".join(path) + (b"" if query is None else b"?" + query)
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    lines += [name + b": " + value for name, value in headers]
    answer = raw(running, b"\r\n".join(lines) + b"\r\n\r\n")
    # No answer at all is what a server may give to what is not HTTP.
    assert not answer.startswith(b"HTTP/1.1 5"), answer


def test_after_all_that_nothing_was_logged_as_an_error(running: Shortener) -> None:
    assert httpx.get(f"{running.process.url}/health").status_code == 200
    assert '"severity_text":"ERROR"' not in running.process.output
