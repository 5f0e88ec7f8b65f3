"""How replies of every kind, well-formed or not, end up in the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadpath.drive import OpenLoad

NONE, STATUS, TIMEOUT, CONNECT, RESET, PROTOCOL, UNFINISHED, FLOW = range(8)


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [
        ("/ok", 200, 40),
        ("/split/1", 200, 40),
        ("/chunked/1", 200, 96),
        ("/chunked/13", 200, 96),
        ("/close", 200, 59),
        ("/interim", 200, 25 + 40 + 40),
        ("/toclose", 200, 32),
        ("/empty", 204, 27),
        ("/unchanged", 304, 49),
        ("/moved", 302, 79),
        ("/big/300000", 200, 300_043),
    ],
)
def test_a_reply_that_http_allows_is_recorded_whole(
    service: Any, drive: Any, operation: Any, path: str, status: int, size: int
) -> None:
    driven = drive(service.port, operation(path))
    rows = driven.rows
    assert len(rows["flow"]) == 30
    assert set(rows["error"].tolist()) == {NONE}
    assert set(rows["status"].tolist()) == {status}
    assert set(rows["bytes"].tolist()) == {size}
    assert (rows["intended_s"] <= rows["sent_s"]).all()
    assert (rows["sent_s"] <= rows["first_byte_s"]).all()
    assert (rows["first_byte_s"] <= rows["done_s"]).all()
    assert driven.result.done == driven.result.arrivals == 30
    assert driven.result.first_errors == {}


def test_the_reply_to_head_has_no_body_whatever_its_head_says(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(service.port, operation("/headonly", method="HEAD"))
    assert set(driven.rows["error"].tolist()) == {NONE}
    assert driven.result.done == 30


@pytest.mark.parametrize(
    ("path", "error", "status", "words"),
    [
        ("/reset", RESET, 0, "reset: connection reset by peer"),
        ("/half", RESET, 200, "reset: the connection was closed within the reply"),
        ("/garbage", PROTOCOL, 0, "protocol: expected a status line of HTTP/1.1, got b'SSH-2.0"),
        ("/endless", PROTOCOL, 0, "protocol: a head of more than 65536 bytes"),
        ("/toolong", PROTOCOL, 200, "protocol: 10 bytes more than the reply should have"),
        ("/lengths", PROTOCOL, 0, "protocol: two different lengths"),
        ("/hang", TIMEOUT, 0, "timeout: no whole reply in 0.1 s"),
    ],
)
def test_a_reply_that_never_comes_whole_is_recorded_as_what_went_wrong(
    service: Any, drive: Any, operation: Any, path: str, error: int, status: int, words: str
) -> None:
    timeout_s = 0.1 if path == "/hang" else 10.0
    driven = drive(service.port, operation(path, timeout_s=timeout_s))
    rows = driven.rows
    assert set(rows["error"].tolist()) == {error}
    assert set(rows["status"].tolist()) == {status}
    assert np.isnan(rows["done_s"]).all()
    assert len(rows["flow"]) == driven.result.arrivals == driven.result.errors == 30
    assert driven.result.first_errors["it"].startswith(words)


def test_bad_replies_do_not_keep_the_engine_from_good_ones(
    service: Any, drive: Any, operation: Any
) -> None:
    bad = [operation(f"/{p}", name=p) for p in ("garbage", "half", "reset", "toolong", "close")]
    driven = drive(
        service.port,
        *bad,
        operation("/ok", name="ok"),
        load=OpenLoad(rate_per_s=500),
        duration_s=0.5,
    )
    good = driven.rows["operation"] == len(bad)
    assert good.sum() > 10
    assert (driven.rows["error"][good] == NONE).all()
    # Those behind one that never ends would wait for the drain, a second after the last.
    assert (driven.rows["done_s"][good] - driven.rows["intended_s"][good]).max() < 1.0


def test_a_status_of_400_and_above_is_an_error_unless_it_is_expected(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation("/status/503", name="down"),
        operation("/status/404", name="missing", expect=(404,)),
    )
    down = driven.rows["operation"] == 0
    assert set(driven.rows["error"][down].tolist()) == {STATUS}
    assert set(driven.rows["error"][~down].tolist()) == {NONE}
    assert not np.isnan(driven.rows["done_s"]).any()
    assert driven.result.errors == down.sum()


def test_the_first_error_is_told_without_its_secrets(
    service: Any, drive: Any, operation: Any
) -> None:
    told = drive(service.port, operation("/status/500")).result.first_errors["it"]
    assert told.startswith("status 500:")
    assert "as asked: 500" in told
    assert "hunter2" not in told
    assert len(told) <= 200


def test_a_redirect_is_recorded_and_not_followed(service: Any, drive: Any, operation: Any) -> None:
    before = len(service.seen()["requests"])
    driven = drive(service.port, operation("/moved"))
    asked = service.seen()["requests"][before:]
    assert asked.count("GET /moved") == len(driven.rows["flow"])
    assert not [line for line in asked if "elsewhere" in line]
