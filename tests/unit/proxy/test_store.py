"""What the cache keeps, for whom, and for how long."""

from __future__ import annotations

import re

import pytest

from loadpath.proxy.store import Store, keepable
from loadpath.spec import DeclaredRequest
from loadpath.spec.keeping import keep_rule

LINE = b"GET /a HTTP/1.1"


def request(*headers: str) -> bytes:
    return LINE + b"\r\n" + "".join(f"{line}\r\n" for line in headers).encode() + b"\r\n"


def reply(body: str = "it", *headers: str, status: int = 200) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status} OK\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def test_an_entry_is_fresh_for_less_than_its_ttl_and_tells_its_age() -> None:
    store = Store(1 << 20)
    assert store.put(LINE, request(), reply(), 10.0, 5.0)
    found = store.find(store.key(LINE, request()), 14.9)
    assert found is not None
    assert found.answer(14.9) == reply().replace(b"OK\r\n", b"OK\r\nAge: 4\r\n")
    assert store.find(store.key(LINE, request()), 15.0) is None
    assert (len(store), store.bytes) == (0, 0)


def test_vary_tells_requests_apart() -> None:
    store = Store(1 << 20)
    german, french = request("Accept-Language: de"), request("Accept-Language: fr")
    store.put(LINE, german, reply("guten Tag", "Vary: Accept-Language"), 0.0, 9.0)
    assert store.find(store.key(LINE, french), 1.0) is None
    found = store.find(store.key(LINE, german), 1.0)
    assert found is not None
    assert found.rest.endswith(b"guten Tag")


@pytest.mark.parametrize(
    ("kept", "given"),
    [
        (True, reply()),
        (True, reply(status=302)),
        (False, reply(status=404)),
        (False, reply(status=503)),
        (False, reply(status=206)),
        (False, reply("", "Set-Cookie: a=1")),
        (False, reply("", "Vary: *")),
    ],
)
def test_what_may_be_kept(kept: bool, given: bytes) -> None:
    assert (keepable(given) is not None) is kept


def test_the_least_recently_used_goes_for_lack_of_room() -> None:
    store = Store(20_000)
    body = "x" * 1500
    lines = [b"GET /%d HTTP/1.1" % number for number in range(12)]
    for at, line in enumerate(lines):
        store.put(line, line + b"\r\n\r\n", reply(body), float(at), 1e9)
        store.find(lines[0], float(at))
    assert store.bytes <= 20_000
    assert store.evicted == len(lines) - len(store) > 0
    assert store.find(lines[0], 12.0) is not None
    assert store.find(lines[1], 12.0) is None
    assert not store.put(LINE, request(), reply("x" * 5000), 0.0, 9.0)


@pytest.mark.parametrize(
    ("path", "target", "fits"),
    [
        ("/{code}", "/s000001", True),
        ("/{code}", "/rest/v3", False),
        ("/{code}", "/s1?x=1", False),
        ("/a.b/{n}?page={p}&size=20", "/a.b/7?page=2&size=20", True),
        ("/a.b/{n}?page={p}&size=20", "/axb/7?page=2&size=20", False),
    ],
)
def test_a_rule_fits_the_requests_of_its_operation_alone(
    path: str, target: str, fits: bool
) -> None:
    rule = keep_rule("it", DeclaredRequest(method="GET", path=path), 1.0)
    assert (re.fullmatch(rule.pattern, target) is not None) is fits
