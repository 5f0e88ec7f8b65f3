"""WebSocket flows against a real WebSocket service, and one that breaks the protocol."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import ClosedLoad, Engine, EnginePlan, OpenLoad, Segment
from loadpath.drive.alone import Alone
from loadpath.drive.driver import Driver
from loadpath.recording.schema import REQUESTS, RequestError
from loadpath.recording.tables import read_table
from loadpath.spec import KeySet, OpenArrivals, Operation, Tls, Workload

SERVER = Path(__file__).parent / "services" / "websockets_server.py"
LOCALHOST = Path(__file__).parents[1] / "certificates" / "localhost.pem"
BRISK = OpenLoad(rate_per_s=100, process="constant")
FEW = OpenLoad(rate_per_s=50, process="constant")


def served(*arguments: str) -> Iterator[tuple[int, int]]:
    process = subprocess.Popen(
        [sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    good, bad = map(int, process.stdout.readline().split())
    yield good, bad
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Of a service that speaks WebSocket well, and of one that does not."""
    yield from served()


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[int, int]]:
    yield from served(str(LOCALHOST))


TALK = """
@operation("it")
def talk(state):
    socket = yield connect("/echo")
    assert socket.ok and socket.status == 101
    yield send(socket, json={"n": 1})
    message = yield expect(socket)
    assert message.json() == {"n": 1} and not message.binary
    yield send(socket, b"\\0\\xff" * 100_000)
    message = yield expect(socket)
    assert message.data == b"\\0\\xff" * 100_000 and message.binary
    assert (yield count(socket, seconds=0.02)) == 0
    assert (yield close(socket)) == 1000 and socket.close_code == 1000
    assert socket.received == 2
"""


def test_each_step_is_a_row(ports: Any, drive: Any, write_flows: Any) -> None:
    driven = drive(ports[0], flows=write_flows(TALK), flow_names=("it",), load=FEW)
    assert driven.result.first_errors == {}
    assert driven.result.arrivals == 5 and driven.result.done == 35
    steps = driven.steps(2)
    assert steps["step"] == [0, 1, 2, 3, 4, 5, 6]
    assert steps["last"] == [False] * 6 + [True]
    assert steps["status"] == [101] * 7
    assert steps["messages"] == [0, 0, 1, 0, 1, 0, 0]
    assert steps["bytes"][1:] == [0, 7, 0, 200_000, 0, 0]
    assert steps["intended_s"][1:] == steps["done_s"][:-1]
    assert steps["done_s"][5] - steps["intended_s"][5] >= 0.02
    assert len(set(steps["connection"])) == 1
    assert not np.isnan(driven.rows["done_s"]).any()


@pytest.mark.parametrize("load", [FEW, ClosedLoad(users=3, think_time_s=0.01)])
def test_it_works_through_tls(secured: Any, drive: Any, write_flows: Any, load: Any) -> None:
    driven = drive(
        secured[0], flows=write_flows(TALK), flow_names=("it",), load=load, tls=Tls(), drain_s=5
    )
    assert driven.result.first_errors == {}
    assert driven.result.done == 7 * driven.result.arrivals > 0


