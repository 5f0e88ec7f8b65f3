"""Redirect rules: the laws of matching, and what visitors are led to."""

from __future__ import annotations

import ipaddress
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shortener.rules import (
    BROWSERS as BROWSER_NAMES,
)
from shortener.rules import (
    CONDITION_TYPES,
    DEVICES,
    Condition,
    Rule,
    Visitor,
    accepts_language,
    browser_named,
    choose,
    devices_of,
    is_condition,
    matches,
    parameters_of,
)
from shortener.testing import Shortener
from systems_common.testing import wait_until

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSERS = {
    "Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile": {"android", "mobile"},
    IPHONE: {"ios", "mobile"},
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X)": {"ios", "mobile"},
    FIREFOX: {"linux", "desktop"},
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0": {"windows", "desktop"},
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/605.1.15": {"macos", "desktop"},
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/140.0": {"chromeos", "desktop"},
    "curl/8.5.0": set(),
    "": set(),
}

types = st.sampled_from([*sorted(CONDITION_TYPES), "unheard-of"])
values = st.sampled_from(
    ["ios", "DESKTOP", "en", "en-GB", "1.2.3.4", "10.0.0.0/8", "10.*.*.*", "2026-01-01", "x", ""]
) | st.text(max_size=12)
conditions = st.builds(Condition, types, values, st.none() | st.sampled_from(["a", "b c", ""]))
visitors = st.builds(
    Visitor,
    st.floats(0, 4e9),
    st.sampled_from(list(BROWSERS)) | st.text(max_size=20),
    st.sampled_from(["en-GB,en;q=0.9,de;q=0.5", "*", "", "de"]) | st.text(max_size=20),
    st.sampled_from(["a=x", "a=1&a=x&b+c", "%zz", ""]) | st.text(max_size=20),
    st.none() | st.ip_addresses().map(str) | st.just("10.1.2.3") | st.text(max_size=8),
)


@given(st.lists(st.builds(Rule, st.text(), st.lists(conditions, max_size=3).map(tuple))), visitors)
def test_the_first_rule_whose_conditions_all_hold_decides(
    rules: list[Rule], visitor: Visitor
) -> None:
    parameters = parameters_of(visitor.query)
    fitting = [
        rule.location
        for rule in rules
        if rule.conditions
        and not [c for c in rule.conditions if not matches(c, visitor, parameters)]
    ]
    assert choose(rules, visitor) == (fitting[0] if fitting else None)


@given(st.permutations(["ios", "mobile"]), st.booleans())
def test_the_order_of_conditions_changes_nothing(devices: list[str], has_key: bool) -> None:
    query = "k=v" if has_key else ""
    rule = Rule(
        "there",
        (Condition("query-param", "v", "k"), *(Condition("device", device) for device in devices)),
    )
    visitor = Visitor(0.0, user_agent=IPHONE, query=query)
    assert choose([rule], visitor) == ("there" if has_key else None)


def test_a_rule_without_conditions_matches_nobody() -> None:
    assert choose([Rule("there", ())], Visitor(0.0)) is None


