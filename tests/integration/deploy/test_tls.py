"""A service that speaks TLS with a certificate of its own, as uvicorn does when asked."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from loadpath.deploy import Deployment, Guard
from loadpath.errors import WouldNotRunError
from loadpath.spec import OpenArrivals, Service, Setup, Tls, Workload

LOCALHOST = Path(__file__).parents[1] / "certificates" / "localhost.pem"

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["scheme"].encode()})
"""


def deploy(folder: Path, tls: Tls | None, *, secured: bool = True, wait_s: float = 20.0) -> None:
    (folder / "app.py").write_text(APP)
    shutil.copy(LOCALHOST, folder / "own.pem")
    certificate = ("--ssl-certfile", "own.pem", "--ssl-keyfile", "own.pem") if secured else ()
    command = (sys.executable, "-m", "uvicorn", "app:app", "--lifespan", "off", "--port", "{port}")
    service = Service(
        name="test",
        directory=folder,
        start=(*command, *certificate),
        ready_timeout_s=wait_s,
        tls=tls,
    )
    setup = Setup(service=service, workload=Workload(arrivals=OpenArrivals(1.0), operations=()))

    async def main() -> None:
        async with Guard() as guard, Deployment(setup, guard=guard):
            pass

    asyncio.run(main())


@pytest.mark.parametrize("tls", [Tls(), Tls(ca=LOCALHOST)])
def test_a_service_with_tls_is_ready_when_it_answers_through_it(tmp_path: Path, tls: Tls) -> None:
    deploy(tmp_path, tls)


def test_a_certificate_that_is_not_accepted_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(WouldNotRunError) as failed:
        deploy(tmp_path, Tls(ca=LOCALHOST, name="shop.example"))
    assert "not valid for 'shop.example'" in failed.value.message
    assert failed.value.advice is not None and "tls = true" in failed.value.advice


def test_a_service_that_speaks_tls_unasked_is_told_how_to_say_so(tmp_path: Path) -> None:
    with pytest.raises(WouldNotRunError) as failed:
        deploy(tmp_path, None, wait_s=2.0)
    assert "the service speaks TLS" in failed.value.message
    assert failed.value.advice == "Set tls = true under [service]."


def test_a_service_that_speaks_no_tls_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WouldNotRunError) as failed:
        deploy(tmp_path, Tls(), secured=False)
    assert "no TLS with the service" in failed.value.message
