"""What the flows of a run share: keys, random numbers, unique tokens, what was acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from loadpath.drive.carried import Carried
from loadpath.drive.channels import Channel, Line
from loadpath.drive.journal import Entry, Journal
from loadpath.drive.mix import Job
from loadpath.drive.operations import Keys
from loadpath.drive.seeds import MASK, mixed, segment_tag
from loadpath.flow import Acknowledged, Flow, Identity

KEPT_PER_KIND = 100_000
"""Acknowledged items kept of one kind; beyond that a uniform sample of them is."""

RECENT = 256
"""Of these last ones comes every second that is read back: what is young is lost first."""

_GAMMA = 0x9E3779B97F4A7C15
_APART = 0xD1342543DE82EF95  # between the starts of two flows' streams: no small multiple of _GAMMA


class Stream(Protocol):
    """Whoever has a stream of random numbers: where in it they stand."""

    position: int


class _Position:
    """A stream of its own, for who is not a flow."""

    position = 0


class FlowRandom(random.Random):
    """SplitMix64 (Steele, Lea and Flood 2014): a stream costs nothing to begin or to resume.

    Python's own generator takes 6 µs to seed, and every flow has a stream of its own, so that what
    a flow draws does not depend on which replies came first. `stream` is the flow whose turn it is.
    """

    def __init__(self) -> None:
        self.stream: Stream = _Position()
        super().__init__(0)

    def seed(self, a: Any = None, version: int = 2) -> None:
        """Begin the stream of a number."""
        if not isinstance(a, int):
            # Not hash(): that of a string differs from process to process.
            a = int.from_bytes(hashlib.blake2b(repr(a).encode(), digest_size=8).digest())
        self.stream.position = mixed(a & MASK)

    def getstate(self) -> tuple[Any, ...]:
        """Where the stream stands."""
        return (self.stream.position,)

    def setstate(self, state: tuple[Any, ...]) -> None:
        """Go back to where a stream stood."""
        (self.stream.position,) = state

    def random(self) -> float:
        """Uniform in [0, 1)."""
        stream = self.stream
        position = stream.position = (stream.position + _GAMMA) & MASK
        z = (position ^ (position >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1 << 53))

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits."""
        bits = 0
        for shift in range(0, k, 64):
            self.stream.position = (self.stream.position + _GAMMA) & MASK
            bits |= mixed(self.stream.position) << shift
        return bits & ((1 << k) - 1)

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """Normal; not as inherited, which keeps every second draw for whoever asks next."""
        return self.normalvariate(mu, sigma)


class FlowRun:
    """One instance of a generator flow: the step it is at and what that step's request is."""

    __slots__ = (
        "attempts",
        "carried",
        "error",
        "expect",
        "generator",
        "intended_s",
        "job",
        "key",
        "line",
        "method",
        "payload",
        "position",
        "reading",
        "retries",
        "returned",
        "step",
        "tokens",
        "tries",
        "unsure",
    )

    def __init__(self, job: Job, position: int) -> None:
        self.job = job
        self.intended_s = job[2]
        self.step = 0
        self.key = job[3]  # of a flow, its identity alone
        self.position = position
        self.tokens = 0
        self.payload = b""
        self.method = "GET"
        self.expect: tuple[int, ...] = ()
        self.returned: object = None
        self.error: BaseException | None = None
        self.generator: Flow | None = None
        self.carried: Carried | None = None
        self.line: Line | None = None  # once it opens a WebSocket
        self.attempts: list[Entry] | None = None
        self.retries = 0  # of its present request, of which `tries` were made before
        self.tries = 0
        self.reading: Acknowledged | None = None  # what it looks for, if it is such a check
        self.unsure = False  # a reply of 5xx says nothing of what was looked for

    @property
    def handshake(self) -> Channel | None:
        """The WebSocket that its request is to open."""
        if self.line is None or (self.carried is not None and self.carried.logging_in):
            return None
        return self.line.opening

    def close(self) -> None:
        """Let the flow end where it is; what it raises about that is not a failure of a request."""
        if self.generator is not None:
            with contextlib.suppress(Exception):
                self.generator.close()


class _Kind:
    """What was acknowledged of one kind: how many, and those that are kept."""

    __slots__ = ("items", "recent", "total")

    def __init__(self) -> None:
        self.items: list[Acknowledged] = []
        self.recent: deque[Acknowledged] = deque(maxlen=RECENT)
        self.total = 0


