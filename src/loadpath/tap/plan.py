"""What a tap is told, and what it tells: frozen, and the same on both sides of its socket."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Place(msgspec.Struct, frozen=True):
    """Where something listens: a TCP port of a host, or, when `path` is given, a Unix socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tap(msgspec.Struct, frozen=True):
    """One relay. `name` is the dependency's; `kind` says what its bytes mean, and one that nobody
    reads is relayed all the same. It listens at `listen`, where port 0 is any free one. With
    `keep_parameters` some of what statements are run with is kept, in the memory of the tap process
    alone, for `Taps.statements` to fetch: they are real values of users. With `digest_replies`
    rows of PostgreSQL and replies of Valkey are digested: whether they say the same again.
    """

    name: str
    kind: str
    target: Place
    listen: Place = Place("127.0.0.1")
    keep_parameters: bool = False
    digest_replies: bool = False


class Window(msgspec.Struct, frozen=True):
    """A stretch that is recorded: the segment it belongs to and the files of its three tables.

    `reading` False measures the relay alone: nobody reads along, and connections that are open
    meanwhile are not read again, because what they agreed on in it is not known.
    """

    segment: int
    exchanges: Path
    connections: Path
    shapes: Path
    reading: bool = True


class TapState(msgspec.Struct, frozen=True):
    """What one tap has seen since it was opened. `unread` counts connections by the reason why they
    were not read, or not to their end."""

    name: str
    kind: str
    target: str
    address: str
    connection_count: int
    open_count: int
    not_connected_count: int
    exchange_count: int
    sent_bytes: int
    received_bytes: int
    unread: dict[str, int]


class Stats(msgspec.Struct, frozen=True):
    """The tap process: its CPU time so far, user and system, all threads; its resident memory;
    faults of its own, by what they said; and every tap."""

    pid: int
    cpu_s: float
    rss_bytes: int
    faults: dict[str, int]
    taps: list[TapState]

    def tap(self, name: str) -> TapState:
        """The one of that name. Raises `KeyError`."""
        for state in self.taps:
            if state.name == name:
                return state
        raise KeyError(name)


class WindowResult(msgspec.Struct, frozen=True):
    """What a window came to. `cpu_s` is what the tap process used in it, writing included.

    `lost_exchanges` were seen and not recorded, because the disk did not keep up.
    """

    segment: int
    began_s: float
    ended_s: float
    exchange_count: int
    lost_exchanges: int
    cpu_s: float
    unread: dict[str, dict[str, int]]
    """By tap: how many connections became unread in this window, by reason."""
