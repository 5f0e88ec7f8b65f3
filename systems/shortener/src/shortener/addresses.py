"""Long URLs: which are taken, and how they stand in a Location header."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from systems_common.hosts import clean_host, literal_address

__all__ = [
    "LONG_URL_LENGTH_MAX",
    "ExtraPath",
    "check_long_url",
    "has_parameter",
    "location_of",
    "with_path",
    "with_query",
]

ExtraPath = Literal["default", "append", "ignore"]
"""What `/{code}/more` is: nothing, more path after the address's own, or the link."""

LONG_URL_LENGTH_MAX = 8_192
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f<>\"\\^`{|}]")
_RESERVED = ":/?#[]@!$&'()*+,;=%-._~"
_QUERY = ":/?[]@!$&'()*+,;=%-._~"
_PATH = ":/@!$&'()*+,;=%-._~"


def check_long_url(text: str) -> str | None:
    """The address without surrounding blanks, or None when it is not one to redirect to.

    A host that spells out an IP address (`0x8080808`, `8.526344`) is written in its usual form, as
    browsers do, so that what is compared with it later need not know the others.

    Only http and https with a host: a `javascript:` or `data:` address would run in the name of
    whoever shared the short link, and a control character could end the Location header. Without
    a user or password: `https://bank.example@elsewhere.example/` leads elsewhere.
    """
    url = text.strip()
    if not url or len(url) > LONG_URL_LENGTH_MAX or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
        location_of(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        return None
    if "@" in parts.netloc:
        return None
    return _with_usual_address(url, parts)


def _with_usual_address(url: str, parts: SplitResult) -> str:
    given = parts.hostname or ""
    host = clean_host(given)
    address = None if host is None or host == given else literal_address(host)
    if address is None:
        return url
    spelled = f"[{address}]" if address.version == 6 else str(address)
    port = "" if parts.port is None else f":{parts.port}"
    begin = url.index(parts.netloc, len(parts.scheme) + 3)
    return url[:begin] + spelled + port + url[begin + len(parts.netloc) :]


def location_of(long_url: str) -> str:
    """The address in ASCII, as a Location header wants it. Raises `ValueError` for a bad host."""
    if long_url.isascii():
        return long_url
    parts = urlsplit(long_url)
    netloc = parts.netloc
    if not netloc.isascii():
        before, at, host = netloc.rpartition("@")
        name, colon, port = host.partition(":")
        netloc = quote(before, _RESERVED) + at + name.encode("idna").decode() + colon + port
    return quote(parts._replace(netloc=netloc).geturl(), _RESERVED)


def with_query(location: str, query: str, *, without: str | None = None) -> str:
    """The address with the parameters of a query string, before its fragment.

    As in Shlink a parameter that the address has too is replaced: the visitor's value stands, at
    the place of the address's first one of that name. The parameter `without` is left out.
    """
    address, hash_sign, fragment = location.partition("#")
    given = [part for part in query.split("&") if part and _name(part) != without]
    if not given:
        return location
    address, question_mark, own = address.partition("?")
    kept: list[str] = []
    if question_mark:
        names = {_name(part) for part in given}
        for part in own.split("&"):
            if (name := _name(part)) not in names:
                kept.append(part)
                continue
            kept += [new for new in given if _name(new) == name]
            # The address may have the name once more: that one is replaced by nothing.
            given = [new for new in given if _name(new) != name]
    merged = "&".join(part for part in (*kept, *given) if part)
    return f"{address}?{quote(merged, _QUERY)}{hash_sign}{fragment}"


def has_parameter(query: str, name: str) -> bool:
    """Whether a query string has a parameter of that name."""
    return any(_name(part) == name for part in query.split("&"))


def with_path(location: str, extra: str) -> str:
    """The address with more path, which begins with a slash, after its own.

    The extra path stands after the host's slash and is quoted, so it cannot become another host.
    """
    end = min(at for mark in ("?", "#") if (at := (location + mark).find(mark)) >= 0)
    return location[:end].rstrip("/") + quote(extra, _PATH) + location[end:]


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
