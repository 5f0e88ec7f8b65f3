"""What a request comes to: kept, under way already, fetched, or passed on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from loadpath.proxy.origin import Origins, Sink
from loadpath.proxy.plan import Counts, RuleCounts
from loadpath.proxy.store import Entry, Store, digest_of
from loadpath.spec.keeping import KeepRule

LINES_MAX = 200_000
GATHERED_MAX = 8 * 1024 * 1024
"""A larger reply is passed on as it comes, and not kept."""


class Rule:
    """A rule at work."""

    def __init__(self, rule: KeepRule) -> None:
        self.ttl_s = rule.ttl_s
        self.operation = rule.operation
        self._match = re.compile(rule.pattern.encode()).fullmatch
        self._method = rule.method.encode()
        self.requests = self.hits = self.waited = self.fetched = 0
        self.stored = self.sampled = self.stale = 0

    def fits(self, method: bytes, target: bytes) -> bool:
        """Whether it is about such requests."""
        return method == self._method and self._match(target) is not None

    def counts(self) -> RuleCounts:
        """What came of it so far."""
        return RuleCounts(
            operation=self.operation,
            requests=self.requests,
            hits=self.hits,
            waited=self.waited,
            fetched=self.fetched,
            stored=self.stored,
            sampled=self.sampled,
            stale=self.stale,
        )


class Waiter(Sink):
    """Who asked. The bytes of a reply go to `send`; `over` says how it ended."""

    __slots__ = ("_over", "_send")

    def __init__(self, send: Callable[[bytes], None], over: Callable[[bool], None]) -> None:
        self._send = send
        self._over = over

    def data(self, data: bytes) -> None:
        self._send(data)

    def done(self, *, reusable: bool) -> None:
        self._over(reusable)

    def lost(self) -> None:
        self._over(False)


class Fetch(Sink):
    """A fetch of one key, and who waits for it. The first gets its bytes as they come."""

    def __init__(self, cache: Cache, rule: Rule, line: bytes, key: bytes, request: bytes) -> None:
        self._cache = cache
        self._rule = rule
        self._line = line
        self._key = key
        self._request = request
        self._parts: list[bytes] = []
        self._size = 0
        self.waiters: list[Waiter] = []

    def data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= GATHERED_MAX or len(self.waiters) > 1:
            self._parts.append(data)
        self.waiters[0].data(data)

    def done(self, *, reusable: bool) -> None:
        self._cache.fetches.pop(self._key, None)
        reply = b"".join(self._parts)
        if reusable and self._size <= GATHERED_MAX:
            store = self._cache.store
            self._rule.stored += store.put(
                self._line, self._request, reply, time.monotonic(), self._rule.ttl_s
            )
        for place, waiter in enumerate(self.waiters):
            if place:
                waiter.data(reply)
            waiter.done(reusable=reusable)

    def lost(self) -> None:
        self._cache.fetches.pop(self._key, None)
        for waiter in self.waiters:
            waiter.lost()


class Comparison(Sink):
    """A look at what the service says beside a hit."""

    def __init__(self, rule: Rule, entry: Entry) -> None:
        self._rule = rule
        self._digest = entry.digest
        self._parts: list[bytes] = []

    def data(self, data: bytes) -> None:
        self._parts.append(data)

    def done(self, *, reusable: bool) -> None:
        reply = b"".join(self._parts)
        if int(reply[9:12]) < 500:
            self._rule.sampled += 1
            self._rule.stale += digest_of(reply) != self._digest

    def lost(self) -> None:
        return


class Cache:
    """Answers requests from what it keeps, and has the service answer the others."""

    def __init__(self, rules: Sequence[KeepRule], origins: Origins, size_bytes: int) -> None:
        self.rules = [Rule(rule) for rule in rules]
        self.store = Store(size_bytes)
        self.fetches: dict[bytes, Fetch] = {}
        self.sample_every = 0
        self._origins = origins
        self._lines: dict[bytes, Rule | None] = {}
        self._unsampled = 0
        self.passed = 0

    def answer(self, head: bytes, request: bytes, waiter: Waiter) -> None:
        """A whole request came; `head` is its head."""
        line = head[: head.index(b"\r\n")]
        try:
            rule = self._lines[line]
        except KeyError:
            rule = self._rule_of(line)
        if rule is None:
            self.passed += 1
            self._origins.ask(request, waiter)
            return
        rule.requests += 1
        key = self.store.key(line, head)
        now = time.monotonic()
        entry = self.store.find(key, now)
        if entry is not None:
            rule.hits += 1
            waiter.data(entry.answer(now))
            waiter.done(reusable=True)
            if self.sample_every:
                self._sample(rule, entry, request)
            return
        fetch = self.fetches.get(key)
        if fetch is not None:
            rule.hits += 1
            rule.waited += 1
            fetch.waiters.append(waiter)
            return
        rule.fetched += 1
        fetch = self.fetches[key] = Fetch(self, rule, line, key, request)
        fetch.waiters.append(waiter)
        self._origins.ask(request, fetch)

    def flush(self) -> None:
        """Forget what is kept."""
        self.store.clear()

    def counts(self, cpu_s: float) -> Counts:
        """How it stands."""
        return Counts(
            rules=tuple(rule.counts() for rule in self.rules),
            passed=self.passed,
            entries=len(self.store),
            bytes=self.store.bytes,
            evicted=self.store.evicted,
            failed=self._origins.failed,
            cpu_s=cpu_s,
        )

    def _rule_of(self, line: bytes) -> Rule | None:
        method, _, rest = line.partition(b" ")
        target = rest.rpartition(b" ")[0]
        found = next((rule for rule in self.rules if rule.fits(method, target)), None)
        if len(self._lines) >= LINES_MAX:
            self._lines.clear()
        self._lines[line] = found
        return found

    def _sample(self, rule: Rule, entry: Entry, request: bytes) -> None:
        self._unsampled += 1
        if self._unsampled >= self.sample_every:
            self._unsampled = 0
            self._origins.ask(request, Comparison(rule, entry))