def test_pings_are_answered_pieces_joined_and_options_agreed(
    ports: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("it")
def it(state):
    socket = yield connect("/ping")
    assert (yield expect(socket)).text == "pong came"
    socket = yield connect("/pieces")
    assert (yield expect(socket)).text == "one two three"
    socket = yield connect("/speaks")
    assert (yield expect(socket)).json() == [None, []]
    socket = yield connect("/speaks", compress=True)
    assert (yield expect(socket)).json() == [None, ["PerMessageDeflate"]]
    socket = yield connect("/head", params={"a": "ü"}, headers={"X-Who": "me"})
    head = (yield expect(socket)).json()
    assert head["X-Who"] == "me" and head["Host"].startswith("127.0.0.1:")
    socket = yield connect("/burst/100")
    assert (yield expect(socket, lambda message: message.text == "41")).text == "41"
    assert (yield expect(socket)).text == "42"
    assert (yield count(socket, seconds=0.05)) == 57
    assert socket.received == 100
    for _ in range(2):
        socket = yield connect("/refuse/409", expect=(409,))
        assert not socket.ok and socket.status == 409 and socket.text == "not you\\n"
    reply = yield get("/page")
    assert reply.ok and reply.text == "a page\\n" and not isinstance(reply, Socket)
""")
    driven = drive(ports[0], flows=flows, flow_names=("it",), load=FEW, drain_s=3)
    assert driven.result.first_errors == {}
    assert driven.result.errors == 0 and driven.result.unfinished == 0
    driver = Driver(_plan(ports[0], flows), {})
    try:
        assert [each.error for each in Alone(driver).probe("it", 2)] == [None, None]
    finally:
        driver.close()


WAYS = {
    "refuse/403": (0, RequestError.STATUS, "status 403: not you"),
    "page": (0, RequestError.PROTOCOL, "protocol: expected 101 Switching Protocols, got 200"),
    "bye/1011": (0, RequestError.CLOSED, "closed: with 1011 had enough"),
    "echo": (0, RequestError.TIMEOUT, "timeout: no message in 0.2 s"),
    "burst/3": (0, RequestError.TIMEOUT, "timeout: none of 3 messages in 0.2 s was the one"),
    "silent": (1, RequestError.TIMEOUT, "timeout: no whole reply in 0.3 s"),
    "wrong-key": (1, RequestError.PROTOCOL, "protocol: the handshake of the WebSocket is not"),
    "garbage": (1, RequestError.PROTOCOL, "protocol: "),
    "endless": (1, RequestError.PROTOCOL, "protocol: "),
    "latin": (1, RequestError.PROTOCOL, "protocol: a text message that is not UTF-8"),
    "cut": (1, RequestError.RESET, "reset: the connection was closed within a message"),
    "cut-pieces": (1, RequestError.RESET, "reset: the connection was closed within a message"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_wrong_is_an_error_with_its_kind_and_words(
    ports: Any, drive: Any, write_flows: Any, way: str
) -> None:
    which, kind, words = WAYS[way]
    flows = write_flows(f"""
@operation("it")
def it(state):
    socket = yield connect("/{way}")
    yield expect(socket, lambda message: message.text == "never", timeout_s=0.2)
    raise AssertionError("a flow does not go on after that")
""")
    driven = drive(ports[which], Operation(name="it", timeout_s=0.3), flows=flows, load=FEW)
    assert driven.result.first_errors["it"].startswith(words)
    assert driven.result.errors == driven.result.arrivals == 5
    error, last = driven.rows["error"], driven.rows["last"]
    assert set(error[last].tolist()) == {int(kind)} and set(error[~last].tolist()) <= {0}
    driver = Driver(_plan(ports[which], flows), {})
    try:
        alone = Alone(driver).probe("it", 1)[0]
        assert alone.error is not None and alone.error.startswith(words)
    finally:
        driver.close()


def test_a_close_that_is_not_answered_and_a_bad_use_of_a_socket(
    ports: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("deaf")
def deaf(state):
    yield close((yield connect("/deaf")))
""")
    driven = drive(ports[1], Operation(name="deaf", timeout_s=0.2), flows=flows, load=FEW)
    assert driven.result.first_errors == {"deaf": "timeout: no answer in 0.2 s to the close frame"}
    flows = write_flows("""
@operation("foreign")
def foreign(state):
    yield send(Socket(), "hello")

@operation("code")
def code(state):
    yield close((yield connect("/echo")), code=99)

@operation("future")
def future(state):
    socket = yield connect("/burst/1")
    yield expect(socket, since=lambda message: 1e12)

@operation("none")
def none(state):
    yield count(seconds=1)
""")
    names = ("foreign", "code", "future", "none")
    driven = drive(ports[0], flows=flows, flow_names=names)
    found = driven.result.first_errors
    assert set(found) == set(names)
    assert "expected a socket that this flow opened" in found["foreign"]
    assert "expected a socket that this flow opened" in found["none"]
    assert "expected a time of time.monotonic()" in found["future"]
    assert found["code"].startswith("flow: ProtocolError")
    assert driven.result.unfinished == 0


