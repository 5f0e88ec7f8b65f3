"""What a kind of dependency must say of itself to be embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from loadpath.deploy.accounts import Account
from loadpath.deploy.address import Address
from loadpath.deploy.guard import Guard
from loadpath.deploy.logs import Log
from loadpath.spec import Dependency


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one embedded server has for itself.

    `folder` is private to it and holds its configuration; `data` is inside `folder` and holds what
    a snapshot keeps. `lock`, a descriptor the server inherits, is there when `data` is the user's,
    to outlive everything; None when `data` is thrown away. `cores` are those it may run on.
    """

    dependency: Dependency
    guard: Guard
    folder: Path
    data: Path
    log: Log
    address: Address
    password: str
    lock: int | None = None
    cores: tuple[int, ...] | None = None

    @property
    def kept(self) -> bool:
        """Whether the data must survive whatever happens."""
        return self.lock is not None


class Command(msgspec.Struct, frozen=True):
    """How to start a server. `account` None: as the user that Loadpath runs as."""

    argv: tuple[str, ...]
    env: dict[str, str]
    account: Account | None = None


class Advice(msgspec.Struct, frozen=True):
    """What an output means, and what to do about it."""

    message: str
    advice: str


class Kind(Protocol):
    """What there is to know about one kind of server.

    `scheme`, `user` and `name` are those of its connection URL. `stop_signal` ends the server at
    once when its data is thrown away; `clean_stop_signal` when its data is kept.
    """

    title: str
    scheme: str
    default_port: int
    user: str
    name: str
    stop_signal: int
    clean_stop_signal: int

    def check(self, dependency: Dependency) -> None:
        """Raise `WouldNotRunError` for what is known to fail before anything is started."""
        ...

    async def create(self, place: Place) -> None:
        """Make the initial `place.data`, whose parent exists."""
        ...

    def command(self, place: Place) -> Command:
        """Write the configuration; the command that runs the server in the foreground."""
        ...

    async def answers(self, place: Place) -> str | None:
        """The server's version once it serves clients; None while it does not."""
        ...

    async def introduce(self, place: Place) -> None:
        """Make what clients expect of new data: login, database. Once, after the first start."""
        ...

    async def settle(self, place: Place) -> None:
        """Before a clean stop after seeding: put the data in the state every arm starts from."""
        ...

    async def check_kept(self, place: Place) -> None:
        """Raise `WouldNotRunError` when this server cannot read the kept data at all."""
        ...

    async def keep(self, place: Place) -> None:
        """After each start on kept data: see that what is written from here on survives a kill."""
        ...

    async def forget(self, guard: Guard) -> None:
        """Give up what was kept to make more data: from here on data is copied from snapshots."""
        ...

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        """The version of a server given by URL, read without changing anything; "" if it hides."""
        ...

    def explain(self, output: str) -> Advice | None:
        """What a failing client's output says about this server, when it says something known."""
        ...


def file_name(name: str) -> str:
    """A part's name as a file name, different for every name."""
    return "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):02x}" for c in name)
