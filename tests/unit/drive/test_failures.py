"""The first failure of each operation, in words that give no secret away."""

from __future__ import annotations

from loadpath.drive.failures import Failures, describe_raised, describe_reply, redacted_start
from loadpath.drive.operations import compile_workload
from loadpath.recording.schema import RequestError
from loadpath.spec import DeclaredRequest, OpenArrivals, Operation, Workload

OPERATIONS = compile_workload(
    Workload(
        arrivals=OpenArrivals(1.0),
        operations=tuple(
            Operation(name=name, request=DeclaredRequest(method="GET", path="/"))
            for name in ("a", "b", "c")
        ),
    ),
    "host",
).operations


def test_the_first_failure_of_each_operation_is_kept() -> None:
    failures = Failures(OPERATIONS)
    failures.add(1, RequestError.TIMEOUT, "no whole reply in 1 s")
    failures.add_status(1, 500, b"HTTP/1.1 500 Oh\r\n\r\nlater")
    failures.add_status(0, 404, b"HTTP/1.1 404 No\r\nA: b\r\n\r\n{}")
    assert failures.first() == {"a": "status 404: {}", "b": "timeout: no whole reply in 1 s"}
    assert failures.count == 3


def test_unfinished_gives_way_to_what_explains_more() -> None:
    failures = Failures(OPERATIONS)
    failures.add(0, RequestError.UNFINISHED, "over")
    failures.add(2, RequestError.UNFINISHED, "over")
    failures.add(0, RequestError.RESET, "connection reset by peer")
    assert failures.first() == {
        "a": "reset: connection reset by peer",
        "c": "unfinished: over",
    }
    assert (failures.count, failures.unfinished) == (3, 2)


def test_secrets_and_control_characters_of_a_reply_are_not_told() -> None:
    start = (
        b"HTTP/1.1 401 Unauthorized\r\nSet-Cookie: id=1\r\n\r\n"
        b'{"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.abc", "why":\x1b[31m"expired"}' + b"x" * 500
    )
    words = describe_reply(401, start)
    assert words.startswith("status 401: ")
    assert "expired" in words
    assert "eyJ" not in words and "\x1b" not in words
    assert len(words) <= 200
    assert len(redacted_start(start)) <= 200


def test_a_reply_without_a_body_shows_its_headers() -> None:
    words = describe_reply(502, b"HTTP/1.1 502 Bad Gateway\r\nServer: proxy\r\n\r\n")
    assert words == "status 502: Server: proxy"
    assert describe_reply(502, b"HTTP/1.1 502 Bad\r\n\r\n") == "status 502: HTTP/1.1 502 Bad"


def test_what_a_flow_raised_says_where() -> None:
    def broken() -> None:
        raise KeyError("id")

    try:
        broken()
    except KeyError as error:
        words = describe_raised(error)
    assert words.startswith("KeyError: 'id' (line ")
    assert words.endswith(" of broken)")