def test_what_one_user_sends_another_receives_and_when(
    ports: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
from time import monotonic

@operation("listen")
def listen(state):
    socket = yield connect("/room")
    yield expect(socket, timeout_s=5, since=lambda message: message.json()["at"])
    assert (yield expect(socket, timeout_s=5)).json()["at"] > 0

@operation("talk")
def talk(state):
    socket = yield connect("/room")
    for _ in range(40):
        yield send(socket, json={"at": monotonic()})
        yield count(socket, seconds=0.02)
""")
    driven = drive(
        ports[0],
        flows=flows,
        flow_names=("listen", "talk"),
        load=ClosedLoad(users=8, think_time_s=0.02),
        duration_s=0.4,
        drain_s=5,
    )
    assert driven.result.first_errors == {}
    rows = driven.rows
    listened = rows["operation"] == 0
    delivered = listened & (rows["step"] == 1)
    took_s = (rows["done_s"] - rows["intended_s"])[delivered]
    assert delivered.sum() >= 3
    assert (took_s > 0).all() and np.median(took_s) < 0.2


def test_a_count_ends_with_the_segment_and_so_do_the_sockets(
    ports: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("hold")
def hold(state):
    sockets = []
    for _ in range(20):
        sockets.append((yield connect("/burst/3")))
    number = yield count(*sockets, seconds=3600)

@operation("wait")
def wait(state):
    yield expect((yield connect("/echo")), timeout_s=3600)
""")
    driven = drive(
        ports[0],
        flows=flows,
        flow_names=("hold", "wait"),
        load=BRISK,
        drain_s=1.0,
        connections_max=3,
    )
    rows = driven.rows
    held = (rows["operation"] == 0) & rows["last"]
    assert held.sum() >= 5
    assert set(rows["messages"][held].tolist()) == {60}
    assert set(rows["error"][held].tolist()) == {0}
    waited = (rows["operation"] == 1) & rows["last"]
    assert set(rows["error"][waited].tolist()) == {int(RequestError.UNFINISHED)}
    assert driven.result.unfinished == waited.sum()
    assert driven.progress[-1].in_flight == driven.result.arrivals


def test_a_service_that_floods_is_read_no_faster_than_a_flow_takes(
    ports: Any, drive: Any, write_flows: Any
) -> None:
    flows = write_flows("""
@operation("slow")
def slow(state):
    socket = yield connect("/flood")
    other = yield connect("/echo")
    yield count(other, seconds=0.3)
    assert 10 <= socket.received <= 100, socket.received
    for _ in range(200):
        assert len((yield expect(socket)).data) == 10_000
""")
    driven = drive(
        ports[0], flows=flows, flow_names=("slow",), load=FEW, duration_s=0.02, drain_s=5
    )
    assert driven.result.first_errors == {}
    assert driven.result.done == 203


def test_handshakes_are_made_as_whoever_asks_who_logs_in_again_when_refused(
    ports: Any, drive: Any, write_flows: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("loadpath.drive.flows.RENEW_AFTER_S", 0.0)
    flows = write_flows("""
logins = []

@login
def sign_in(identity):
    logins.append(identity.number)
    yield get("/refuse/409", expect=(409,))
    return {"Authorization": "Bearer " + ("right" if len(logins) > 1 else "stale")}

@operation("it")
def it(state):
    socket = yield connect("/private")
    assert socket.ok
    reply = yield get("/refuse/409", expect=(409,))
    assert reply.status == 409
    assert (yield close(socket)) == 1000
""")
    driven = drive(
        ports[0],
        flows=flows,
        flow_names=("it",),
        load=ClosedLoad(users=1, think_time_s=0.02),
        identities=KeySet(name="who", count=1),
        duration_s=0.3,
    )
    assert driven.result.first_errors == {}
    rows = driven.rows
    renewed = rows["flow"] == rows["flow"].min()
    assert rows["status"][renewed].tolist() == [401, 409, 101, 409, 101]
    assert set(rows["status"][~renewed].tolist()) == {101, 409}
    assert rows["last"].sum() == driven.result.arrivals > 1


def test_several_processes_and_probes(ports: Any, write_flows: Any, tmp_path: Path) -> None:
    async def go() -> None:
        async with (
            Guard() as guard,
            Engine(_plan(ports[0], write_flows(TALK), processes=2), spawn=guard.spawn) as engine,
        ):
            result = await engine.run(
                Segment(
                    index=0,
                    purpose="test",
                    load=ClosedLoad(users=6, think_time_s=0.01),
                    duration_s=0.3,
                    requests_path=tmp_path / "rows.parquet",
                )
            )
            assert result.first_errors == {}
            rows = read_table(tmp_path / "rows.parquet", REQUESTS)
            assert int(np.asarray(rows["messages"]).sum()) == 2 * result.arrivals
            probes = await engine.probe("it", times=2)
            assert [(each.status, each.error) for each in probes] == [(101, None)] * 2

    asyncio.run(go())


def _plan(port: int, flows: Path, **plan: Any) -> EnginePlan:
    workload = Workload(
        arrivals=OpenArrivals(1.0), operations=(Operation(name="it", timeout_s=0.3),), flows=flows
    )
    return EnginePlan(host="127.0.0.1", port=port, workload=workload, **plan)
