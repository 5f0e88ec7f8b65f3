"""A cookie jar for one host: what RFC 6265 says of storing cookies and sending them again. Pure.

Not `http.cookies`: its parser drops a whole header, without a word, for one character or attribute
that it does not know, where a browser (RFC 6265, section 5.2) takes what it can.
"""

from __future__ import annotations

import math
from email.utils import mktime_tz, parsedate_tz
from ipaddress import ip_address

import msgspec

COOKIES_MAX = 50
"""Cookies kept, and no fewer than a browser must keep of one host; then the oldest goes."""

COOKIE_BYTES_MAX = 4096


class Cookie(msgspec.Struct, frozen=True):
    """One cookie. `expires_s` is Unix time; infinite: it lasts as long as the jar."""

    name: str
    value: str
    path: str
    expires_s: float
    secure: bool


class CookieJar:
    """The cookies of one user for the host it is made for; it knows no other.

    `secure`: whether what is sent cannot be overheard, so that Secure cookies may go.
    """

    __slots__ = ("_cookies", "_host", "_line", "_secure")

    def __init__(self, host: str, *, secure: bool) -> None:
        self._host = host.lower()
        self._secure = secure
        self._cookies: dict[tuple[str, str], Cookie] = {}
        self._line: bytes | None = b""  # the same for every request; None: it depends

    def __len__(self) -> int:
        return len(self._cookies)

    def take(self, head: bytes, request_path: str, now: float) -> None:
        """Keep what the head of a reply sets, at `now` in Unix time."""
        if b"set-cookie:" not in head.lower():
            return
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"set-cookie":
                self._set(value.strip(b" \t").decode("latin-1"), request_path, now)
        self._line = self._fixed_line()

    def line(self, request_path: str, now: float) -> bytes:
        """The Cookie header for a request, with its line end; empty when there is none to send."""
        if self._line is not None:
            return self._line
        path = request_path.partition("?")[0]
        for key in [key for key, each in self._cookies.items() if each.expires_s <= now]:
            del self._cookies[key]
        sent = [
            each
            for each in self._cookies.values()
            if _path_matches(path, each.path) and (self._secure or not each.secure)
        ]
        sent.sort(key=lambda each: -len(each.path))  # stable: then the older ones first
        return _header(sent)

    def values(self) -> list[str]:
        """The values of all cookies, which are secrets."""
        return [each.value for each in self._cookies.values()]

    def _set(self, text: str, request_path: str, now: float) -> None:
        pair, *attributes = text.split(";")
        name, equals, value = pair.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        bad = any(c < " " or c == "\x7f" for c in pair)
        if not equals or not name or bad or len(name) + len(value) > COOKIE_BYTES_MAX:
            return
        path, expires_s, max_age_s = "", math.inf, None
        domain, secure = "", False
        for attribute in attributes:
            key, _, said = attribute.partition("=")
            said = said.strip(" \t")
            match key.strip(" \t").lower():
                case "path":
                    path = said if said.startswith("/") else ""
                case "expires":
                    expires_s = _unix_time(said, expires_s)
                case "max-age" if said.lstrip("-").isascii() and said.lstrip("-").isdigit():
                    max_age_s = int(said[:12])
                case "domain":
                    domain = said.removeprefix(".").lower()
                case "secure":
                    secure = True
        if not self._is_for_us(domain) or not _prefix_holds(name, path, domain, secure=secure):
            return
        if max_age_s is not None:  # which comes before Expires
            expires_s = now + max_age_s if max_age_s > 0 else -math.inf
        path = path or _default_path(request_path)
        key_ = (name, path)
        if expires_s <= now:
            self._cookies.pop(key_, None)
            return
        self._cookies[key_] = Cookie(name, value, path, expires_s, secure)
        if len(self._cookies) > COOKIES_MAX:
            del self._cookies[next(iter(self._cookies))]

    def _is_for_us(self, domain: str) -> bool:
        """Whether a Domain attribute means this host (section 5.1.3); an address has no parents."""
        if not domain or domain == self._host:
            return True
        return self._host.endswith(f".{domain}") and not _is_address(self._host)

    def _fixed_line(self) -> bytes | None:
        """What is sent with every request alike; None when it depends on the request or time."""
        cookies = list(self._cookies.values())
        if any(each.path != "/" or each.expires_s < math.inf for each in cookies):
            return None
        return _header([each for each in cookies if self._secure or not each.secure])


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine; browsers call that secure."""
    host = host.lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _prefix_holds(name: str, path: str, domain: str, *, secure: bool) -> bool:
    """What a name that begins so promises (RFC 6265bis, section 4.1.3)."""
    low = name.lower()
    if low.startswith("__host-"):
        return secure and path == "/" and not domain
    return secure or not low.startswith("__secure-")


def _unix_time(date: str, otherwise: float) -> float:
    """A date as servers write it, also with dashes and a year of two digits."""
    parsed = parsedate_tz(date)
    if parsed is None:
        return otherwise
    try:
        return float(mktime_tz(parsed))
    except (ValueError, OverflowError):  # no such day
        return otherwise


def _default_path(request_path: str) -> str:
    """The folder of the request (section 5.1.4)."""
    folder = request_path.partition("?")[0].rpartition("/")[0]
    return folder or "/"


def _path_matches(path: str, of_cookie: str) -> bool:
    """Section 5.1.4."""
    if not path.startswith(of_cookie):
        return False
    return path == of_cookie or of_cookie.endswith("/") or path[len(of_cookie)] == "/"


def _header(cookies: list[Cookie]) -> bytes:
    if not cookies:
        return b""
    pairs = "; ".join([f"{each.name}={each.value}" for each in cookies])
    return f"Cookie: {pairs}\r\n".encode("latin-1")
