"""Redirect rules: which address a visitor is led to instead of the link's own.

The conditions are Shlink's (https://shlink.io/documentation/advanced/dynamic-rule-based-redirects-system/).
Everything here is pure, and whatever a visitor sends or a rule holds, nothing here raises.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote_plus

import msgspec

__all__ = [
    "BROWSERS",
    "CONDITION_TYPES",
    "DEVICES",
    "Condition",
    "Rule",
    "Visitor",
    "accepts_language",
    "browser_named",
    "choose",
    "devices_of",
    "is_condition",
    "matches",
    "parameters_of",
]

CONDITION_TYPES = frozenset(
    {
        "device",
        "browser",
        "language",
        "query-param",
        "any-value-query-param",
        "valueless-query-param",
        "ip-address",
        "geolocation-country-code",
        "geolocation-city-name",
        "before-date",
        "after-date",
    }
)
"""Where a visitor is is not looked up, so the two geolocation types are kept and never match."""

DEVICES = frozenset(
    {"android", "ios", "mobile", "windows", "linux", "macos", "chromeos", "desktop"}
)

BROWSERS = frozenset({"chrome", "firefox", "edge", "safari", "opera", "android_browser"})
# What a browser calls itself, in the order of asking: most of them name those before them too, to
# be taken for one of them. "" is one that Shlink has no name for.
_BROWSER_MARKS = (
    (re.compile(r"\b(samsungbrowser|yabrowser|ucbrowser|vivaldi|seamonkey|duckduckgo)/"), ""),
    (re.compile(r"\b(edg|edge|edga|edgios)/"), "edge"),
    (re.compile(r"\b(opr|opt|opios|opera)[/ ]"), "opera"),
    (re.compile(r"\b(firefox|fxios)/"), "firefox"),
    (re.compile(r"\b(chrome|crios|chromium)/"), "chrome"),
    (re.compile(r"\bandroid\b.* version/.* safari/"), "android_browser"),
    (re.compile(r"\bversion/.* safari/"), "safari"),
)

_KEYED = frozenset({"query-param", "any-value-query-param", "valueless-query-param"})
# A language that a browser lists far down its header is not one that its user prefers.
_QUALITY_MIN = 0.9
_LANGUAGE = re.compile(r"[a-z]{1,8}(-[a-z0-9]{1,8})*")
_WILDCARDS = re.compile(r"(\d{1,3}|\*)(\.(\d{1,3}|\*)){3}")


class Condition(msgspec.Struct, frozen=True, array_like=True):
    """One condition; `key` is the name of the query parameter where there is one."""

    type: str
    value: str
    key: str | None = None


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """All conditions hold: the visitor is led to `location`."""

    location: str
    conditions: tuple[Condition, ...]


class Visitor(msgspec.Struct, frozen=True):
    """What a request tells of who follows a link. `now_s` is Unix time."""

    now_s: float
    user_agent: str = ""
    accept_language: str = ""
    query: str = ""
    address: str | None = None


def choose(rules: Sequence[Rule], visitor: Visitor) -> str | None:
    """The location of the first rule that matches, in the order given; None when none does."""
    if not rules:
        return None
    parameters = parameters_of(visitor.query)
    for rule in rules:
        if rule.conditions and all(matches(c, visitor, parameters) for c in rule.conditions):
            return rule.location
    return None


def matches(condition: Condition, visitor: Visitor, parameters: Mapping[str, str]) -> bool:
    """Whether one condition holds; `parameters` are those of the visitor's query string."""
    value = condition.value
    match condition.type:
        case "device":
            return value.lower() in devices_of(visitor.user_agent)
        case "browser":
            return value.lower() == browser_named(visitor.user_agent)
        case "language":
            return accepts_language(visitor.accept_language, value)
        case "query-param":
            return parameters.get(condition.key or "") == value
        case "any-value-query-param":
            return (condition.key or "") in parameters
        case "valueless-query-param":
            return parameters.get(condition.key or "") == ""
        case "ip-address":
            return visitor.address is not None and _covers(value, visitor.address)
        case "before-date":
            moment_s = _moment_s(value)
            return moment_s is not None and visitor.now_s < moment_s
        case "after-date":
            moment_s = _moment_s(value)
            return moment_s is not None and visitor.now_s >= moment_s
    return False


