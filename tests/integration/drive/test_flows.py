"""Generator flows: steps, shared state, what they raise, what they acknowledge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.drive import ClosedLoad, EnginePlan, OpenLoad, Segment
from loadpath.drive.alone import Alone
from loadpath.drive.driver import Driver
from loadpath.errors import ConfigurationError
from loadpath.spec import KeySet, OpenArrivals, Operation, Workload

NONE, STATUS, TIMEOUT, CONNECT, RESET, PROTOCOL, UNFINISHED, FLOW = range(8)


def test_a_flow_is_sent_each_reply_and_its_steps_follow_one_another(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("visit")
def visit(state):
    reply = yield post("/echo", json={"code": state.unique("c")}, headers={"X-Who": "me"})
    sent = reply.json()
    assert sent["method"] == "POST" and "X-Who: me" in sent["head"]
    assert reply.header("Content-Type") == "application/json"
    again = yield get("/echo/" + sent["body"][9:-2], params={"q": "ü &"})
    assert again.json()["target"].endswith("?q=%C3%BC+%26")
    yield head("/headonly")
""")
    driven = drive(service.port, Operation(name="visit"), flows=flows)
    rows = driven.rows
    assert driven.result.first_errors == {}
    assert driven.result.arrivals == 30
    assert len(rows["flow"]) == driven.result.done == 90
    for flow in range(30):
        steps = driven.steps(flow)
        assert steps["step"] == [0, 1, 2]
        assert steps["last"] == [False, False, True]
        assert steps["intended_s"][1:] == steps["done_s"][:-1]


def test_flows_share_what_was_acknowledged_and_it_can_be_checked_afterwards(
    service: Any, write_flows: Any, operation: Any
) -> None:
    flows = write_flows("""
made = []

@operation("make")
def make(state):
    token = state.unique()
    reply = yield post("/echo", json={"token": token})
    if reply.ok:
        made.append(token)
        state.acknowledge("thing", token=token, number=len(made))
        state.acknowledge("unwatched")

@operation("read")
def read(state):
    thing = state.any_acknowledged("thing")
    if thing is None:
        return
    reply = yield get(f"/echo/{thing.token}")
    assert reply.json()["target"] == f"/echo/{thing.token}" and thing.token in made

@still_holds("thing")
def holds(thing):
    reply = yield get("/echo/" + ("gone" if thing.number == 3 else thing.token))
    return reply.json()["target"] == f"/echo/{thing.token}"
""")
    workload = Workload(
        arrivals=OpenArrivals(1.0),
        operations=(Operation(name="make"), Operation(name="read")),
        flows=flows,
    )
    driver = Driver(EnginePlan(host="127.0.0.1", port=service.port, workload=workload), {})
    try:
        result, rows = driver.run_segment(make_segment(400), lambda report: None)
        holds = Alone(driver).check_holds(1000, 30)
        some = Alone(driver).check_holds(5, 30)
    finally:
        driver.close()
    assert result.first_errors == {}
    made = (rows["operation"] == 0).sum()
    counts = holds.kinds["thing"]
    assert counts.acknowledged == counts.checked == made
    assert (counts.held, counts.broken, counts.unknown) == (made - 1, 1, 0)
    assert not holds.all_held
    assert "number=3" in holds.first_broken["thing"].replace("'number': ", "number=")
    assert holds.unchecked_kinds == ("unwatched",)
    assert some.kinds["thing"].checked == 5


def make_segment(rate_per_s: float) -> Segment:
    return Segment(
        index=3,
        purpose="test",
        load=OpenLoad(rate_per_s=rate_per_s, process="constant"),
        duration_s=0.2,
        requests_path=Path("unused"),
    )


def test_a_flow_that_raises_fails_its_request_and_says_where(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("late")
def late(state):
    reply = yield get("/ok")
    raise ValueError("not what I wanted")

@operation("deep")
def deep(state):
    reply = yield get("/ok")
    reply.json()

@operation("early")
def early(state):
    state.key("nothing")
    yield get("/ok")

@operation("wrong")
def wrong(state):
    yield "/ok"

@operation("elsewhere")
def elsewhere(state):
    yield get("http://192.0.2.1/")

@operation("fine")
def fine(state):
    yield get("/ok")
""")
    names = ("late", "deep", "early", "wrong", "elsewhere", "fine")
    driven = drive(service.port, *(Operation(name=n) for n in names), flows=flows)
    rows = driven.rows
    assert driven.result.arrivals == len(rows["flow"]) == 30
    fine = rows["operation"] == names.index("fine")
    assert set(rows["error"][fine].tolist()) == {NONE}
    assert set(rows["error"][~fine].tolist()) == {FLOW}
    never_sent = np.isin(rows["operation"], [2, 3, 4])
    assert np.isnan(rows["sent_s"][never_sent]).all()
    first = driven.result.first_errors
    assert first["late"] == "flow: ValueError: not what I wanted (line 6 of late)"
    assert first["deep"].endswith("(line 11 of deep)")
    assert "no key set is called 'nothing'" in first["early"]
    assert "a flow yields requests" in first["wrong"]
    assert "a path begins with `/`" in first["elsewhere"]


def test_a_flow_that_makes_no_request_is_counted_and_does_not_spin(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("nothing")
def nothing(state):
    if state.any_acknowledged("never"):
        yield get("/ok")
""")
    driven = drive(
        service.port,
        Operation(name="nothing"),
        flows=flows,
        load=ClosedLoad(users=1, think_time_s=0),
    )
    assert len(driven.rows["flow"]) == 0
    assert 0 < driven.result.skipped <= 101
    assert driven.result.skipped == driven.result.arrivals


