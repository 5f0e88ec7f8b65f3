"""Presence in Valkey, with expiry and never in the database.

Of each user one hash: what each device says and until when that holds, the status message, when
they were last active, and what others were told last. Whoever changes or reads it settles it in the
same script: if others have to be told something else the user gets the next version. A version is
at least the time in milliseconds, so that none comes twice when Valkey loses what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from glide import GlideClient, Script

__all__ = ["ONLINE", "RANKS", "Change", "PresenceStore", "State"]

RANKS = {"offline": 0, "unavailable": 1, "online": 2}
"""Of several devices the one with the highest counts."""
ONLINE = 2
_NAMES = tuple(RANKS)
_KEYS = [f"messaging:presence:{part}" for part in ("version", "changed", "due", "user:", "epoch")]
_BATCH_MAX = 500
_CHANGES_MAX = 1_000

# Kept for a week after the last change: the status message, and when the user was last active.
_HEAD = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(n) return string.format('%.0f', n) end
local function settle(user)
  local key = KEYS[4] .. user
  local rank, due, active, message, shown = 0, 0, 0, '', ''
  local data = redis.call('HGETALL', key)
  for i = 1, #data, 2 do
    local name, value = data[i], data[i + 1]
    if name == 'active' then active = tonumber(value)
    elseif name == 'message' then message = value
    elseif name == 'shown' then shown = value
    else
      local given, till = string.match(value, '(%d) (%d+)')
      till = tonumber(till)
      if till <= now then redis.call('HDEL', key, name)
      else
        rank = math.max(rank, tonumber(given))
        if due == 0 or till < due then due = till end
      end
    end
  end
  local busy = 0
  if rank == 2 and now - active < 300000 then
    busy = 1
    due = math.min(due, active + 300000)
  end
  if due > 0 then redis.call('ZADD', KEYS[3], text(due), user)
  else redis.call('ZREM', KEYS[3], user) end
  local told = rank .. busy .. message
  if told ~= shown then
    redis.call('HSET', key, 'shown', told)
    redis.call('PEXPIRE', key, 604800000)
    local version = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, now)
    redis.call('SET', KEYS[1], text(version))
    redis.call('ZADD', KEYS[2], text(version), user)
    if redis.call('ZCARD', KEYS[2]) > 20000 then
      redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -10001)
    end
  end
end
local function shown(user)
  local kept = redis.call('HMGET', KEYS[4] .. user, 'shown', 'active')
  return {user, kept[1] or '00', kept[2] or '0'}
end
"""


def _script(text: str) -> Script:
    return Script(_HEAD + text)  # type: ignore[no-untyped-call]


# ARGV, six for each change: user, device, rank ("-": as it was), for how long (ms), "1" if the user
# did something, and the status message behind a "=" ("-": as it was).
_PUT = _script("""
for i = 1, #ARGV, 6 do
  local user, device, rank, lasts, active, message = unpack(ARGV, i, i + 5)
  local key = KEYS[4] .. user
  if rank == '0' then redis.call('HDEL', key, 'd' .. device)
  elseif rank ~= '-' then
    redis.call('HSET', key, 'd' .. device, rank .. ' ' .. text(now + tonumber(lasts)))
  end
  if active == '1' then redis.call('HSET', key, 'active', text(now)) end
  if message ~= '-' then redis.call('HSET', key, 'message', string.sub(message, 2)) end
  redis.call('PEXPIRE', key, 604800000)
  settle(user)
end""")
_SETTLE = _script("for _, user in ipairs(ARGV) do settle(user) end")
_GET = _script("settle(ARGV[1]) return shown(ARGV[1])")
# ARGV: version, how many. Whose time is over goes first; then who changed behind the version.
_SINCE = _script("""
local epoch = redis.call('GET', KEYS[5])
if not epoch then
  epoch = text(now)
  redis.call('SET', KEYS[5], epoch)
end
for _, user in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now), 'LIMIT', 0, 500)) do
  settle(user)
end
local found = {epoch}
local range = {'(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2]}
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], unpack(range))
for i = 1, #changed, 2 do
  local one = shown(changed[i])
  one[4] = changed[i + 1]
  found[#found + 1] = one
end
return found""")


class Change(msgspec.Struct, frozen=True):
    """What one device says. `rank` None: nothing of its presence; `message` None: nothing new."""

    user_id: str
    device_no: int
    rank: int | None
    lasts_s: float
    is_active: bool
    message: str | None = None


class State(msgspec.Struct, frozen=True):
    """What others are told of a user. `active_ms`: when they last did something, 0: unknown."""

    user_id: str
    rank: int
    is_active: bool
    message: str
    active_ms: int
    version: int = 0

    def content(self, now_ms: float) -> dict[str, Any]:
        """The content of an `m.presence`."""
        shown: dict[str, Any] = {"presence": _NAMES[self.rank]}
        if self.rank == ONLINE:
            shown["currently_active"] = self.is_active
        if self.active_ms:
            shown["last_active_ago"] = max(0, int(now_ms) - self.active_ms)
        if self.message:
            shown["status_msg"] = self.message
        return shown


class PresenceStore:
    """Reads and writes; each raises `GlideError` when Valkey does not answer."""

    def __init__(self, cache: GlideClient) -> None:
        self._cache = cache

    async def put(self, changes: Sequence[Change]) -> None:
        """Store what devices say, in order."""
        for first in range(0, len(changes), _BATCH_MAX):
            arguments: list[str] = []
            for one in changes[first : first + _BATCH_MAX]:
                arguments += (
                    one.user_id,
                    str(one.device_no),
                    "-" if one.rank is None else str(one.rank),
                    str(int(one.lasts_s * 1000)),
                    str(int(one.is_active)),
                    "-" if one.message is None else f"={one.message}",
                )
            await self._run(_PUT, arguments)

    async def settle(self, user_ids: Iterable[str]) -> None:
        """Tell of these users whatever others should know, also if nothing is kept of them."""
        users = list(user_ids)
        for first in range(0, len(users), _BATCH_MAX):
            await self._run(_SETTLE, users[first : first + _BATCH_MAX])

    async def get(self, user_id: str) -> State:
        """One user, now."""
        return _state(await self._run(_GET, [user_id]))

    async def since(self, version: int) -> tuple[str, list[State], bool]:
        """Which life of Valkey's data this is, who changed behind that version, oldest first, and
        whether there are more."""
        answer = await self._run(_SINCE, [str(version), str(_CHANGES_MAX)])
        states = [_state(one) for one in answer[1:]]
        return _text(answer[0]), states, len(states) == _CHANGES_MAX

    async def _run(self, script: Script, arguments: list[str]) -> Any:
        return await self._cache.invoke_script(script, keys=list(_KEYS), args=list(arguments))


def _state(parts: Sequence[Any]) -> State:
    user, shown, active, *version = map(_text, parts)
    return State(
        user,
        int(shown[0]),
        shown[1] == "1",
        shown[2:],
        int(float(active)),
        int(float(version[0])) if version else 0,
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
