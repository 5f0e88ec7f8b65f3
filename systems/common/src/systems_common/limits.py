"""Rate limits: GCRA, in Valkey for all processes, or in this process alone.

GCRA keeps one number for each caller, the theoretical arrival time (TAT): when everything that was
let through would be paid for at the steady rate. A call is let through when the TAT lies less than
the window ahead. So a caller may use the whole limit at once, and gets it back evenly.
(ITU-T I.371; as a limiter of HTTP: Brandur Leach, 2015.)
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict

import msgspec
from glide import GlideClient, GlideError, Script

__all__ = ["Limit", "LocalLimiter", "ValkeyLimiter", "Verdict", "headers_of", "step"]

log = logging.getLogger(__name__)


class Limit(msgspec.Struct, frozen=True):
    """At most `calls` in any `window_s` seconds, by and large: up to twice that over a boundary."""

    calls: int
    window_s: float = 60.0


class Verdict(msgspec.Struct, frozen=True):
    """`remaining` calls may follow at once, all of `limit` after `reset_s`; when not `allowed`,
    one after `retry_s`.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_s: float = 0.0


def step(tat_s: float, now_s: float, limit: Limit) -> tuple[float, Verdict]:
    """One call at `now_s` by a caller whose theoretical arrival time is `tat_s`: the new one, and
    whether the call is let through. A refused call costs nothing.
    """
    interval_s = limit.window_s / limit.calls
    ahead_s = max(tat_s - now_s, 0.0)
    after_s = ahead_s + interval_s
    # A microsecond more than the window: sums of fractions must not refuse the last call.
    if after_s > limit.window_s + 1e-6:
        return tat_s, Verdict(False, limit.calls, 0, ahead_s, after_s - limit.window_s)
    remaining = int((limit.window_s - after_s) / interval_s + 1e-6)
    return now_s + after_s, Verdict(True, limit.calls, remaining, after_s)


def headers_of(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    """The RateLimit fields (IETF draft, version 06), and Retry-After for a call refused."""
    headers = [
        (b"ratelimit-limit", b"%d" % verdict.limit),
        (b"ratelimit-remaining", b"%d" % verdict.remaining),
        (b"ratelimit-reset", b"%d" % math.ceil(verdict.reset_s)),
    ]
    if not verdict.allowed:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(verdict.retry_s))))
    return headers


class LocalLimiter:
    """Counts in this process alone, the callers seen last; the oldest are forgotten."""

    _CALLERS_MAX = 50_000

    def __init__(self) -> None:
        self._tats: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, limit: Limit) -> Verdict:
        """One call of a caller."""
        now_s = time.monotonic()
        tat_s, verdict = step(self._tats.get(caller, now_s), now_s, limit)
        self._tats[caller] = tat_s
        self._tats.move_to_end(caller)
        if len(self._tats) > self._CALLERS_MAX:
            self._tats.popitem(last=False)
        return verdict


# Valkey's own clock, so that processes whose clocks differ agree. What `step` does, once more.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local ahead = math.max(tonumber(redis.call('GET', KEYS[1]) or now) - now, 0)
local after = ahead + interval
if after > window + 0.000001 then
    return {0, 0, tostring(ahead), tostring(after - window)}
end
redis.call('SET', KEYS[1], string.format('%.6f', now + after), 'PX', math.ceil(after * 1000))
return {1, math.floor((window - after) / interval + 0.000001), tostring(after), '0'}
"""


class ValkeyLimiter:
    """Counts for all processes, in one script that Valkey runs as a whole.

    When Valkey fails, `take` says None and it is left alone for a second: a limit must not become
    a second thing that can stop the service. The log says so each time that begins.
    """

    _LEFT_ALONE_S = 1.0

    def __init__(self, client: GlideClient, *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._script = Script(_SCRIPT)  # type: ignore[no-untyped-call]
        self._left_alone_until_s = 0.0
        self._failed = False

    async def take(self, caller: str, limit: Limit) -> Verdict | None:
        """One call of a caller; None when Valkey cannot say."""
        if time.monotonic() < self._left_alone_until_s:
            return None
        arguments = [f"{limit.window_s / limit.calls:.9f}", f"{limit.window_s:g}"]
        try:
            answer = await self._client.invoke_script(
                self._script, [self._prefix + caller], list(arguments)
            )
            allowed, remaining, reset_s, retry_s = answer
            verdict = Verdict(
                bool(allowed), limit.calls, int(remaining), float(reset_s), float(retry_s)
            )
        except (GlideError, OSError, TypeError, ValueError) as error:
            if not self._failed:
                log.warning("rates are not limited", extra={"error": str(error) or repr(error)})
            self._failed = True
            self._left_alone_until_s = time.monotonic() + self._LEFT_ALONE_S
            return None
        if self._failed:
            log.warning("rates are limited again")
            self._failed = False
        return verdict
