"""What lies around the redirect: pixel, QR, robots.txt, health, passwords, bans, limits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
from shortener.guard import ban, unban
from shortener.testing import Shortener, Starter, command, on_database
from systems_common.testing import wait_until

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def test_the_pixel_counts_a_visit_and_leads_nowhere(shortener: Shortener) -> None:
    code = shortener.code()
    reply = shortener.client.get(f"/{code}/track", headers=BROWSER)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/gif")
    assert reply.content[:6] == b"GIF89a" and reply.content[6:10] == b"\1\0\1\0"
    assert "no-store" in reply.headers["cache-control"]
    shortener.client.get(f"/{code}/track", headers={"user-agent": "Googlebot/2.1"})
    shortener.wait_for_total(code, 2)
    assert shortener.link(code)["visitsSummary"] == {"total": 2, "nonBots": 1, "bots": 1}
    unknown = shortener.client.get("/unknown/track")
    assert (unknown.status_code, unknown.content) == (200, reply.content)


def test_qr_codes_in_both_formats_and_only_of_links(shortener: Shortener) -> None:
    code = shortener.code()
    png = shortener.client.get(f"/{code}/qr-code?size=200&margin=10")
    assert (png.status_code, png.headers["content-type"]) == (200, "image/png")
    assert int.from_bytes(png.content[16:20]) == 220
    assert "public" in png.headers["cache-control"]
    again = shortener.client.get(
        f"/{code}/qr-code?size=200&margin=10", headers={"if-none-match": png.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    svg = shortener.client.get(f"/{code}/qr-code?format=svg&color=ff0000")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert 'width="300"' in svg.text and 'stroke="#ff0000"' in svg.text
    assert shortener.client.get("/unknown/qr-code").status_code == 404
    assert shortener.total(code) == 0


@pytest.mark.parametrize("how", ["domain", "host"])
def test_pixel_and_qr_code_of_a_link_of_another_domain(shortener: Shortener, how: str) -> None:
    slug, domain = f"both-{how}", "around.example"
    of_default = shortener.code(customSlug=slug)
    assert shortener.create(customSlug=slug, domain=domain).status_code == 200
    only_default = shortener.code()
    params = {"domain": domain} if how == "domain" else None
    headers = {"host": domain} if how == "host" else None

    def get(path: str) -> httpx.Response:
        return shortener.client.get(path, params=params, headers=headers)

    def total(on: str | None) -> int:
        reply = shortener.client.get(f"/rest/v3/short-urls/{slug}", params={"domain": on or ""})
        return int(reply.json()["visitsSummary"]["total"])

    # A new domain becomes known to every process a moment after its first link.
    qr = shortener.client.get(f"/{of_default}/qr-code").content
    wait_until(lambda: get(f"/{slug}/qr-code").content != qr, timeout_s=2, what="the domain's QR")
    # A domain has the codes of the default one too.
    assert get(f"/{only_default}/qr-code").status_code == 200
    assert get("/unknown/qr-code").status_code == 404
    assert get(f"/{slug}/track").status_code == 200
    wait_until(lambda: total(domain) == 1, timeout_s=2, what="the visit to be counted")
    assert total(None) == 0
    # Other tests of this service compare the visits of its default domain with all.
    gone = shortener.client.delete(f"/rest/v3/short-urls/{slug}", params={"domain": domain})
    assert gone.status_code == 204


def test_robots_txt_allows_links_that_say_so(shortener: Shortener) -> None:
    crawlable = shortener.code(crawlable=True)
    other = shortener.code()
    protected = shortener.code(crawlable=True, password="secret")
    reply = shortener.client.get("/robots.txt")
    assert reply.headers["content-type"].startswith("text/plain")
    lines = reply.text.splitlines()
    assert lines[1] == "User-agent: *" and lines[-1] == "Disallow: /"
    assert f"Allow: /{crawlable}" in lines
    assert f"Allow: /{other}" not in lines and f"Allow: /{protected}" not in lines


def test_health_says_apart_whether_it_lives_and_whether_it_is_ready(shortener: Shortener) -> None:
    assert shortener.client.get("/health/live").json()["status"] == "pass"
    ready = shortener.client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "pass")


# Passwords


def test_a_password_is_asked_for_before_the_link_leads_on(shortener: Shortener) -> None:
    made = shortener.create(longUrl="https://example.com/secret?a=1", password="öpen sesame")
    code = made.json()["shortCode"]
    assert made.json()["hasPassword"] is True
    assert "sesame" not in made.text and "scrypt" not in made.text
    assert "hasPassword" not in shortener.create().json()

    form = shortener.client.get(f"/{code}")
    assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
    assert "example.com" not in form.text and 'type="password"' in form.text
    assert "default-src 'none'" in form.headers["content-security-policy"]
    assert shortener.client.head(f"/{code}").status_code == 200
    assert shortener.client.get(f"/{code}/track").status_code == 200

    wrong = shortener.client.post(f"/{code}", data={"password": "open sesame"})
    assert wrong.status_code == 403 and 'role="alert"' in wrong.text
    assert shortener.client.post(f"/{code}", content=b"x" * 5000).status_code == 403
    time.sleep(0.3)
    assert shortener.total(code) == 0

    right = shortener.client.post(f"/{code}?b=2", data={"password": "öpen sesame"})
    assert right.status_code == 303
    assert right.headers["location"] == "https://example.com/secret?a=1&b=2"
    shortener.wait_for_total(code, 1)


def test_a_password_can_be_set_only_on_purpose(shortener: Shortener) -> None:
    plain = shortener.code()
    refused = shortener.client.post(f"/{plain}", data={"password": "x"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert shortener.create(password="x" * 257).json()["invalidElements"] == ["password"]
    assert shortener.create(password="").json().get("hasPassword") is None


def test_wrong_tries_are_limited_by_link_and_address(shortener: Shortener) -> None:
    code, other = shortener.code(password="a"), shortener.code(password="a")
    tries = [shortener.client.post(f"/{code}", data={"password": "b"}) for _ in range(7)]
    assert [reply.status_code for reply in tries] == [403] * 5 + [429] * 2
    assert 1 <= int(tries[-1].headers["retry-after"]) <= 60
    # Not even the right one now; and another link is another matter.
    assert shortener.client.post(f"/{code}", data={"password": "a"}).status_code == 429
    assert shortener.client.post(f"/{other}", data={"password": "a"}).status_code == 303


def test_a_link_with_a_password_is_never_given_for_another(shortener: Shortener) -> None:
    url = "https://example.com/find-me"
    protected = shortener.code(longUrl=url, password="a")
    plain = shortener.code(longUrl=url, findIfExists=True)
    assert plain != protected
    assert shortener.code(longUrl=url, findIfExists=True) == plain
    assert shortener.code(longUrl=url, findIfExists=True, password="a") not in (plain, protected)
    body, headers = {"longUrl": url, "password": "a"}, {"idempotency-key": "password"}
    twice = [
        shortener.client.post("/rest/v3/short-urls", json=body, headers=headers).json()
        for _ in range(2)
    ]
    assert twice[0]["shortCode"] == twice[1]["shortCode"]


def test_a_password_is_changed_and_taken_away_by_an_edit(shortener: Shortener) -> None:
    code = shortener.code()
    path = f"/rest/v3/short-urls/{code}"

    def edited(**body: Any) -> Any:
        reply = shortener.client.patch(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json().get("hasPassword")

    def statuses(password: str) -> list[int]:
        form = shortener.client.get(f"/{code}").status_code
        return [form, shortener.client.post(f"/{code}", data={"password": password}).status_code]

    assert statuses("a") == [302, 405]
    assert edited(password="a") is True
    wait_until(lambda: statuses("a") == [200, 303], timeout_s=2, what="the password to be asked")
    assert edited(title="T") is True
    assert edited(password="b") is True
    assert statuses("a") == [200, 403]
    assert edited(password=None) is None
    wait_until(lambda: statuses("a") == [302, 405], timeout_s=2, what="the link to lead on")
    refused = shortener.client.patch(path, json={"password": "x" * 257})
    assert refused.json()["invalidElements"] == ["password"]


# Bans and private targets


def test_a_banned_host_is_refused_and_its_links_stop_to_lead_on(shortener: Shortener) -> None:
    url = shortener.database_url
    deep = shortener.code(longUrl="https://www.deep.evil.example:8443/x")
    unicode_link = shortener.code(longUrl="https://bücher.example/")
    near = shortener.code(longUrl="https://notevil.example/")
    by_rule = shortener.code()
    # Kept as 8.8.4.4, so that a ban that comes later finds it.
    octal = shortener.code(longUrl="http://010.0x8.1028/")
    codes = (deep, unicode_link, by_rule, octal, near)
    condition = {"type": "language", "matchKey": None, "matchValue": "de"}

    def rule(target: str) -> httpx.Response:
        rules = [{"longUrl": target, "conditions": [condition]}]
        path = f"/rest/v3/short-urls/{by_rule}/redirect-rules"
        return shortener.client.post(path, json={"redirectRules": rules})

    assert rule("https://by.rule.evil.example/").status_code == 200

    def statuses() -> list[int]:
        return [shortener.client.get(f"/{code}").status_code for code in codes]

    assert statuses() == [302] * 5
    assert command(url, "ban", "EVIL.example.").stdout == "banned evil.example\n"
    assert command(url, "ban", "BÜCHER.example").returncode == 0
    assert on_database(url, partial(ban, text="0x8080404")) == "8.8.4.4"
    wait_until(lambda: statuses() == [403] * 4 + [302], timeout_s=2, what="banned links to stop")
    for target in ("https://evil.example", "http://A.Evil.Example./", "https://u:p@bücher.example"):
        refused = shortener.create(longUrl=target)
        assert (refused.status_code, refused.json()["invalidElements"]) == (400, ["longUrl"])
    assert rule("https://evil.example/").status_code == 400
    edit = {"longUrl": "https://evil.example/"}
    assert shortener.client.patch(f"/rest/v3/short-urls/{near}", json=edit).status_code == 400
    assert "evil.example\n" in command(url, "banned").stdout
    total = shortener.total(deep)

    assert command(url, "unban", "evil.example").returncode == 0
    for host in ("bücher.example", "8.8.4.4"):
        assert on_database(url, partial(unban, text=host))
    wait_until(lambda: statuses() == [302] * 5, timeout_s=2, what="links to lead on again")
    assert shortener.total(deep) <= total + 2
    again = command(url, "unban", "evil.example")
    assert (again.returncode, again.stderr) == (1, "shortener unban: evil.example is not banned\n")
    assert command(url, "ban", "a b").returncode == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1:8080/",
        "http://[::ffff:10.0.0.1]/",
        "http://[fe80::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.1.1/",
        "http://localhost:5432/",
        "http://db.internal/",
        "http://%6cocalhost/",
    ],
)
def test_targets_inside_the_own_network_are_refused(shortener: Shortener, target: str) -> None:
    refused = shortener.create(longUrl=target)
    assert (refused.status_code, refused.json()["invalidElements"]) == (400, ["longUrl"])


def test_a_name_that_resolves_to_a_private_address_is_refused(shortener: Shortener) -> None:
    # This machine's own name, from its hosts file, is a name with a private address.
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        pytest.skip(f"{name} does not resolve here")
    if not address.startswith(("10.", "127.", "172.", "192.168.")):
        pytest.skip(f"{name} resolves to a public address here")
    assert shortener.create(longUrl=f"http://{name}/").status_code == 400
    # One that does not resolve is taken: nothing here ever fetches it.
    assert shortener.create(longUrl="http://nobody-has-this.invalid/").status_code == 200


# Limits, proxies, and the switch for private targets: one service with all of these settings


@pytest.fixture(scope="module")
def limited(starter: Starter) -> Iterator[Shortener]:
    with starter(
        RATE_LIMIT_PER_ADDRESS="20",
        RATE_LIMIT_PER_KEY="10",
        TRUSTED_PROXIES="127.0.0.0/8",
        ALLOW_PRIVATE_TARGETS="true",
        DEFAULT_INVALID_SHORT_URL_REDIRECT="https://home.example/?lost={ORIGINAL_PATH}",
        DEFAULT_BASE_URL_REDIRECT="https://home.example/",
        DEFAULT_REGULAR_404_REDIRECT="https://home.example/404{ORIGINAL_PATH}",
        workers=2,
    ) as running:
        yield running


def from_address(address: str) -> dict[str, str]:
    return {"x-forwarded-for": f"203.0.113.77, {address}"}


def test_an_address_gets_its_calls_and_then_429(limited: Shortener) -> None:
    code = limited.code(longUrl="http://127.0.0.1:9/")

    def ask(address: str) -> httpx.Response:
        return limited.client.get(f"/{code}", headers=from_address(address))

    started_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask("198.51.100.7"), range(60)))
    # A call comes back every 3 s, which a busy machine may need for this.
    regained = (time.monotonic() - started_s) / 3 + 1
    statuses = [reply.status_code for reply in replies]
    assert set(statuses) == {302, 429}
    assert 20 <= statuses.count(302) <= 20 + regained
    assert {int(reply.headers["ratelimit-remaining"]) for reply in replies} == set(range(20))
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit-limit"] == "20"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["status"] == 429
    # Others are not in its way, and a household of IPv6 is one of them.
    assert ask("198.51.100.8").headers["ratelimit-remaining"] == "19"
    household = [ask(f"2001:db8:1:2::{host}") for host in range(1, 7)]
    assert int(household[-1].headers["ratelimit-remaining"]) < 19
    live = limited.client.get("/health/live", headers=from_address("198.51.100.7"))
    assert live.status_code == 200


def test_a_key_gets_its_calls_from_wherever_they_come(limited: Shortener) -> None:
    key = command(limited.database_url, "api-key").stdout.strip()
    started_s = time.monotonic()
    replies = [
        limited.client.get(
            "/rest/v3/short-urls",
            headers={"x-api-key": key, **from_address(f"198.51.101.{n}")},
        )
        for n in range(25)
    ]
    statuses = [reply.status_code for reply in replies]
    assert statuses[:10] == [200] * 10
    assert statuses.count(200) <= 10 + (time.monotonic() - started_s) / 6 + 1
    assert replies[0].headers["ratelimit-limit"] == "10"
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1


def test_what_leads_nowhere_goes_where_the_settings_say(limited: Shortener) -> None:
    def location(path: str) -> str:
        reply = httpx.get(f"{limited.process.url}{path}", headers=from_address("198.51.102.1"))
        assert reply.status_code == 302, reply.text
        return str(reply.headers["location"])

    assert location("/") == "https://home.example/"
    assert location("/no-such-link") == "https://home.example/?lost=no-such-link"
    assert location("/no/such/path") == "https://home.example/404no/such/path"
    api = httpx.get(f"{limited.process.url}/rest/v3/nothing", headers=from_address("198.51.102.1"))
    assert api.status_code == 404


def test_a_service_whose_servers_are_gone(starter: Starter) -> None:
    with starter(RATE_LIMIT_PER_ADDRESS="3", LOG_LEVEL="warning") as own:
        code = own.code()
        protected = own.code(password="a")
        own.client.get("/health")
        own.valkey.kill()
        statuses = [httpx.get(f"{own.process.url}/{code}").status_code for _ in range(6)]
        assert statuses == [302] * 6
        assert "rates are not limited" in own.process.output
        # Guessing passwords stays limited: each process counts by itself.
        tries = [
            httpx.post(f"{own.process.url}/{protected}", data={"password": "b"}).status_code
            for _ in range(6)
        ]
        assert tries == [403] * 5 + [429]

        # And without its database it lives, but is not ready.
        server, _, name = own.database_url.rpartition("/")

        async def lock_out(connection: Any) -> None:
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )

        on_database(f"{server}/postgres", lock_out)
        assert own.client.get("/health/ready").status_code == 503
        assert own.client.get("/health/live").status_code == 200
