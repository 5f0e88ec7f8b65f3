"""Requests as bytes: what is sent for what was declared or yielded."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.keys import KeyTexts
from loadpath.drive.requests import RequestTemplate, RequestWriter, compile_request
from loadpath.errors import ConfigurationError
from loadpath.flow import Request, get, post
from loadpath.spec import DeclaredRequest, KeySet

TEXTS = {
    "codes": KeyTexts(KeySet(name="codes", count=100, pattern="c{n}")),
    "odd": KeyTexts(KeySet(name="odd", count=100, pattern='a "/\\{n}')),
}


def compiled(
    method: str = "GET",
    path: str = "/",
    headers: tuple[tuple[str, str], ...] = (),
    body: str | None = None,
    keys: dict[str, str] | None = None,
) -> RequestTemplate:
    request = DeclaredRequest(method=method, path=path, headers=headers, body=body, keys=keys or {})
    return compile_request(request, "host:80", TEXTS)


def test_a_request_without_keys_is_made_once() -> None:
    template = compiled(path="/a?b=c")
    assert template.fixed == b"GET /a?b=c HTTP/1.1\r\nHost: host:80\r\nUser-Agent: loadpath\r\n\r\n"
    assert template.key_sets == ()


def test_a_key_stands_in_the_path_percent_encoded() -> None:
    one = compiled(path="/{code}", keys={"code": "codes"})
    assert one.fixed is None
    assert one.build((7,)).startswith(b"GET /c7 HTTP/1.1\r\n")
    odd = compiled(path="/x/{k}/y", keys={"k": "odd"})
    assert odd.build((1,)).startswith(b"GET /x/a%20%22%2F%5C1/y HTTP/1.1\r\n")
    two = compiled(path="/{a}/{b}?again={a}", keys={"a": "codes", "b": "codes"})
    assert two.build((1, 2)).startswith(b"GET /c1/c2?again=c1 HTTP/1.1\r\n")


def test_a_body_has_its_length_and_keys_within_json_are_escaped() -> None:
    fixed = compiled("POST", "/", (("Content-Type", "text/plain"),), "grün")
    assert fixed.fixed is not None
    assert fixed.fixed.endswith(
        b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n" + "grün".encode()
    )
    keyed = compiled(
        "POST", "/{c}", body='{"at": "{k}", "{c}": {}}', keys={"k": "odd", "c": "codes"}
    )
    head, _, body = keyed.build((3, 4)).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /c4 HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"at": 'a "/\\3', "c4": {}}
    plain = compiled("PUT", "/", body="k={k}", keys={"k": "odd"})
    assert plain.build((3,)).endswith(b'\r\n\r\nk=a "/\\3')


def test_an_empty_body_has_a_length_where_the_method_expects_one() -> None:
    assert b"Content-Length: 0\r\n" in (compiled("POST").fixed or b"")
    assert b"Content-Length" not in (compiled("DELETE").fixed or b"")


def test_headers_may_replace_those_of_the_engine() -> None:
    template = compiled(headers=(("host", "other"), ("user-agent", "me")))
    assert template.fixed == b"GET / HTTP/1.1\r\nhost: other\r\nuser-agent: me\r\n\r\n"


def test_what_a_target_cannot_hold_is_escaped() -> None:
    assert (compiled(path="/ä b?c=%20").fixed or b"").startswith(b"GET /%C3%A4%20b?c=%20 HTTP/1.1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "/{code}"}, "no key set is given for {code}"),
        ({"path": "/{code}", "keys": {"code": "gone"}}, "of key set `gone`"),
        ({"method": "GET /"}, "expected a method"),
        ({"headers": (("A b", "c"),)}, "not the name of a header"),
        ({"headers": (("A", "b\r\nC: d"),)}, "line break"),
        ({"headers": (("Content-Length", "1"),)}, "written by the engine"),
    ],
)
def test_what_cannot_be_sent_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        compiled(**arguments)  # type: ignore[arg-type]


def test_the_requests_of_flows_are_written_in_full() -> None:
    writer = RequestWriter("host:80")
    assert writer.encode(get("/a", params={"q": "b c"})) == (
        b"GET /a?q=b+c HTTP/1.1\r\nHost: host:80\r\nUser-Agent: loadpath\r\n\r\n"
    )
    head, _, body = writer.encode(post("/p", json={"x": 1}, headers={"A": "b"})).partition(
        b"\r\n\r\n"
    )
    assert body == b'{"x":1}'
    assert b"A: b\r\nContent-Type: application/json\r\nContent-Length: 7" in head


def test_get_with_a_body_has_a_length() -> None:
    request = Request("GET", "/search", (), b"{}")
    assert RequestWriter("h").encode(request).endswith(b"Content-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "http://elsewhere/"),
        Request("GET", ""),
        Request("GET /x HTTP/1.1\r\nA:", "/"),
        Request("GET", "/", (("A", "b\nc"),)),
        Request("POST", "/", (("Transfer-Encoding", "chunked"),)),
    ],
)
def test_a_flow_cannot_send_what_is_no_request(request_: Request) -> None:
    with pytest.raises(ValueError, match=r"expected a method|begins with|line break|written by"):
        RequestWriter("h").encode(request_)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_path_can_end_its_line(path: str) -> None:
    line, _, rest = RequestWriter("h").encode(Request("GET", "/" + path)).partition(b"\r\n")
    method, target, version = line.split(b" ")
    assert (method, version) == (b"GET", b"HTTP/1.1")
    assert unquote(target.decode()) == unquote("/" + path)
    assert rest.startswith(b"Host: h\r\n")
