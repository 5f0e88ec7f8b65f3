"""TLS with the service: the same rows as without, and a failed handshake says what is wrong."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadpath.deploy import Guard
from loadpath.drive import Engine, EnginePlan, OpenLoad
from loadpath.errors import ConfigurationError
from loadpath.spec import OpenArrivals, Tls, Workload

NONE, TIMEOUT, TLS = 0, 2, 8

CERTIFICATES = Path(__file__).parents[1] / "certificates"
LOCALHOST = CERTIFICATES / "localhost.pem"


@pytest.fixture
def secured(own_service: Callable[..., Any]) -> Any:
    return own_service("0", "1000", str(LOCALHOST))


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/ok", 40),
        ("/split/1", 40),
        ("/chunked/13", 96),
        ("/close", 59),
        ("/toclose", 32),
        ("/stale", 40),
        ("/big/300000", 300_043),
    ],
)
def test_replies_are_read_through_tls_as_without(
    secured: Any, drive: Any, operation: Any, path: str, size: int
) -> None:
    driven = drive(secured.port, operation(path), tls=Tls())
    assert set(driven.rows["error"].tolist()) == {NONE}, driven.result.first_errors
    assert set(driven.rows["bytes"].tolist()) == {size}
    assert driven.result.done == driven.result.arrivals == 30


def test_a_large_request_goes_out_whole(secured: Any, drive: Any, operation: Any) -> None:
    body = "x" * 3_000_000
    driven = drive(
        secured.port,
        operation("/ok", method="POST", body=body),
        load=OpenLoad(rate_per_s=50, process="constant"),
        tls=Tls(),
        drain_s=10,
    )
    assert set(driven.rows["error"].tolist()) == {NONE}, driven.result.first_errors
    assert driven.result.done == 5


def test_the_certificate_is_verified_when_authorities_are_given(
    secured: Any, drive: Any, operation: Any
) -> None:
    driven = drive(secured.port, operation("/ok"), tls=Tls(ca=LOCALHOST))
    assert driven.result.errors == 0
    assert driven.result.handshakes == driven.result.connections_opened > 0


@pytest.mark.parametrize(
    ("certificate", "tls", "words"),
    [
        ("localhost.pem", Tls(ca=CERTIFICATES / "expired.pem"), "self-signed certificate"),
        ("localhost.pem", Tls(ca=LOCALHOST, name="shop.example"), "not valid for 'shop.example'"),
        ("expired.pem", Tls(ca=CERTIFICATES / "expired.pem"), "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_an_error_of_its_own_kind(
    own_service: Any, drive: Any, operation: Any, certificate: str, tls: Tls, words: str
) -> None:
    service = own_service("0", "1000", str(CERTIFICATES / certificate))
    driven = drive(service.port, operation("/ok"), tls=tls)
    assert set(driven.rows["error"].tolist()) == {TLS}
    assert np.isnan(driven.rows["sent_s"]).all()
    assert len(driven.rows["flow"]) == driven.result.arrivals == 30
    told = driven.result.first_errors["it"]
    assert told.startswith("tls: its certificate is not accepted: ")
    assert words in told


def test_a_service_that_speaks_no_tls_is_told_apart(
    service: Any, drive: Any, operation: Any, listener: Callable[..., int]
) -> None:
    plain = listener(lambda peer: (peer.recv(4096), peer.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")))
    driven = drive(plain, operation("/ok"), tls=Tls())
    assert set(driven.rows["error"].tolist()) == {TLS}
    assert driven.result.first_errors["it"] == "tls: what answers does not speak TLS"
    closing = listener(lambda peer: peer.recv(4096))
    driven = drive(closing, operation("/ok"), tls=Tls())
    assert set(driven.rows["error"].tolist()) == {TLS}
    assert driven.result.first_errors["it"] == "tls: the connection was closed in the handshake"


def test_a_handshake_that_never_ends_is_given_up(
    drive: Any, operation: Any, listener: Callable[..., int]
) -> None:
    silent = listener(lambda peer: peer.recv(1 << 16) and peer.recv(1))
    driven = drive(
        silent, operation("/ok"), tls=Tls(), connect_timeout_s=0.1, duration_s=0.2, drain_s=0.5
    )
    assert TLS in driven.rows["error"].tolist()
    assert driven.result.first_errors["it"] == "tls: no end of the handshake in 0.1 s"


def test_a_connection_opened_after_another_was_closed_resumes_its_session(
    secured: Any, drive: Any, operation: Any
) -> None:
    driven = drive(
        secured.port,
        operation("/close"),
        load=OpenLoad(rate_per_s=100, process="constant"),
        duration_s=0.3,
        connections_max=1,
        tls=Tls(),
    )
    assert driven.result.errors == 0, driven.result.first_errors
    assert driven.result.handshakes == 30
    assert driven.result.handshakes_resumed >= 25


def test_probes_and_checks_speak_tls(secured: Any, operation: Any) -> None:
    async def probe(tls: Tls) -> Any:
        workload = Workload(arrivals=OpenArrivals(1.0), operations=(operation("/ok"),))
        plan = EnginePlan(host="127.0.0.1", port=secured.port, workload=workload, tls=tls)
        async with Guard() as guard, Engine(plan, spawn=guard.spawn) as engine:
            return (await engine.probe("it", 1))[0]

    good = asyncio.run(probe(Tls(ca=LOCALHOST)))
    assert (good.status, good.error) == (200, None)
    bad = asyncio.run(probe(Tls(ca=LOCALHOST, name="shop.example")))
    assert bad.status == 0
    assert "not valid for 'shop.example'" in bad.error


def test_authorities_that_cannot_be_read_are_a_configuration_error(
    drive: Any, operation: Any, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    with pytest.raises(ConfigurationError, match="expected a file of certificates"):
        drive(1, operation("/ok"), tls=Tls(ca=tmp_path / "ca.pem"))


@pytest.fixture
def listener() -> Iterator[Callable[..., int]]:
    """Listen, and do one thing with every connection, then close it; the port."""
    opened: list[socket.socket] = []

    def listen(with_peer: Callable[[socket.socket], Any]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def one(peer: socket.socket) -> None:
            with peer:
                try:
                    with_peer(peer)
                except OSError:
                    return  # the engine hung up first

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return  # the test is over
                threading.Thread(target=one, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for server in opened:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
