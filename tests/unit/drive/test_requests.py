"""Requests as bytes: what is sent for what was declared or yielded."""

from __future__ import annotations

import json
import time
from datetime import datetime
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.drive.fills import Fills
from loadpath.drive.keys import KeyTexts
from loadpath.drive.requests import RequestWriter
from loadpath.drive.templates import RequestTemplate, compile_request
from loadpath.errors import ConfigurationError
from loadpath.flow import Request, get, post
from loadpath.spec import DeclaredRequest, KeySet

TEXTS = {
    "codes": KeyTexts(KeySet(name="codes", count=100, pattern="c{n}")),
    "broken": KeyTexts(KeySet(name="broken", count=9, pattern="a\r\nEvil: {n}")),
    "odd": KeyTexts(KeySet(name="odd", count=100, pattern='a "/\\{n}')),
}


def compiled(
    method: str = "GET",
    path: str = "/",
    headers: tuple[tuple[str, str], ...] = (),
    body: str | None = None,
    keys: dict[str, str] | None = None,
    form: bool = False,
) -> RequestTemplate:
    request = DeclaredRequest(
        method=method, path=path, headers=headers, body=body, keys=keys or {}, form=form
    )
    return compile_request(request, "host:80", TEXTS, Fills(1))


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


def test_fields_fill_themselves_wherever_they_stand() -> None:
    template = compiled(
        "POST",
        "/{unique}/{n}?r={random:5..7}",
        (("Idempotency-Key", "{unique}"), ("X-100%", "50%")),
        '{"u":"{unique}","n":{n},"r":[{random:-3..-1},{random:5..5}],"text":"{ n } {x} 7%"}',
    )
    assert template.fixed is None and not template.dated
    assert template.names == {"idempotency-key", "x-100%"}
    seen = set()
    drawn = set()
    for n in range(50):
        head, _, body = template.build(()).partition(b"\r\n\r\n")
        target = head.split(b" ")[1].decode()
        _, unique, number = target.partition("?")[0].split("/")
        sent = json.loads(body)
        assert f"Idempotency-Key: {unique}\r\nX-100%: 50%\r\n" in head.decode()
        assert f"Content-Length: {len(body)}" in head.decode()
        assert (sent["u"], sent["n"], sent["text"]) == (unique, n, "{ n } {x} 7%")
        assert int(number) == n and sent["r"][1] == 5
        seen.add(unique)
        drawn |= {int(target.partition("r=")[2]), sent["r"][0]}
    assert len(seen) == 50
    assert drawn == {5, 6, 7, -3, -2, -1}


def test_what_fills_itself_is_the_same_again_by_seed_and_new_in_every_segment() -> None:
    def sent(seed: int, *segments: int) -> list[bytes]:
        fills = Fills(seed)
        declared = DeclaredRequest(method="GET", path="/{unique}/{n}/{random:1..1000000}")
        template = compile_request(declared, "h", {}, fills)
        made = []
        for segment in segments:
            fills.begin_segment(segment)
            made += [template.build(()) for _ in range(20)]
        return made

    assert sent(1, 0, 1) == sent(1, 0, 1)
    assert not set(sent(1, 0)) & set(sent(2, 0))
    numbers = [request.split(b"/")[2] for request in sent(1, 0, 1)]
    assert numbers == [b"%d" % n for n in range(40)]
    assert len({request.split(b"/")[1] for request in sent(1, 0, 1)}) == 40


def test_several_processes_count_past_each_other() -> None:
    declared = DeclaredRequest(method="GET", path="/{unique}/{n}")
    made = []
    for process in range(3):
        fills = Fills(1)
        template = compile_request(declared, "h", {}, fills)
        fills.begin_segment(0, process)
        made += [template.build(()).split(b" ")[1] for _ in range(10)]
    assert len({each.split(b"/")[1] for each in made}) == 30
    assert sorted(int(each.split(b"/")[2]) for each in made) == [
        process * 1_000_000_000 + n for process in range(3) for n in range(10)
    ]


def test_the_time_is_filled_in_when_the_request_is_made() -> None:
    before = time.time()
    template = compiled(path="/{now}/{now:ms}/{now:iso}")
    seconds, millis, iso = template.build(()).split(b" ")[1].decode().split("/")[1:]
    after = time.time()
    assert template.dated
    assert int(before) <= int(seconds) <= after
    assert int(before * 1000) <= int(millis) <= after * 1000
    assert iso.endswith("Z") and len(iso) == 24
    assert before - 0.001 <= datetime.fromisoformat(iso).timestamp() <= after


def test_keys_in_a_form_and_in_headers_are_escaped_for_where_they_stand() -> None:
    template = compiled("POST", "/", body="a=x&k={k}", form=True, keys={"k": "odd"})
    assert parse_qs(template.build((3,)).rpartition(b"\r\n")[2].decode())["k"] == ['a "/\\3']
    header = compiled(headers=(("X-K", "is {k}"),), keys={"k": "broken"})
    assert b"X-K: is a%0D%0AEvil: 1\r\n" in header.build((1,))


def test_a_key_of_that_name_comes_before_what_fills_itself() -> None:
    template = compiled(path="/{n}", keys={"n": "codes"})
    assert template.build((7,)).startswith(b"GET /c7 ")


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
