"""The request that a redirect asks for."""

from __future__ import annotations

import pytest

from loadpath.drive.redirects import RedirectError, redirected

OWN = "http://127.0.0.1:8000"
POST = (
    b"POST /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Type: text/plain\r\n"
    b"X-A: b\r\nContent-Length: 2\r\n\r\nhi"
)
GET = b"GET /a/b HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_becomes_a_get_without_its_body(status: int) -> None:
    assert redirected(POST, status, "/z", OWN) == (
        b"GET /z HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nX-A: b\r\n\r\n"
    )


@pytest.mark.parametrize("status", [307, 308])
def test_with_307_and_308_all_stays_but_the_target(status: int) -> None:
    assert redirected(POST, status, "/z?y=x", OWN) == POST.replace(b"/a/b?c=d", b"/z?y=x")


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        (b"PUT", 301, b"PUT"),
        (b"DELETE", 302, b"DELETE"),
        (b"PUT", 303, b"GET"),
        (b"HEAD", 303, b"HEAD"),
        (b"GET", 303, b"GET"),
    ],
)
def test_other_methods(method: bytes, status: int, then: bytes) -> None:
    assert redirected(POST.replace(b"POST", method), status, "/", OWN).startswith(then + b" / ")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("c", "/a/c"),
        ("../c", "/c"),
        ("../../../c", "/c"),
        ("?q=1", "/a/b?q=1"),
        ("", "/a/b"),
        ("http://127.0.0.1:8000", "/"),
        ("HTTP://127.0.0.1:8000/x#part", "/x"),
        ("//127.0.0.1:8000/y", "/y"),
        (" /blank in it ", "/blank%20in%20it"),
        ("/\xc3\xbc", "/%C3%BC"),
        ("/x\r\nEvil: 1", "/xEvil:%201"),
    ],
)
def test_a_location_is_read_against_the_request(location: str, target: str) -> None:
    assert redirected(GET, 302, location, OWN) == GET.replace(b"/a/b", target.encode())


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:8001/",
        "https://127.0.0.1:8000/",
        "//example/",
        "http://localhost:8000/",
        "http://127.0.0.1:8000@example/",
        "javascript:alert(1)",
        "http://127.0.0.1:99999/",
        "http://[/",
        "http://127.0.0.1:8000.example/",
    ],
)
def test_no_redirect_leaves_the_service(location: str) -> None:
    with pytest.raises(RedirectError, match="redirected"):
        redirected(GET, 302, location, OWN)


def test_the_default_port_may_be_said_or_not() -> None:
    assert redirected(GET, 302, "http://h/x", "http://h:80").startswith(b"GET /x ")


def test_where_it_pointed_is_said_without_secrets() -> None:
    with pytest.raises(RedirectError) as caught:
        redirected(GET, 302, "https://sso.example/login?ticket=abc", OWN)
    assert "https://sso.example/login?ticket=***" in str(caught.value)
