"""Who asks: logins, their headers on every request, renewal, cookies, and what is recorded."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment
from loadpath.drive.alone import Alone
from loadpath.drive.driver import Driver
from loadpath.errors import WouldNotRunError
from loadpath.recording.schema import REQUESTS
from loadpath.recording.tables import read_table
from loadpath.spec import KeySet, OpenArrivals, Operation, Workload

NONE, STATUS = 0, 1

LOGIN = """
@login
def sign_in(identity):
    reply = yield post("/login", json={"user": f"user-{identity.number}"})
    identity.name = f"user-{identity.number}"
    return {"Authorization": "Bearer " + reply.json()["token"]}
"""

WHO = """
@operation("flow")
def flow(state):
    reply = yield get("/whoami")
    assert reply.json()["user"] == state.identity.name, reply.text
    yield get("/echo/" + state.key("codes"))
"""

CODES = KeySet(name="codes", count=50, pattern="key{n:03d}")
TEN = KeySet(name="identities", count=10)
ALIKE = OpenLoad(rate_per_s=400, process="constant")


def get(service: Any, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}{path}") as reply:
        return json.load(reply)


@pytest.fixture(autouse=True)
def nobody_is_logged_in(service: Any) -> None:
    get(service, "/expire")


def driver_of(service: Any, *operations: Operation, **other: Any) -> Driver:
    workload = Workload(arrivals=OpenArrivals(1.0), operations=operations, **other)
    return Driver(EnginePlan(host="127.0.0.1", port=service.port, workload=workload), {})


def segment(index: int = 0, **other: Any) -> Segment:
    known = {"load": ALIKE, "duration_s": 0.1, "requests_path": Path("unused"), "purpose": "test"}
    return Segment(index=index, **{**known, **other})


def test_each_identity_logs_in_once_and_all_its_requests_say_who_it_is(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    driven = drive(
        service.port,
        Operation(name="flow"),
        operation("/whoami", name="declared"),
        operation("/whoami", name="other", headers=(("authorization", "Bearer not me"),)),
        flows=write_flows(LOGIN + WHO),
        identities=TEN,
        key_sets=(CODES,),
        load=ALIKE,
        salt=b"one",
    )
    logins = get(service, "/expire")["logins"]
    assert sorted(logins) == [f"user-{n}" for n in range(10)]
    rows = driven.rows
    assert list(driven.result.first_errors) == ["other"]
    errors = rows["error"]
    assert set(errors[rows["operation"] == 2].tolist()) == {STATUS}
    assert set(errors[rows["operation"] != 2].tolist()) == {NONE}
    assert driven.result.arrivals == 40 < len(errors)  # and no row is a login
    assert 0 not in rows["identity"]
    assert 5 <= len(set(rows["identity"].tolist())) <= 10
    for flow in set(rows["flow"].tolist()):
        assert len(set(driven.steps(flow)["identity"])) == 1
    # The key is recorded apart from who asked for it.
    assert (rows["key"][rows["operation"] == 1] == 0).all()
    second_steps = (rows["operation"] == 0) & (rows["step"] == 1)
    assert (rows["key"][second_steps] != 0).all()


def test_who_asks_is_drawn_by_seed_and_recorded_as_a_salted_digest(
    service: Any, drive: Any, operation: Any
) -> None:
    def identities(**other: Any) -> list[int]:
        driven = drive(
            service.port,
            operation("/ok/{k}", keys={"k": "codes"}),
            key_sets=(CODES,),
            identities=KeySet(name="identities", count=1000, distribution="zipf"),
            load=OpenLoad(rate_per_s=3000, process="constant"),
            **other,
        )
        order = np.argsort(driven.rows["flow"])
        return driven.rows["identity"][order].tolist()

    first = identities(seed=5, salt=b"one")
    assert identities(seed=5, salt=b"one") == first
    assert identities(seed=6, salt=b"one") != first
    assert set(identities(seed=5, salt=b"two")).isdisjoint(first)
    often = max(first.count(each) for each in set(first))
    assert often > 300 / 20  # the most active of 1,000 by Zipf 1.0 does 13 % of all


def test_a_login_that_fails_names_the_identity_and_the_reply(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    flows = write_flows(LOGIN.replace('"/login"', '"/login/user-7"'))
    with pytest.raises(WouldNotRunError) as caught:
        drive(service.port, operation("/ok"), flows=flows, identities=TEN)
    assert caught.value.message.startswith("identity 7 could not log in: status 403: ")
    assert "user-7 is locked" in caught.value.message
    flows = write_flows(LOGIN.replace('["token"]', '["tocken"]'))
    with pytest.raises(WouldNotRunError, match=r"could not log in: KeyError: 'tocken' \(line 7"):
        drive(service.port, operation("/ok"), flows=flows, identities=TEN)
    flows = write_flows(LOGIN.replace('return {"Authorization":', "return [").replace("}\n", "]\n"))
    assert "return [" in flows.read_text()


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ('"Bearer x"', "a login returns None or headers"),
        ('{"Host": "x"}', "cannot give the header Host"),
        ('{"A": "b\\r\\nC: d"}', "has a line break"),
    ],
)
def test_a_login_that_returns_no_headers_is_refused(
    service: Any, drive: Any, operation: Any, write_flows: Any, returned: str, words: str
) -> None:
    flows = write_flows(f"@login\ndef it(identity):\n    yield get('/ok')\n    return {returned}\n")
    with pytest.raises(WouldNotRunError, match=f"identity . could not log in.*{words}"):
        drive(service.port, operation("/ok"), flows=flows, identities=TEN)


@pytest.mark.parametrize("declared", [True, False])
def test_an_expired_identity_logs_in_again_and_repeats_its_request(
    service: Any, operation: Any, write_flows: Any, monkeypatch: Any, declared: bool
) -> None:
    monkeypatch.setattr("loadpath.drive.flows.RENEW_AFTER_S", 0.0)
    it = operation("/whoami", name="flow") if declared else Operation(name="flow")
    one = KeySet(name="identities", count=1)
    driver = driver_of(
        service, it, flows=write_flows(LOGIN + WHO), identities=one, key_sets=(CODES,)
    )
    try:
        driver.log_in(lambda done, total: None)
        get(service, "/expire")
        closed = ClosedLoad(users=1, think_time_s=0.02)
        result, rows = driver.run_segment(segment(load=closed), lambda report: None)
        assert get(service, "/expire")["logins"] == ["user-0"]
        probed = Alone(driver).probe("flow", 2)
    finally:
        driver.close()
    assert result.first_errors == {} and result.errors == 0
    first = np.flatnonzero(rows["flow"] == rows["flow"].min())
    first = first[np.argsort(rows["step"][first])]
    assert rows["status"][first].tolist() == [401, 200, 200] + [200] * (not declared)
    assert rows["last"][first].tolist()[-1] and not rows["last"][first][:-1].any()
    assert rows["intended_s"][first][1:].tolist() == rows["done_s"][first][:-1].tolist()
    assert (rows["status"] == 401).sum() == 1
    assert [(each.status, each.error) for each in probed] == [(200, None)] * 2


def test_a_service_that_rejects_everybody_gets_no_second_load_of_logins(
    service: Any, operation: Any, write_flows: Any
) -> None:
    driver = driver_of(service, operation("/whoami"), flows=write_flows(LOGIN), identities=TEN)
    try:
        driver.log_in(lambda done, total: None)
        token = driver.sessions.of_number(0).secrets()[1]
        assert token.startswith("token-")
        get(service, "/expire")
        result, rows = driver.run_segment(segment(), lambda report: None)
    finally:
        driver.close()
    assert get(service, "/expire")["logins"] == []
    assert result.errors == result.arrivals == 40
    assert set(rows["error"].tolist()) == {STATUS}
    # The service tells the token in its reply; nobody else does.
    assert "who are you?" in result.first_errors["it"]
    assert "token-" not in result.first_errors["it"]


def test_a_check_asks_as_the_identity_that_was_told(service: Any, write_flows: Any) -> None:
    flows = write_flows(
        LOGIN
        + """
