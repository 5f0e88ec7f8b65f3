"""What `loadpath check` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadpath.errors import ExitCode
from loadpath.experiment.probe import OperationProbe, ServiceProbe
from loadpath.report.check import check_exit_code, check_json, render_check


def probed(name: str = "GET /item", **fields: Any) -> OperationProbe:
    values = {"statuses": (200,), "first_s": 0.0123, "median_s": 0.0041, "problem": None, **fields}
    return OperationProbe(operation=name, **values)


def found(*operations: OperationProbe, **fields: Any) -> ServiceProbe:
    values: dict[str, Any] = {
        "service": "shop",
        "started_s": 0.84,
        "dependencies": {"database": "PostgreSQL 18.6 at 127.0.0.1:5432"},
        "operations": operations or (probed(),),
        "unused": (),
        **fields,
    }
    return ServiceProbe(**values)


def test_a_service_that_answers() -> None:
    assert render_check(found(probed(), probed("POST /order", statuses=(201, 409)))) == (
        "shop · ready in 0.8 s\n"
        "  database     PostgreSQL 18.6 at 127.0.0.1:5432\n"
        "\n"
        "  operation                                   status           first      then\n"
        "✓ GET /item                                   200              12 ms    4.1 ms\n"
        "✓ POST /order                                 201,409          12 ms    4.1 ms\n"
        "\n"
        "✓ every operation answers (2 of them)\n"
    )


def test_one_that_fails_is_marked_and_says_why() -> None:
    failing = probed("GET /broken", statuses=(500, 0), problem="status 500: no such table: links")
    text = render_check(found(probed(), failing))
    assert "✗ GET /broken                                 500,none " in text
    assert "\n      answered 500: no such table: links\n" in text
    assert text.endswith("✗ failing: 1 of 2 operations had a reply that is an error\n")


def test_what_can_be_done_is_said_once() -> None:
    broken = {"statuses": (404,), "problem": "status 404: {\n   }", "advice": "Say `seed`."}
    text = render_check(found(probed("GET /a", **broken), probed("GET /b", **broken)))
    assert text.count("\n      answered 404: { }\n") == 2
    assert text.count("\n      → Say `seed`.\n") == 1


def test_a_page_is_quoted_as_text_and_what_the_service_printed_stands_below() -> None:
    page = "status 500: <!DOCTYPE html>\n<html lang=en>\n<h1>Server Error</h1>"
    text = render_check(
        found(probed(problem=page, statuses=(500,)), last_lines=("Traceback", "\x1b[2JKeyError"))
    )
    assert "\n      answered 500: Server Error\n" in text
    assert "\n  The last lines that the service printed:\n      Traceback\n" in text
    assert "\x1b" not in text


def test_a_dependency_that_nobody_opened_a_connection_to_is_named() -> None:
    text = render_check(found(unused=("cache",)))
    assert "\n! cache: the service opened no connection to it." in text
    assert "environment variables" in text


@pytest.mark.parametrize("width", [30, 40, 52, 80])
def test_no_line_is_wider_than_the_terminal_and_no_name_is_cut(width: int) -> None:
    name = "GET /" + "very-long-segment/" * 8
    every = tuple(range(500, 505))
    text = render_check(
        found(
            probed(name, statuses=every, problem="status 500: " + "word " * 100),
            probed("GET /" + "x" * 42),
            unused=("a-dependency-with-a-rather-long-name",),
            dependencies={"d" * 40: "PostgreSQL 18.6 at " + "h" * 60},
        ),
        width=width,
    )
    assert max(map(len, text.splitlines())) <= width
    assert name.replace(" ", "") in "".join(text.split())


def test_nothing_from_outside_steers_the_terminal() -> None:
    bad = "x\x1b[2J\ny"
    text = render_check(
        found(
            probed(bad, problem=bad),
            service=bad,
            unused=(bad,),
            dependencies={bad: f"Valkey {bad}"},
        )
    )
    assert "\x1b" not in text
    assert not any(line.startswith("y") for line in text.splitlines())


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([probed()], ExitCode.OBJECTIVES_MET),
        ([probed(), probed(problem="status 500")], ExitCode.OBJECTIVE_MISSED),
    ],
)
def test_the_json_says_the_same(operations: list[OperationProbe], code: ExitCode) -> None:
    probe = found(*operations)
    assert check_exit_code(probe) is code
    document = json.loads(check_json(probe))
    assert document["exit_code"] == code
    assert [o["operation"] for o in document["check"]["operations"]] == [
        o.operation for o in operations
    ]
