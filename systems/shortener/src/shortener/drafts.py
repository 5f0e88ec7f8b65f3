"""The bodies of requests, and how they become what the database is given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from systems_common.passwords import PASSWORD_LENGTH_MAX

from shortener import problems
from shortener.addresses import check_long_url
from shortener.codes import CODE_LENGTH, CODE_LENGTH_MAX, CODE_LENGTH_MIN, clean_slug
from shortener.domain_settings import RedirectColumn
from shortener.link_rules import RuleDraft
from shortener.links import LinkColumn, LinkDraft, LinkEdit
from shortener.rules import Condition, is_condition

__all__ = [
    "CreateShortUrl",
    "EditDomainRedirects",
    "EditShortUrl",
    "RenameTag",
    "SetRedirectRules",
    "domain_name",
    "draft_of",
    "edit_of",
    "moment_of",
    "redirects_of",
    "rename_of",
    "rules_of",
]

_TITLE_MAX = 512
_TAGS_MAX = 100
_TAG_LENGTH_MAX = 256
_VISITS_MAX = 2**31 - 1
_DOMAIN_LENGTH_MAX = 253
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.\-]*[a-z0-9])?(:\d{1,5})?")
_RULES_MAX = 100
_CONDITIONS_MAX = 20
_VALUE_MAX = 1_024


class CreateShortUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of POST /short-urls; members that are not here are ignored, as Shlink does."""

    long_url: str
    custom_slug: str | None = None
    path_prefix: str | None = None
    short_code_length: int | None = None
    domain: str | None = None
    find_if_exists: bool = False
    title: str | None = None
    tags: list[str] = []
    valid_since: str | None = None
    valid_until: str | None = None
    max_visits: int | None = None
    crawlable: bool = False
    forward_query: bool = True
    password: str | None = None


class EditShortUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of PATCH /short-urls/{code}; what is not given stays."""

    long_url: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    valid_since: str | UnsetType | None = UNSET
    valid_until: str | UnsetType | None = UNSET
    max_visits: int | UnsetType | None = UNSET
    crawlable: bool | UnsetType = UNSET
    forward_query: bool | UnsetType = UNSET
    password: str | UnsetType | None = UNSET


class RedirectCondition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition of a redirect rule; `match_key` names a query parameter."""

    type: str
    match_key: str | None
    match_value: str | None


class RedirectRuleData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule as it is given: visitors whom every condition fits are led to `long_url`."""

    long_url: str
    conditions: list[RedirectCondition]


class SetRedirectRules(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of POST /short-urls/{code}/redirect-rules."""

    redirect_rules: list[RedirectRuleData]


