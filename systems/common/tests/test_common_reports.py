"""What the service says of itself: logs, health, problems."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from systems_common.health import Check, examine
from systems_common.logs import configure, trace_of
from systems_common.problems import ProblemError


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("shop", "1.2", "info", stream=stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_opentelemetrys_names(stream: io.StringIO) -> None:
    trace = trace_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    logging.getLogger("a.b").warning("lost %d", 3, extra={"order": 7, **trace})
    logging.getLogger("a.b").debug("not shown")
    (line,) = lines(stream)
    assert line["timestamp"].endswith("Z")
    assert (line["severity_text"], line["severity_number"]) == ("WARNING", 13)
    assert (line["body"], line["scope"]) == ("lost 3", "a.b")
    assert line["resource"]["service.name"] == "shop"
    assert line["attributes"] == {"order": 7}
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["span_id"] == "b7ad6b7169203331"


def test_an_exception_is_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("multi\nline")
    except ValueError:
        logging.getLogger("a").exception("failed", extra={"odd": {1, 2}.__class__})
    (line,) = lines(stream)
    assert line["attributes"]["exception.type"] == "ValueError"
    assert line["attributes"]["exception.message"] == "multi\nline"
    assert "Traceback" in line["attributes"]["exception.stacktrace"]


@pytest.mark.parametrize("header", [None, "", "00-xyz-1-01", "a" * 500])
def test_a_bad_traceparent_is_no_trace(header: str | None) -> None:
    assert trace_of(header) == {}


def test_health_asks_all_at_once_and_gives_up_on_one_that_hangs() -> None:
    async def well() -> None:
        await asyncio.sleep(0)

    async def broken() -> None:
        raise ConnectionRefusedError("10.0.0.7 refused")

    async def hangs() -> None:
        await asyncio.sleep(60)

    found = asyncio.run(
        examine(
            {"a": Check(well), "b": Check(broken, needed=False), "c": Check(hangs, needed=False)},
            timeout_s=0.05,
        )
    )
    assert found.passes
    assert found.checks == {
        "a": "pass",
        "b": "ConnectionRefusedError",
        "c": "no answer within 0.05 s",
    }
    assert not asyncio.run(examine({"b": Check(broken)})).passes


def test_a_problem_is_its_document() -> None:
    problem = ProblemError(404, "about:blank", "Gone", "It is gone.", code="x")
    assert json.loads(problem.body()) == {
        "type": "about:blank",
        "title": "Gone",
        "detail": "It is gone.",
        "status": 404,
        "code": "x",
    }
