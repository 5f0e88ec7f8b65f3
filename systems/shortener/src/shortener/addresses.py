"""Long URLs: which are taken, and how they stand in a Location header."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

__all__ = ["LONG_URL_LENGTH_MAX", "check_long_url", "location_of", "with_query"]

LONG_URL_LENGTH_MAX = 8_192
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f<>\"\\^`{|}]")
_RESERVED = ":/?#[]@!$&'()*+,;=%-._~"


def check_long_url(text: str) -> str | None:
    """The address without surrounding blanks, or None when it is not one to redirect to.

    Only http and https with a host: a `javascript:` or `data:` address would run in the name of
    whoever shared the short link, and a control character could end the Location header.
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
    return url


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


def with_query(location: str, query: str) -> str:
    """The address with a query string added to its own, before its fragment."""
    address, hash_sign, fragment = location.partition("#")
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{quote(query, _RESERVED)}{hash_sign}{fragment}"
