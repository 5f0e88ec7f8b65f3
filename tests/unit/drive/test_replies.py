"""What is kept of a reply: enough to compare it, and nothing that says whose it is."""

from __future__ import annotations

import pytest

from loadpath.drive.replies import ReplyLog, asked, caching_headers
from loadpath.drive.variants import ignores, variants
from loadpath.wire.seen import vary_of

SALT = b"salt"


def request(target: str = "/a?q=1&p=2", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {target} HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode()


def noted(*replies: tuple[bytes, bytes, bytes]) -> dict[str, list[object]]:
    """The rows of replies given as request, head and body."""
    log = ReplyLog(SALT)
    for payload, head, body in replies:
        hasher = log.hasher()
        hasher.update(body)
        log.note(0, 0, payload, 1.0, 2.0, int(head[9:12]), head, hasher, len(body))
    return {name: column.tolist() for name, column in log.columns(3).items()}


def head(*lines: str, status: int = 200) -> bytes:
    said = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 {status} OK\r\n{said}\r\n".encode()


def test_equal_replies_have_equal_digests_whatever_their_dates_and_ids() -> None:
    rows = noted(
        (request(), head("Date: Mon", "X-Request-Id: 1"), b"same"),
        (request(), head("Date: Tue", "X-Request-Id: 2"), b"same"),
        (request(), head("Date: Tue"), b"other"),
        (request(), head("Date: Tue", "Location: /there"), b"same"),
        (request(), head("Date: Tue", status=404), b"same"),
    )
    first, again, *others = rows["digest"]
    assert first == again
    assert len({first, *others}) == 4


def test_the_key_is_the_target_and_what_vary_names() -> None:
    vary = head("Vary: Accept-Language, Cookie")
    rows = noted(
        (request(accept_language="de", cookie="a=1"), vary, b""),
        (request(accept_language="fr", cookie="a=1"), vary, b""),
        (request(accept_language="de", cookie="a=1", user_agent="x"), vary, b""),
        (request("/a?p=2&q=1"), head(), b""),
    )
    german, french, same, turned = rows["key"]
    assert german == same
    assert len({german, french, turned}) == 3
    assert len(set(rows["target"])) == 2


def test_who_asks_is_told_by_credentials_and_never_kept() -> None:
    rows = noted(
        (request(), head(), b""),
        (request(authorization="Bearer one"), head(), b""),
        (request(x_api_key="one"), head(), b""),
        (request(authorization="Bearer one"), head("Set-Cookie: session=hidden"), b""),
    )
    nobody, bearer, key, again = rows["credentials"]
    assert nobody == 0
    assert bearer == again != key
    assert rows["authorized"] == [False, True, False, True]
    assert "hidden" not in str(rows)
    assert "set-cookie: …" in rows["headers"]


def test_of_expires_the_distance_is_kept() -> None:
    expires = "Expires: Thu, 01 Jan 2026 00:01:00 GMT"
    said = caching_headers(head("Date: Thu, 01 Jan 2026 00:00:00 GMT", expires, 'ETag: W/"1"'))
    assert said == "etag: W/…\nexpires: +60 s"
    assert caching_headers(head("Expires: 0")) == "expires: +0 s"


def test_variants_are_other_in_one_way_each() -> None:
    own = asked(request(authorization="Bearer one", cookie="theme=dark"))
    other = [(b"authorization", b"Bearer two")]
    made = {each.name: each.request for each in variants(own, other, plain=True)}
    assert made["identity"].credentials == b"authorization:Bearer two"
    assert made["anonymous"].credentials == b""
    assert made["without cookie"].credentials == b"authorization:Bearer one"
    assert made["query q"].target == b"/a?p=2"
    assert made["query order"].target == b"/a?p=2&q=1"
    assert made["header Accept-Language"].values(b"accept-language") == b"de"
    assert not list(variants(asked(request("/a")), None, plain=False))


@pytest.mark.parametrize(
    ("said", "variant", "ignored"),
    [
        ("", "query q", False),
        ("params", "query q", True),
        ('params=("q" "r")', "query q", True),
        ('params=("r")', "query q", False),
        ('params, except=("q")', "query q", False),
        ("key-order", "query order", True),
        ("params", "query order", False),
    ],
)
def test_what_no_vary_search_leaves_out(said: str, variant: str, ignored: bool) -> None:
    assert ignores(said, variant) is ignored


def test_vary_is_read_from_every_line() -> None:
    assert vary_of(head("Vary: Cookie, accept", "vary: Accept-Encoding")) == (
        b"accept",
        b"accept-encoding",
        b"cookie",
    )
    assert vary_of(head("X-Vary: Cookie")) == ()