class RenameTag(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of PUT /tags."""

    old_name: str
    new_name: str


class EditDomainRedirects(msgspec.Struct, frozen=True, kw_only=True):
    """The body of PATCH /domains/redirects; what is not given stays, null takes a redirect away."""

    domain: str
    base_url_redirect: str | UnsetType | None = msgspec.field(default=UNSET, name="baseUrlRedirect")
    regular_404_redirect: str | UnsetType | None = msgspec.field(
        default=UNSET, name="regular404Redirect"
    )
    invalid_short_url_redirect: str | UnsetType | None = msgspec.field(
        default=UNSET, name="invalidShortUrlRedirect"
    )


def draft_of(wanted: CreateShortUrl, *, default_domain: str) -> LinkDraft:
    """The checked draft of a request. Raises the problem that names every element that is wrong."""
    wrong: list[str] = []
    long_url = check_long_url(wanted.long_url)
    if long_url is None:
        wrong.append("longUrl")
    slug = None
    if wanted.custom_slug:
        slug = clean_slug(wanted.custom_slug)
        if slug is None:
            wrong.append("customSlug")
    if wanted.path_prefix:
        # Codes are one segment of a path here.
        wrong.append("pathPrefix")
    length = CODE_LENGTH if wanted.short_code_length is None else wanted.short_code_length
    if not CODE_LENGTH_MIN <= length <= CODE_LENGTH_MAX:
        wrong.append("shortCodeLength")
    domain = domain_name(wanted.domain or "", default_domain=default_domain)
    if domain is None:
        wrong.append("domain")
    values = _checked(
        {
            "title": wanted.title,
            "tags": wanted.tags,
            "validSince": wanted.valid_since,
            "validUntil": wanted.valid_until,
            "maxVisits": wanted.max_visits,
            "password": wanted.password,
        },
        wrong,
    )
    if wrong or long_url is None or domain is None:
        raise _invalid(wrong)
    return LinkDraft(
        long_url=long_url,
        slug=slug,
        domain=domain,
        code_length=length,
        title=values["title"],
        tags=values["tags"],
        valid_since=values["validSince"],
        valid_until=values["validUntil"],
        max_visits=values["maxVisits"],
        crawlable=wanted.crawlable,
        forward_query=wanted.forward_query,
        find_if_exists=wanted.find_if_exists,
        password=values["password"],
    )


_EDITED: tuple[tuple[str, LinkColumn], ...] = (
    ("title", "title"),
    ("validSince", "valid_since"),
    ("validUntil", "valid_until"),
    ("maxVisits", "max_visits"),
)


def edit_of(wanted: EditShortUrl) -> LinkEdit:
    """The checked change of a request. Raises the problem that names every wrong element."""
    wrong: list[str] = []
    columns: dict[LinkColumn, Any] = {}
    if wanted.long_url is not UNSET:
        columns["long_url"] = check_long_url(wanted.long_url)
        if columns["long_url"] is None:
            wrong.append("longUrl")
    given = {
        name: value
        for name, value in (
            ("title", wanted.title),
            ("tags", wanted.tags),
            ("validSince", wanted.valid_since),
            ("validUntil", wanted.valid_until),
            ("maxVisits", wanted.max_visits),
            ("password", wanted.password),
        )
        if value is not UNSET
    }
    values = _checked(given, wrong)
    if wrong:
        raise _invalid(wrong)
    columns |= {column: values[name] for name, column in _EDITED if name in values}
    if wanted.crawlable is not UNSET:
        columns["crawlable"] = wanted.crawlable
    if wanted.forward_query is not UNSET:
        columns["forward_query"] = wanted.forward_query
    return LinkEdit(columns, values.get("tags"), values.get("password", UNSET))


def _checked(given: dict[str, Any], wrong: list[str]) -> dict[str, Any]:
    """What both making and changing a link may give; names what is wrong."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        match name:
            case "title":
                values[name] = None if value is None else value.strip() or None
                fits = values[name] is None or _is_title(values[name])
            case "tags":
                values[name] = tuple(dict.fromkeys(_tag(tag) for tag in value))
                fits = len(values[name]) <= _TAGS_MAX and all(map(_is_tag, values[name]))
            case "maxVisits":
                values[name] = value
                fits = value is None or 1 <= value <= _VISITS_MAX
            case "password":
                values[name] = value or None
                fits = len(value or "") <= PASSWORD_LENGTH_MAX
            case _:
                values[name] = moment_of(value) if value else None
                fits = not value or values[name] is not None
        if not fits:
            wrong.append(name)
    return values


def rules_of(wanted: SetRedirectRules) -> list[RuleDraft]:
    """The checked rules of a request. Raises the problem of rules that cannot be."""
    rules = wanted.redirect_rules
    if len(rules) > _RULES_MAX:
        raise problems.invalid_data(["redirectRules"], f"More than {_RULES_MAX} rules.")
    drafts = []
    for rule in rules:
        long_url = check_long_url(rule.long_url)
        if long_url is None:
            raise _invalid(["longUrl"])
        if not 1 <= len(rule.conditions) <= _CONDITIONS_MAX:
            raise problems.invalid_data(
                ["conditions"], f"Expected 1 to {_CONDITIONS_MAX} conditions in each rule."
            )
        for condition in rule.conditions:
            value, key = condition.match_value or "", condition.match_key
            if len(value) > _VALUE_MAX or len(key or "") > _VALUE_MAX:
                raise _invalid(["matchValue"])
            if not is_condition(Condition(condition.type, value, key)):
                raise problems.invalid_data(
                    ["conditions"],
                    f"Not a condition: {condition.type} of {value!r}"
                    + (f" with key {key!r}." if key else "."),
                )
        drafts.append(RuleDraft(long_url, msgspec.json.encode(rule.conditions).decode()))
    return drafts


def rename_of(wanted: RenameTag) -> tuple[str, str]:
    """The old and the new name of a tag. Raises the problem of a name that none can have."""
    new = _tag(wanted.new_name)
    wrong = [
        name
        for name, fits in (
            ("oldName", _is_tag(_tag(wanted.old_name))),
            ("newName", _is_tag(new)),
        )
        if not fits
    ]
    if wrong:
        raise _invalid(wrong)
    return _tag(wanted.old_name), new


def redirects_of(
    wanted: EditDomainRedirects, *, default_domain: str
) -> tuple[str, dict[RedirectColumn, str | None]]:
    """A domain and the redirects to set. Raises the problem of what cannot be one."""
    wrong = []
    domain = domain_name(wanted.domain, default_domain=default_domain) if wanted.domain else None
    if domain is None:
        wrong.append("domain")
    redirects: dict[RedirectColumn, str | None] = {}
    given: Iterable[tuple[str, RedirectColumn, str | UnsetType | None]] = (
        ("baseUrlRedirect", "base_url_redirect", wanted.base_url_redirect),
        ("regular404Redirect", "regular_404_redirect", wanted.regular_404_redirect),
        (
            "invalidShortUrlRedirect",
            "invalid_short_url_redirect",
            wanted.invalid_short_url_redirect,
        ),
    )
    for name, column, value in given:
        if value is UNSET:
            continue
        redirects[column] = check_long_url(value) if value else None
        if value and redirects[column] is None:
            wrong.append(name)
    if wrong or domain is None:
        raise _invalid(wrong)
    return domain, redirects


def domain_name(text: str, *, default_domain: str) -> str | None:
    """The domain as links name it, "" for the default one; None when it cannot be one."""
    name = text.strip().lower()
    if name in ("", "default", default_domain.lower()):
        return ""
    try:
        host, colon, port = name.partition(":")
        name = (host if host.isascii() else host.encode("idna").decode()) + colon + port
    except UnicodeError:
        return None
    if len(name) > _DOMAIN_LENGTH_MAX or not _DOMAIN.fullmatch(name):
        return None
    return name


def _invalid(elements: list[str]) -> Exception:
    return problems.invalid_data(elements, f"Provided data is not valid: {', '.join(elements)}.")


def _is_title(text: str) -> bool:
    return len(text) <= _TITLE_MAX and "\0" not in text


def _tag(text: str) -> str:
    return re.sub(r"\s+", "-", text.strip().lower())


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _TAG_LENGTH_MAX and tag.isprintable()


def moment_of(text: str) -> datetime | None:
    """An ISO 8601 date or time, in UTC unless it says otherwise; None when it is neither.

    A `+` that a query string turned into a blank is put back.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
