"""What `loadpath check` prints."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from loadpath.errors import ExitCode
from loadpath.experiment.attribution import Call, LoadPath, Suspicion
from loadpath.experiment.probe import OperationProbe, ServiceProbe
from loadpath.experiment.tracing import TapCost
from loadpath.report.check import check_exit_code, check_json, render_check
from loadpath.report.schemas import schema_of


def probed(name: str = "GET /item", **fields: Any) -> OperationProbe:
    values = {"statuses": (200,), "first_s": 0.0123, "median_s": 0.0041, "problem": None, **fields}
    return OperationProbe(operation=name, **values)


def found(*operations: OperationProbe, **fields: Any) -> ServiceProbe:
    values: dict[str, Any] = {
        "service": "shop",
        "started_s": 0.84,
        "dependencies": {"database": "PostgreSQL 18.6 at 127.0.0.1:5432"},
        "operations": operations or (probed(),),
        "took_s": 6.2,
        "taps": TapCost(cpu_s=0.4, exchanges=52, added_s=0.000014, unread={}),
        "unexplained": {},
        "unused": None,
        "unused_advice": None,
        **fields,
    }
    if "paths" not in values:
        values["paths"] = tuple(path(each.operation) for each in values["operations"])
    return ServiceProbe(**values)


def path(operation: str, *calls: Call, suspicions: tuple[Suspicion, ...] = ()) -> LoadPath:
    return LoadPath(
        operation=operation,
        visits=5,
        response_time_s=0.004,
        inside_s=0.001,
        calls=calls,
        uses=(),
        suspicions=suspicions,
    )


def test_a_service_that_answers() -> None:
    assert render_check(found(probed(), probed("POST /order", statuses=(201, 409)))) == (
        "shop · ready in 0.8 s\n"
        "  database     PostgreSQL 18.6 at 127.0.0.1:5432\n"
        "\n"
        "  operation                                   status           first      then\n"
        "✓ GET /item                                   200              12 ms    4.1 ms\n"
        "✓ POST /order                                 201,409          12 ms    4.1 ms\n"
        "\n"
        "  52 exchanges were read on the wires by relays, which add 0.014 ms to each\n"
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
    probe = found(
        unused="the service never connected to cache: it was given 127.0.0.1:1",
        unused_advice="Most likely a .env file overrides CACHE_URL.",
    )
    text = render_check(probe)
    assert "\n✗ the service never connected to cache: it was given 127.0.0.1:1. Most" in text
    assert check_exit_code(probe) is ExitCode.USAGE


def test_a_load_path_stands_under_its_operation() -> None:
    call = Call(
        dependency="database",
        kind="postgres",
        verb="execute",
        shape="SELECT $1",
        calls=1.0,
        time_s=0.002,
        rows=1.0,
        after_reply=False,
    )
    suspicion = Suspicion(
        kind="repeated", dependency="database", shape="SELECT $1", said="twice", advice="Once."
    )
    text = render_check(found(paths=(path("GET /item", call, suspicions=(suspicion,)),)))
    assert (
        "4.1 ms\n  ├─ database     1 ×   2.0 ms  SELECT $1\n  │  ! repeated: twice. Once." in text
    )
    assert "! 1 thing looks suspicious, marked above" in text


def test_a_connection_that_could_not_be_read_is_said_with_the_reason() -> None:
    unread = {"database": {"it is encrypted": 3}}
    taps = TapCost(cpu_s=0.1, exchanges=0, added_s=None, unread=unread)
    text = render_check(found(taps=taps))
    assert "! database: 3 of its connections could be relayed but not read: it is" in text
    assert "nothing crossed the wires" in text


@pytest.mark.parametrize("width", [30, 40, 52, 80])
def test_no_line_is_wider_than_the_terminal_and_no_name_is_cut(width: int) -> None:
    name = "GET /" + "very-long-segment/" * 8
    every = tuple(range(500, 505))
    text = render_check(
        found(
            probed(name, statuses=every, problem="status 500: " + "word " * 100),
            probed("GET /" + "x" * 42),
            unused="never connected to " + "a-dependency-with-a-rather-long-name " * 4,
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
            unused=bad,
            unused_advice=bad,
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


def test_what_a_program_reads_is_as_its_schema_says() -> None:
    suspicion = Suspicion(
        kind="failing", dependency="cache", shape="GET *", said="fails", advice="Look."
    )
    seen = Call(
        dependency="cache",
        kind="valkey",
        verb="GET",
        shape="GET *",
        calls=1.0,
        time_s=0.0002,
        rows=None,
        after_reply=False,
    )
    document = json.loads(
        check_json(found(probed(), paths=(path("GET /item", seen, suspicions=(suspicion,)),)))
    )
    jsonschema.validate(document, schema_of("check"))
    document["check"]["paths"][0]["calls"][0]["calls"] = "one"
    with pytest.raises(jsonschema.ValidationError, match="one"):
        jsonschema.validate(document, schema_of("check"))