@pytest.mark.parametrize(("user_agent", "devices"), BROWSERS.items())
def test_devices(user_agent: str, devices: set[str]) -> None:
    assert devices_of(user_agent) == devices
    assert devices <= DEVICES


ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "browser"),
    [
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36", "chrome"),
        (f"{IPHONE} CriOS/140.0 Mobile/15E148 Safari/604.1", "chrome"),
        (FIREFOX, "firefox"),
        (f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15", "firefox"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "edge"),
        (f"{ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36 EdgA/140.0", "edge"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 OPR/125.0.0.0", "opera"),
        ("Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18", "opera"),
        (f"{MAC} Version/18.5 Safari/605.1.15", "safari"),
        (f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1", "safari"),
        ("Mozilla/5.0 (Linux; U; Android 4.0) Version/4.0 Mobile Safari/534.30", "android_browser"),
        (f"{ANDROID} SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36", None),
        ("curl/8.5.0", None),
        ("", None),
    ],
)
def test_browsers(user_agent: str, browser: str | None) -> None:
    assert browser_named(user_agent) == browser
    fitting = [b for b in BROWSER_NAMES if matches(_browser(b), Visitor(0.0, user_agent), {})]
    assert fitting == ([] if browser is None else [browser])


def _browser(name: str) -> Condition:
    condition = Condition("browser", name.upper())
    assert is_condition(condition)
    return condition


def test_a_browser_that_shlink_has_no_name_for_is_no_condition() -> None:
    assert not is_condition(Condition("browser", "lynx"))
    assert not is_condition(Condition("browser", ""))


@pytest.mark.parametrize(
    ("header", "wanted", "is_accepted"),
    [
        ("en-GB,en;q=0.9", "en", True),
        ("en-GB,en;q=0.9", "en-GB", True),
        ("en-GB,en;q=0.9", "en_gb", True),
        ("en-GB,en;q=0.9", "en-US", False),
        ("en", "en-GB", False),
        ("de, EN ; q=1.0", "en", True),
        ("de,en;q=0.8", "en", False),
        ("de,en;q=soon", "en", False),
        ("english", "en", False),
        ("*", "en", False),
        ("", "en", False),
        ("", "", False),
        (",", "", False),
    ],
)
def test_languages(header: str, wanted: str, is_accepted: bool) -> None:
    assert accepts_language(header, wanted) is is_accepted


@given(st.text(min_size=1), st.text(), st.text(min_size=1))
def test_query_parameters(name: str, value: str, other: str) -> None:
    def holds(kind: str, wanted: str, query: str) -> bool:
        return matches(Condition(kind, wanted, name), Visitor(0.0), parameters_of(query))

    query = urlencode({name: value}, errors="surrogatepass")
    assert holds("query-param", value, query)
    assert not holds("query-param", value + "x", query)
    assert holds("any-value-query-param", "", query)
    assert holds("valueless-query-param", "", query) is (value == "")
    assert holds("valueless-query-param", "", query.partition("=")[0])
    if name != other:
        missing = urlencode({other: value}, errors="surrogatepass")
        assert not any(holds(kind, value, missing) for kind in CONDITION_TYPES if "param" in kind)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.floats(1e-3, 1e9))
def test_before_and_after_a_date_are_each_other_s_complement(
    date: datetime, distance_s: float
) -> None:
    value = date.isoformat()
    moment_s = date.replace(tzinfo=UTC).timestamp()
    for now_s, is_before in ((moment_s - distance_s, True), (moment_s + distance_s, False)):
        visitor = Visitor(now_s)
        assert matches(Condition("before-date", value), visitor, {}) is is_before
        assert matches(Condition("after-date", value), visitor, {}) is not is_before


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses())
def test_addresses_and_networks(
    inside: ipaddress.IPv4Address,
    bits: int,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    def covers(pattern: str, address: object) -> bool:
        condition = Condition("ip-address", pattern)
        assert is_condition(condition)
        return matches(condition, Visitor(0.0, address=str(address)), {})

    network = ipaddress.ip_network(f"{inside}/{bits}", strict=False)
    assert covers(f"{inside}/{bits}", inside)
    assert covers(f"{inside}/{bits}", other) is (other in network)
    first, _, rest = str(inside).partition(".")
    assert covers(f"{first}.*.*.*", inside)
    assert covers("*.*.*.*", other) is (other.version == 4)
    assert covers(f"*.{rest}", inside)


@pytest.mark.parametrize(
    "condition",
    [
        Condition("unheard-of", "x"),
        Condition("device", "toaster"),
        Condition("language", ""),
        Condition("query-param", "v"),
        Condition("query-param", "v", ""),
        Condition("query-param", "a\0b", "k"),
        Condition("ip-address", "1.2.3"),
        Condition("ip-address", "1.2.*"),
        Condition("before-date", "soon"),
        Condition("geolocation-country-code", "Spain"),
        Condition("geolocation-city-name", " "),
    ],
)
def test_conditions_that_cannot_be_kept(condition: Condition) -> None:
    assert not is_condition(condition)


def give_rules(running: Shortener, code: str, *rules: tuple[str, list[dict[str, Any]]]) -> None:
    for priority, (long_url, found) in enumerate(rules, start=1):
        running.sql(
            """INSERT INTO redirect_rule (link_id, priority, long_url, conditions)
               SELECT id, $2, $3, $4::jsonb FROM link WHERE code = $1""",
            code,
            priority,
            long_url,
            json.dumps(found),
        )
    running.sql("UPDATE link SET has_redirect_rules = true WHERE code = $1", code)


def test_a_visitor_is_led_by_the_first_rule_that_fits(shortener: Shortener) -> None:
    code = shortener.code(longUrl="https://example.com/default?own=1")
    give_rules(
        shortener,
        code,
        (
            "https://example.com/ios-fr",
            [
                {"type": "device", "matchKey": None, "matchValue": "ios"},
                {"type": "language", "matchKey": None, "matchValue": "fr"},
            ],
        ),
        ("https://example.com/ios", [{"type": "device", "matchValue": "ios"}]),
        (
            "https://example.com/Ä",
            [{"type": "query-param", "matchKey": "to", "matchValue": "umlaut"}],
        ),
        (
            "https://example.com/late",
            [
                {"type": "after-date", "matchValue": _iso(-1)},
                {"type": "before-date", "matchValue": _iso(1)},
                {"type": "ip-address", "matchValue": "127.0.0.*"},
                {"type": "valueless-query-param", "matchKey": "now"},
            ],
        ),
    )

    def led_to(query: str = "", **headers: str) -> str:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = shortener.client.get(f"/{code}{query}", headers=given)
        assert reply.status_code == 302
        return reply.headers["location"].removeprefix("https://example.com/")

    wait_until(lambda: led_to(user_agent=IPHONE) == "ios", timeout_s=10.0, what="the rules")
    assert led_to(user_agent=IPHONE, accept_language="fr-CA") == "ios-fr"
    assert led_to(user_agent=IPHONE, accept_language="de") == "ios"
    assert led_to(user_agent=FIREFOX) == "default?own=1"
    # What is forwarded goes to where the rule leads.
    assert led_to("?to=umlaut", user_agent=FIREFOX) == "%C3%84?to=umlaut"
    assert led_to("?now", user_agent=FIREFOX) == "late?now"
    assert led_to("?now=1", user_agent=FIREFOX) == "default?own=1&now=1"
    wait_until(
        lambda: _redirect_urls(shortener, code) >= {"/ios", "/Ä"}, timeout_s=10.0, what="urls"
    )


def _iso(hours: int) -> str:
    return (datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=hours)).isoformat()


def _redirect_urls(running: Shortener, code: str) -> set[str]:
    rows = running.sql(
        """SELECT redirect_url FROM visit JOIN link ON link.id = link_id WHERE code = $1""", code
    )
    found = {row["redirect_url"].removeprefix("https://example.com") for row in rows}
    return {url.partition("?")[0].replace("%C3%84", "Ä") for url in found}