def test_expected_statuses_are_no_errors_in_flows(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("it")
def it(state):
    reply = yield get("/status/404", expect=(404,))
    assert reply.status == 404 and not reply.ok
    yield get("/status/409")
    yield get("/status/410")
""")
    driven = drive(service.port, Operation(name="it", expect=(410,)), flows=flows)
    errors = {
        step: set(driven.rows["error"][driven.rows["step"] == step].tolist()) for step in range(3)
    }
    assert errors == {0: {NONE}, 1: {STATUS}, 2: {NONE}}


def test_a_flow_goes_on_when_its_connection_does_not(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("it")
def it(state):
    for path in ("/close", "/toclose", "/chunked/9", "/close", "/split"):
        reply = yield get(path)
        assert reply.text in ("ok", "up to the end", "hello, chunked!"), reply.text
""")
    driven = drive(service.port, Operation(name="it"), flows=flows, connections_max=4, drain_s=5)
    assert driven.result.first_errors == {}
    assert len(driven.rows["flow"]) == 150
    assert len(set(driven.rows["connection"].tolist())) > 30


def test_a_flow_ends_with_the_request_that_has_no_reply(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
ended = []

@operation("it")
def it(state):
    try:
        yield get("/ok")
        yield get("/half")
        yield get("/ok")
    finally:
        state.acknowledge("end")
""")
    driven = drive(service.port, Operation(name="it"), flows=flows)
    rows = driven.rows
    assert len(rows["flow"]) == 60
    assert set(rows["error"][rows["step"] == 0].tolist()) == {NONE}
    assert set(rows["error"][rows["step"] == 1].tolist()) == {RESET}
    assert rows["last"].tolist() == (rows["step"] == 1).tolist()


def test_flows_draw_the_same_again_by_seed_and_keys_are_digests(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("draw")
def draw(state):
    drawn = (state.key("codes"), state.rng.randrange(10**9), state.unique("u"))
    yield post("/echo", json=drawn)
    yield get("/echo/%s-%d-%s" % (state.key("codes"), state.rng.randint(0, 99), state.unique()))
""")
    codes = KeySet(name="codes", count=50, pattern="key{n:03d}")
    asked = []
    for seed in (5, 5, 6):
        before = len(service.seen()["requests"])
        driven = drive(
            service.port,
            Operation(name="draw"),
            flows=flows,
            key_sets=(codes,),
            seed=seed,
            salt=b"one",
        )
        assert driven.result.first_errors == {}
        lines = service.seen()["requests"][before:]
        asked.append(sorted(line for line in lines if line.startswith("GET /echo/")))
    assert len(asked[0]) == len(set(asked[0])) == 30
    assert asked[0] == asked[1] != asked[2]
    declared = drive(
        service.port,
        operation("/ok/{code}", keys={"code": "codes"}),
        key_sets=(codes,),
        salt=b"one",
        load=OpenLoad(rate_per_s=10_000),
    )
    assert set(driven.rows["key"].tolist()) < set(declared.rows["key"].tolist())
    assert 0 not in driven.rows["key"]


def test_a_body_too_large_for_a_flow_is_an_error_and_not_kept(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("it")
def it(state):
    yield get(f"/big/{17 * 1024 * 1024}")
""")
    driven = drive(
        service.port,
        Operation(name="it"),
        flows=flows,
        load=OpenLoad(rate_per_s=20, process="constant"),
        drain_s=10,
    )
    assert driven.rows["error"].tolist() == [PROTOCOL, PROTOCOL]
    assert "a body of more than 16777216 bytes" in driven.result.first_errors["it"]


def test_a_workload_without_the_flow_of_an_operation_is_refused(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows('@operation("one")\ndef one(state):\n    yield get("/ok")\n')
    with pytest.raises(ConfigurationError, match=r"`two` has no request, and no flow"):
        drive(service.port, Operation(name="two"), flows=flows)


def test_probes_run_an_operation_alone(service: Any, write_flows: Any, operation: Any) -> None:
    flows = write_flows("""
@operation("flow")
def flow(state):
    first = yield get("/status/404", expect=(404,))
    second = yield get("/echo/" + state.unique())
""")
    operations = (
        Operation(name="flow"),
        operation("/ok/{k}", name="keyed", keys={"k": "codes"}),
        operation("/status/500", name="broken"),
        operation("/garbage", name="garbage"),
        operation("/hang", name="hangs", timeout_s=0.05),
        operation("/stale", name="stale"),
    )
    workload = Workload(
        arrivals=OpenArrivals(1.0),
        operations=operations,
        flows=flows,
        key_sets=(KeySet(name="codes", count=9),),
    )
    driver = Driver(EnginePlan(host="127.0.0.1", port=service.port, workload=workload), {})
    alone = Alone(driver)
    try:
        replies = {each.name: alone.probe(each.name, 3) for each in operations}
    finally:
        driver.close()
    assert [len(each) for each in replies.values()] == [3] * 6
    for name in ("flow", "keyed", "stale"):
        assert [(each.status, each.error) for each in replies[name]] == [(200, None)] * 3
    assert all(0 < each.response_time_s < 5 for each in replies["flow"])
    assert replies["broken"][0].status == 500
    assert replies["broken"][0].error.startswith("status 500:")
    assert "hunter2" not in replies["broken"][0].start
    assert replies["garbage"][0].error.startswith("protocol:")
    assert replies["hangs"][0].error == "timeout: no whole reply in 0.05 s"
