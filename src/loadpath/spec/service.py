"""The service under test: how to start it, when it is ready, and what it depends on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadpath.spec.dependency import Dependency
from loadpath.spec.knob import Knob


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """How to speak TLS with a service.

    Its certificate is verified against `ca` (a PEM file) and `name`; without `ca` it is taken as it
    is. `name` is also the one that is asked for in the handshake (SNI).
    """

    ca: Path | None = None
    name: str = "localhost"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How to run one service.

    `start` is the command, split as a shell would, whose words may hold {port} and {workers}.
    `ready` is a request line such as `GET /health`; the service is ready when it answers with a
    status below 500. `directory` is where commands run (the folder of the service file).
    `tls` None: it speaks plain HTTP. `peers` are addresses (host:port), besides its dependencies,
    that it may connect to.
    """

    name: str
    directory: Path
    start: tuple[str, ...]
    ready: str = "GET /"
    workers: int = 1
    env: dict[str, str] = {}
    dependencies: tuple[Dependency, ...] = ()
    knobs: tuple[Knob, ...] = ()
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    peers: tuple[str, ...] = ()
    tls: Tls | None = None

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "http" if self.tls is None else "https"
