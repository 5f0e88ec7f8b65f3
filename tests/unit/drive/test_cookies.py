"""A cookie jar for one host: what it takes, what it sends, and what it lets go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.cookies import COOKIES_MAX, CookieJar, is_loopback

NOW = 1_800_000_000.0
YEAR_2035 = "Wed, 21 Oct 2035 07:28:00 GMT"
YEAR_1999 = "Sun, 06-Nov-99 08:49:37 GMT"


def sent(
    *set_cookies: str,
    path: str = "/a/b",
    host: str = "shop.example",
    secure: bool = False,
    set_at: str = "/a/b",
    now: float = NOW,
) -> str:
    """What is sent to `path` after replies that set these, one after the other."""
    jar = CookieJar(host, secure=secure)
    for each in set_cookies:
        jar.take(f"HTTP/1.1 200 OK\r\nSET-Cookie: {each}\r\n\r\n".encode(), set_at, NOW)
    line = jar.line(path, now)
    assert not line or (line.startswith(b"Cookie: ") and line.endswith(b"\r\n"))
    return line[8:-2].decode()


@pytest.mark.parametrize(
    ("set_cookie", "words"),
    [
        ("a=b", "a=b"),
        ("a=b; Path=/", "a=b"),
        (' a = "b" ; HttpOnly; SameSite=Lax; Priority=High; Strange', 'a="b"'),
        ('a={"x":[1,2]}; Path=/', 'a={"x":[1,2]}'),
        ("a=b=c", "a=b=c"),
        ("a=", "a="),
        ("=b", ""),
        ("a", ""),
        ("a=b\tc\x01", ""),
        (f"a={'x' * 5000}", ""),
        ("a=b; Domain=shop.example", "a=b"),
        ("a=b; Domain=.EXAMPLE", "a=b"),
        ("a=b; Domain=other.example", ""),
        ("a=b; Domain=p.example", ""),
        ("a=b; Secure", ""),
        ("__Secure-a=b", ""),
        ("__Host-a=b; Path=/; Domain=shop.example; Secure", ""),
        ("a=b; Max-Age=0", ""),
        ("a=b; Max-Age=-1", ""),
        ("a=b; Max-Age=soon", "a=b"),
        ("a=b; Max-Age=10", "a=b"),
        (f"a=b; Expires={YEAR_2035}", "a=b"),
        (f"a=b; Expires={YEAR_1999}", ""),
        (f"a=b; Expires={YEAR_1999}; Max-Age=60", "a=b"),
        ("a=b; Expires=never", "a=b"),
        ("a=b; Expires=Wed, 99 Foo 2035 99:99:99 GMT", "a=b"),
    ],
)
def test_what_is_taken(set_cookie: str, words: str) -> None:
    assert sent(set_cookie) == words


def test_an_address_has_no_parent_domains() -> None:
    assert sent("a=b; Domain=0.0.1", host="127.0.0.1") == ""
    assert sent("a=b; Domain=127.0.0.1", host="127.0.0.1") == "a=b"


@pytest.mark.parametrize(
    ("set_cookie", "path", "goes"),
    [
        ("c=1", "/a/b", True),  # the folder of /a/b is /a
        ("c=1", "/a", True),
        ("c=1", "/ab", False),
        ("c=1", "/", False),
        ("c=1; Path=/a/", "/a/x?y=/", True),
        ("c=1; Path=/a/", "/a", False),
        ("c=1; Path=no", "/a?/", True),
        ("c=1; Path=/", "/z", True),
    ],
)
def test_a_cookie_goes_where_its_path_says(set_cookie: str, path: str, goes: bool) -> None:
    assert sent(set_cookie, path=path) == ("c=1" if goes else "")


def test_longer_paths_come_first_and_then_older_ones() -> None:
    assert sent("x=1; Path=/", "y=2; Path=/", "x=3; Path=/a") == "x=3; x=1; y=2"


def test_a_cookie_is_replaced_deleted_and_expires() -> None:
    assert sent("a=1; Path=/", "b=2; Path=/", "a=3; Path=/") == "a=3; b=2"
    assert sent("a=1; Path=/", "a=; Path=/; Max-Age=0") == ""
    assert sent("a=1; Path=/", f"a=; Path=/; Expires={YEAR_1999}") == ""
    assert sent("a=1; Path=/", "a=; Max-Age=0") == "a=1"  # that is another cookie, of /a
    assert sent("a=1; Max-Age=10", now=NOW + 9) == "a=1"
    assert sent("a=1; Max-Age=10", now=NOW + 10) == ""


def test_secure_cookies_go_where_nobody_listens() -> None:
    assert (
        sent("a=b; Secure; Path=/", "__Host-c=d; Secure; Path=/", secure=True) == "a=b; __Host-c=d"
    )
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost")]
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "LOCALHOST", "a.localhost")))
    assert not any(map(is_loopback, ("10.0.0.1", "example", "localhost.example", "::2")))


def test_a_jar_is_bounded() -> None:
    full = sent(*(f"c{n}={n}; Path=/" for n in range(COOKIES_MAX + 5)))
    assert full.split("; ") == [f"c{n}={n}" for n in range(5, COOKIES_MAX + 5)]


@given(st.text(max_size=80))
def test_no_cookie_can_end_its_line(text: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: " + text.encode("utf-8", "replace") + b"\r\n\r\n"
    jar = CookieJar("127.0.0.1", secure=True)
    jar.take(head, "/", NOW)
    line = jar.line("/", NOW)
    assert line.count(b"\n") == line.count(b"\r") == (1 if line else 0)
    assert b"\0" not in line