class FlowState:
    """The `loadpath.flow.State` that flows are given; one for the whole life of an engine.

    A flow's draws and tokens come from its own stream: whoever advances a flow makes its run
    `run` before.
    """

    def __init__(self, keys: Keys, seed: int) -> None:
        self._keys = keys
        self._seed = seed
        self._kinds: dict[str, _Kind] = {}
        self._base = 0
        self._tag = ""
        self.journal = Journal()
        # Which acknowledged items are kept must not take from the streams of flows.
        self._keeper = random.Random(seed)
        self.rng = FlowRandom()
        self.run = FlowRun((0, 0, 0.0, 0, None), 0)

    def begin_segment(self, index: int) -> None:
        """Streams and tokens are those of that segment from now on."""
        self.journal.begin_segment(index)
        self._base = mixed(mixed(self._seed & MASK) + index)
        self._tag = segment_tag(self._seed, index)

    def new_run(self, job: Job) -> FlowRun:
        """A flow instance with a stream of its own."""
        return FlowRun(job, (self._base + job[0] * _APART) & MASK)

    @property
    def identity(self) -> Identity:
        """Who does the flow."""
        identity = self._identity()
        if identity is None:
            raise AttributeError(
                "the workload has no identities: say `identities = 100` under [workload]"
            )
        return identity

    def _identity(self) -> Identity | None:
        carried = self.run.carried
        return None if carried is None or carried.session is None else carried.session.identity

    def key(self, key_set: str) -> str:
        """The next key of that key set, drawn from its distribution."""
        keys = self._keys
        index = keys.index.get(key_set)
        if index is None:
            known = ", ".join(map(repr, keys.index)) or "none"
            raise KeyError(f"no key set is called {key_set!r}; there are {known}")
        number = keys.samplers[index].one(self.rng.random())
        self.run.key = self.run.job[3] | keys.code(index, number)
        return keys.texts[index].text(number)

    def unique(self, prefix: str = "") -> str:
        """A token that no other call of this run gets, and that another run gets again."""
        run = self.run
        run.tokens += 1
        return f"{prefix}{self._tag}{run.job[0]:08x}{run.tokens:x}"

    def fresh_url(self) -> str:
        """A web address that no other call of this run gets."""
        return f"https://example.com/{self.unique()}"

    def attempt(self, kind: str, key: str = "") -> str:
        """A token for a write that is about to be tried."""
        token = self.unique(f"{kind}-")
        self.journal.attempt(self.run, kind, token, key)
        return token

    def acknowledge(self, kind: str, **fields: Any) -> None:
        """Remember that the service said it did this."""
        of_kind = self._kinds.get(kind)
        if of_kind is None:
            of_kind = self._kinds[kind] = _Kind()
        item = Acknowledged(kind, fields, self._identity())
        self.journal.acknowledged(self.run, item, self.unique)
        of_kind.recent.append(item)
        of_kind.total += 1
        if len(of_kind.items) < KEPT_PER_KIND:
            of_kind.items.append(item)
            return
        # A uniform sample of all there were (Vitter 1985, algorithm R).
        at = self._keeper.randrange(of_kind.total)
        if at < KEPT_PER_KIND:
            of_kind.items[at] = item

    def to_read_back(self, kind: str) -> Acknowledged | None:
        """One of what was acknowledged, as often of the last ones as of all; None: none yet."""
        of_kind = self._kinds.get(kind)
        if of_kind is None:
            return None
        chosen = of_kind.recent if self._keeper.random() < 0.5 else of_kind.items
        return chosen[int(self._keeper.random() * len(chosen))]

    def any_acknowledged(self, kind: str) -> Acknowledged | None:
        """One of what was acknowledged so far, at random; None when there is none yet."""
        of_kind = self._kinds.get(kind)
        if of_kind is None:
            return None
        return of_kind.items[int(self.rng.random() * len(of_kind.items))]

    def acknowledged(self) -> Iterator[tuple[str, int, list[Acknowledged]]]:
        """Per kind: its name, how many were acknowledged, and those that are kept."""
        for kind, of_kind in self._kinds.items():
            yield kind, of_kind.total, of_kind.items
