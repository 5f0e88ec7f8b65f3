"""Lines of access logs are read as servers write them; what cannot be read is told."""

from __future__ import annotations

import json

import pytest

from loadpath.caching.logs.formats import Batch, detect, fields_of, show
from loadpath.caching.logs.times import any_time_s, common_time_s

COMMON = b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326\n'
COMBINED = (
    b'2001:db8::1 - - [10/Oct/2000:20:55:37 +0000] "HEAD /a?b=c HTTP/1.1" 304 - '
    b'"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"\n'
)
AT_S = 971211336.0


def read(text: bytes, **fields: str) -> tuple[str, Batch]:
    found = detect(text, fields)
    assert found is not None
    name, reader = found
    return name, reader(text)


def test_the_common_log_format() -> None:
    name, batch = read(COMMON)
    assert name == "Common"
    assert batch.at_s.tolist() == [AT_S]
    assert batch.request == (b"GET /apache_pb.gif",)
    assert (batch.status.tolist(), batch.body_bytes.tolist()) == ([200], [2326])


def test_the_combined_log_format_and_what_servers_put_after_it() -> None:
    name, batch = read(COMBINED + COMBINED.rstrip() + b" 0.003 upstream=1\n")
    assert name == "Combined"
    assert batch.request == (b"HEAD /a?b=c",) * 2
    assert batch.at_s.tolist() == [AT_S + 1] * 2
    assert batch.body_bytes.tolist() == [0, 0]


def test_a_user_with_blanks_and_a_line_without_an_end() -> None:
    text = COMMON.replace(b"frank", b"frank n. stein").rstrip()
    assert read(text)[1].lines == 1
    assert read(text)[1].status.tolist() == [200]


def test_lines_that_cannot_be_read_are_told_by_their_place() -> None:
    tls = b'10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "\\x16\\x03\\x01" 400 150\n'
    late = COMMON.replace(b"10/Oct/2000", b"10/Okt/2000")
    _, batch = read(COMMON + tls + COMMON + late + COMMON)
    assert batch.lines == 5
    assert len(batch.request) == 3
    assert [(place, why.split(":")[0]) for place, why, _ in batch.bad] == [
        (1, "not in the Common or Combined Log Format"),
        (3, "its time cannot be read"),
    ]
    assert batch.bad[0][2].startswith("10.0.0.1")


@pytest.mark.parametrize(
    "row",
    [
        {"time": "2000-10-10T20:55:36Z", "method": "get", "path": "/a", "status": 200, "bytes": 5},
        {"ts": AT_S, "request": "GET /a HTTP/1.1", "status": "200", "body_bytes_sent": "5"},
        {"msec": f"{AT_S}", "request_method": "GET", "uri": "/a", "status": 200, "size": 5},
        {"timestamp": AT_S * 1000, "verb": "GET", "url": "http://h/a", "code": 200, "bytes": 5},
        {
            "ts": AT_S,
            "request": {"method": "GET", "uri": "/a", "headers": {}},
            "status": 200,
            "size": 5,
        },
        {
            "@timestamp": "2000-10-10T13:55:36-07:00",
            "http": {"request": {"method": "GET"}, "response": {"status_code": 200}},
            "url": {"original": "/a"},
            "http.response.body.bytes": 5,
        },
        {
            "time_local": "10/Oct/2000:13:55:36 -0700",
            "request": "GET /a HTTP/1.1",
            "status": 200,
            "bytes": 5,
        },
    ],
    ids=["plain", "request line", "nginx", "milliseconds", "caddy", "elastic", "time_local"],
)
def test_lines_of_json_with_their_usual_names(row: dict[str, object]) -> None:
    name, batch = read(json.dumps(row).encode() + b"\n")
    assert name == "JSON lines"
    assert batch.at_s.tolist() == [AT_S]
    assert batch.request == [b"GET /a"]
    assert (batch.status.tolist(), batch.body_bytes.tolist()) == ([200], [5])


def test_hosts_keep_keys_apart_and_other_names_are_taken_as_given() -> None:
    row = {"when": AT_S, "a": {"verb": "GET"}, "path": "/a", "host": "x.example", "status": 200}
    _, batch = read(json.dumps(row).encode(), time="when", method="a.verb")
    assert batch.request == [b"GET x.example/a"]
    assert detect(json.dumps(row).encode()) is None
    assert fields_of(json.dumps(row).encode()) == (
        ("when", "a.verb", "path", "host", "status"),
        ("time", "method"),
    )


def test_lines_of_json_that_cannot_be_read_say_why() -> None:
    good = b'{"time": 971211336, "method": "GET", "path": "/a", "status": 200, "bytes": "-"}\n'
    text = good + b'{"time": 97\n' + good.replace(b'"status"', b'"x"') + b"\n" + good * 2
    text += good.replace(b"971211336", b'"soon"')
    _, batch = read(text)
    assert batch.lines == 7
    assert len(batch.request) == 3
    assert [place for place, _, _ in batch.bad] == [1, 2, 6]
    assert "no JSON" in batch.bad[0][1]
    assert "status" in batch.bad[1][1]


@pytest.mark.parametrize("text", [b"", b"\n\n", b"hello\nworld\n", b"\x89PNG\r\n\x1a\n", b"{}\n"])
def test_what_is_no_access_log_is_not_taken_for_one(text: bytes) -> None:
    assert detect(text) is None


@pytest.mark.parametrize(
    ("value", "at_s"),
    [
        (AT_S, AT_S),
        (AT_S * 1e3, AT_S),
        (int(AT_S * 1e6), AT_S),
        (int(AT_S) * 10**9, AT_S),
        ("971211336.25", AT_S + 0.25),
        ("2000-10-10 20:55:36", AT_S),
        ("[10/Oct/2000:13:55:36 -0700]", AT_S),
    ],
)
def test_times_are_told_by_their_form_and_their_size(value: object, at_s: float) -> None:
    assert any_time_s(value) == at_s


@pytest.mark.parametrize("value", [None, True, "soon", 5, -1, [], "10/Oct/2000"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        any_time_s(value)
    with pytest.raises(ValueError, match=r"."):
        common_time_s("10/Oct/2000:13:55:36 -07000")


def test_a_line_is_shown_shortened() -> None:
    assert len(show(b"x" * 500)) == 120
    assert show(b"\xff a \n") == "\ufffd a"