def is_condition(condition: Condition) -> bool:
    """Whether the condition is one that can be kept: a known type with a value that it can read."""
    if condition.type not in CONDITION_TYPES or "\0" in condition.value + (condition.key or ""):
        return False
    if condition.type in _KEYED and not condition.key:
        return False
    match condition.type:
        case "device":
            return condition.value.lower() in DEVICES
        case "browser":
            return condition.value.lower() in BROWSERS
        case "language":
            return _LANGUAGE.fullmatch(_normalized(condition.value)) is not None
        case "ip-address":
            return _network(condition.value) is not None or _is_wildcard(condition.value)
        case "before-date" | "after-date":
            return _moment_s(condition.value) is not None
        case "geolocation-country-code":
            return re.fullmatch(r"[A-Za-z]{2}", condition.value) is not None
        case "geolocation-city-name":
            return bool(condition.value.strip())
    return True


def parameters_of(query: str) -> dict[str, str]:
    """The parameters of a query string by name; of equal names the last, no value is ''."""
    parameters: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            parameters[unquote_plus(name)] = unquote_plus(value)
    return parameters


@lru_cache(maxsize=8_192)
def devices_of(user_agent: str) -> frozenset[str]:
    """The device names that fit a User-Agent header: a system, and mobile or desktop."""
    text = user_agent.lower()
    if "android" in text:
        return frozenset({"android", "mobile"})
    if "iphone" in text or "ipad" in text or "ipod" in text:
        return frozenset({"ios", "mobile"})
    if "windows phone" in text:
        return frozenset()
    for mark, system in (
        ("cros ", "chromeos"),
        ("windows", "windows"),
        ("macintosh", "macos"),
        ("mac os x", "macos"),
        ("linux", "linux"),
        ("x11", "linux"),
    ):
        if mark in text:
            return frozenset({system, "desktop"})
    return frozenset()


@lru_cache(maxsize=8_192)
def browser_named(user_agent: str) -> str | None:
    """Which of `BROWSERS` a User-Agent header names, or None."""
    text = user_agent.lower()
    return next((name for mark, name in _BROWSER_MARKS if mark.search(text)), None) or None


@lru_cache(maxsize=8_192)
def accepts_language(header: str, wanted: str) -> bool:
    """Whether an Accept-Language header prefers a language: `en` fits en-GB too, `en-GB` only that.

    Languages with a quality below 0.9 are not preferred ones, and `*` is none.
    """
    language, _, country = _normalized(wanted).partition("-")
    if not language:
        return False
    for part in header.split(","):
        tag, *parameters = part.split(";")
        given_language, _, given_country = _normalized(tag).partition("-")
        if (
            given_language == language
            and country in ("", given_country)
            and _quality(parameters) >= _QUALITY_MIN
        ):
            return True
    return False


def _normalized(locale: str) -> str:
    return locale.strip().lower().replace("_", "-")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


@lru_cache(maxsize=8_192)
def _covers(pattern: str, address: str) -> bool:
    try:
        given = ipaddress.ip_address(address)
    except ValueError:
        return False
    if _is_wildcard(pattern):
        return given.version == 4 and all(
            part in ("*", octet)
            for part, octet in zip(pattern.split("."), str(given).split("."), strict=False)
        )
    network = _network(pattern)
    return network is not None and given in network


def _is_wildcard(pattern: str) -> bool:
    return "*" in pattern and _WILDCARDS.fullmatch(pattern) is not None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1_024)
def _moment_s(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
