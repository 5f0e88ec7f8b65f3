"""Redirects: recorded, followed on the service when asked, and never off it."""

from __future__ import annotations

from typing import Any

import pytest

from loadpath.drive import OpenLoad
from loadpath.spec import KeySet, Operation

NONE, REDIRECT = 0, 9


def test_a_redirect_is_recorded_and_not_followed(service: Any, drive: Any, operation: Any) -> None:
    driven = drive(service.port, operation("/redirect/302?/ok"))
    assert set(driven.rows["status"].tolist()) == {302}
    assert len(driven.rows["status"]) == driven.result.arrivals


def test_a_reply_that_no_flow_reads_may_be_of_any_size(
    service: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        service.port,
        operation(f"/big/{17 * 1024 * 1024}", follow=1),
        operation("/status/500", name="broken", follow=1),
        load=OpenLoad(rate_per_s=40, process="constant"),
        drain_s=10,
        seed=2,
    )
    assert set(driven.rows["bytes"][driven.rows["operation"] == 0] > 17 * 1024 * 1024) == {True}
    assert list(driven.result.first_errors) == ["broken"]
    assert '{"password": "***", "detail": "as asked: 500"}' in driven.result.first_errors["broken"]


@pytest.mark.parametrize("cookies", [False, True])
def test_a_declared_operation_follows_when_asked_each_hop_a_step(
    service: Any, drive: Any, operation: Any, cookies: bool
) -> None:
    driven = drive(
        service.port,
        operation("/redirect/301?/redirect/307?/ok/{k}", keys={"k": "codes"}, follow=2),
        key_sets=(KeySet(name="codes", count=5),),
        cookies=cookies,
    )
    assert driven.result.first_errors == {}
    for flow in range(driven.result.arrivals):
        steps = driven.steps(flow)
        assert steps["status"] == [301, 307, 200]
        assert steps["step"] == [0, 1, 2] and steps["last"] == [False, False, True]
        assert steps["intended_s"][1:] == steps["done_s"][:-1]
        assert len(set(steps["key"])) == 1 and steps["key"][0] != 0


def test_a_flow_is_sent_the_last_reply_and_the_method_is_rewritten_as_http_says(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("flow")
def flow(state):
    for status, method in ((301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
        reply = yield post(f"/redirect/{status}?/echo/there", json=[1], follow=True)
        seen = reply.json()
        assert (seen["method"], seen["target"]) == (method, "/echo/there"), seen
        assert seen["body"] == ("[1]" if method == "POST" else ""), seen
        assert ("Content-Type" in seen["head"]) == (method == "POST"), seen
    reply = yield put("/redirect/302?../echo/x?y=1", body="z", follow=1)
    assert (reply.json()["method"], reply.json()["target"]) == ("PUT", "/echo/x?y=1"), reply.text
    reply = yield get("/redirect/302?/ok")
    assert reply.status == 302
""")
    driven = drive(service.port, Operation(name="flow"), flows=flows, drain_s=5)
    assert driven.result.first_errors == {}
    assert driven.steps(0)["status"] == [
        301,
        200,
        302,
        200,
        303,
        200,
        307,
        200,
        308,
        200,
        302,
        200,
        302,
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/moved", "redirected off the service, to http://192.0.2.1/elsewhere: it is recorded"),
        (
            "/redirect/302?http://localhost:1/?token=hunter2hunter2",
            "to http://localhost:1/?token=***",
        ),
        ("/redirect/302?https://127.0.0.1:{port}/", "redirected off the service, to https://127"),
        ("/redirect/302?//192.0.2.1/x", "redirected off the service, to http://192.0.2.1/x"),
        ("/redirect/302?http://[", "which is no address"),
        ("/redirect/302?/redirect/302?/redirect/302?/ok", "more than 2 redirects in a row"),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_redirect_that_may_not_be_followed_is_an_error_that_says_where_to(
    service: Any,
    drive: Any,
    operation: Any,
    write_flows: Any,
    path: str,
    words: str,
    declared: bool,
) -> None:
    path = path.replace("{port}", str(service.port))
    flows = write_flows(f"""
@operation("it")
def it(state):
    yield get("{path}", follow=2)
    yield get("/never/sent")
""")
    it = operation(path, follow=2) if declared else Operation(name="it")
    driven = drive(service.port, it, flows=flows)
    last = driven.rows["last"]
    assert set(driven.rows["error"][last].tolist()) == {REDIRECT}
    assert set(driven.rows["error"][~last].tolist()) <= {NONE}
    assert driven.result.first_errors["it"].startswith("redirect: ")
    assert words in driven.result.first_errors["it"]
    assert "hunter2" not in driven.result.first_errors["it"]


def test_behind_a_relay_that_speaks_tls_the_services_own_address_is_https(
    service: Any, drive: Any, operation: Any
) -> None:
    its_own = operation(f"/redirect/302?https://127.0.0.1:{service.port}/ok", follow=1)
    driven = drive(service.port, its_own, relayed_tls=True)
    assert driven.result.first_errors == {}
    assert driven.steps(0)["status"] == [302, 200]