@operation("make")
def make(state):
    yield get("/whoami")
    state.acknowledge("thing", name=state.identity.name)

@still_holds("thing")
def holds(thing):
    reply = yield get("/whoami")
    return reply.json()["user"] == thing.name
"""
    )
    driver = driver_of(service, Operation(name="make"), flows=flows, identities=TEN)
    try:
        driver.log_in(lambda done, total: None)
        driver.run_segment(segment(), lambda report: None)
        holds = Alone(driver).check_holds(100, 30)
    finally:
        driver.close()
    assert holds.kinds["thing"].held == holds.kinds["thing"].checked == 40


def test_a_flow_that_asks_who_it_is_where_nobody_is_anybody_says_what_to_write(
    service: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("flow")
def flow(state):
    yield get(f"/users/{state.identity.number}")
""")
    driven = drive(service.port, Operation(name="flow"), flows=flows)
    assert "say `identities = 100` under [workload]" in driven.result.first_errors["flow"]


def test_cookies_are_kept_for_each_identity_and_sent_again(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    flows = write_flows("""
seen = {}

@operation("flow")
def flow(state):
    reply = yield get("/count")
    visits, cookies = reply.json()["visits"], reply.json()["cookies"]
    assert "other" not in cookies
    who = state.identity.number
    assert visits == seen.get(who, 0) + 1, (visits, seen)
    seen[who] = visits
""")
    driven = drive(
        service.port,
        Operation(name="flow"),
        flows=flows,
        cookies=True,
        identities=KeySet(name="identities", count=3),
        load=ClosedLoad(users=1, think_time_s=0.001),
        duration_s=1.0,
    )
    assert driven.result.first_errors == {}
    assert driven.result.arrivals > 6  # so that one of the three came back


def test_without_identities_cookies_last_for_one_flow_and_only_when_asked(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("flow")
def flow(state):
    for visits in (1, 2, 3):
        reply = yield get("/count")
        assert reply.json()["visits"] == visits, reply.text
""")
    asked = drive(service.port, Operation(name="flow"), flows=flows, cookies=True)
    assert asked.result.first_errors == {}
    assert len(asked.rows["flow"]) == 3 * asked.result.arrivals
    assert set(asked.rows["identity"].tolist()) == {0}
    not_asked = drive(service.port, Operation(name="flow"), flows=flows)
    assert not_asked.result.errors == not_asked.result.arrivals


def test_a_login_may_be_by_cookie_alone(
    service: Any, drive: Any, operation: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@login
def sign_in(identity):
    yield get("/count")

@operation("flow")
def flow(state):
    reply = yield get("/echo")
    assert "Cookie: visits=1\\r\\n" in reply.json()["head"], reply.text
""")
    driven = drive(service.port, Operation(name="flow"), flows=flows, cookies=True, identities=TEN)
    assert driven.result.first_errors == {}


def engine_with(service: Any, flows: Path, told: list[tuple[int, int]], processes: int = 1) -> None:
    """An engine process that begins with ten identities and drives a segment as them."""

    async def main() -> None:
        workload = Workload(
            arrivals=OpenArrivals(1.0),
            operations=(Operation(name="flow"),),
            flows=flows,
            identities=TEN,
            key_sets=(CODES,),
        )
        plan = EnginePlan(
            host="127.0.0.1", port=service.port, workload=workload, processes=processes
        )
        async with (
            asyncio.timeout(30),
            Guard() as guard,
            Engine(
                plan, spawn=guard.spawn, on_logins=lambda *so_far: told.append(so_far)
            ) as engine,
        ):
            result = await engine.run(segment(requests_path=flows.parent / "rows.parquet"))
            assert result.errors == 0
        rows = read_table(flows.parent / "rows.parquet", REQUESTS)
        assert (rows["identity"] != 0).all()

    asyncio.run(main())


def test_an_engine_logs_in_as_it_begins_and_tells(service: Any, write_flows: Any) -> None:
    told: list[tuple[int, int]] = []
    engine_with(service, write_flows(LOGIN + WHO), told)
    assert told[-1] == (10, 10)
    assert told == sorted(told)


def test_each_of_several_engine_processes_logs_in(service: Any, write_flows: Any) -> None:
    engine_with(service, write_flows(LOGIN + WHO), [], processes=2)
    logins = get(service, "/expire")["logins"]
    assert sorted(logins) == sorted([f"user-{n}" for n in range(10)] * 2)


def test_an_engine_does_not_begin_when_a_login_fails(service: Any, write_flows: Any) -> None:
    flows = write_flows(LOGIN.replace('"/login"', '"/login/user-3"') + WHO)
    with pytest.raises(WouldNotRunError, match="identity 3 could not log in: status 403"):
        engine_with(service, flows, [])
