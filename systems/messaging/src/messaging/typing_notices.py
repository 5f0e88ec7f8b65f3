"""Who types, in Valkey with expiry and never in the database.

Each change gets the next version, in one script with the change, so a reader that asks for what
changed behind a version misses none.
"""

from __future__ import annotations

import logging
import time

from glide import GlideClient, GlideError, Script

__all__ = ["TYPING_MAX_MS", "TypingNotices"]

log = logging.getLogger(__name__)

TYPING_MAX_MS = 120_000
_VERSION = "messaging:typing:version"
_CHANGED = "messaging:typing:changed"


def _script(text: str) -> Script:
    return Script(text)  # type: ignore[no-untyped-call]


# ARGV: user, until (ms; 0: stopped), now (ms), room.
_SET = _script("""
local version = redis.call('INCR', KEYS[1])
if ARGV[2] == '0' then redis.call('HDEL', KEYS[3], ARGV[1])
else redis.call('HSET', KEYS[3], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[3], 120000)
redis.call('ZADD', KEYS[2], version, ARGV[4])
if version % 100 == 0 then redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -10001) end
return version""")
# ARGV: now (ms), room. Takes away whose time is over, unless it was given more meanwhile.
_EXPIRE = _script("""
local pairs = redis.call('HGETALL', KEYS[3])
local ended = false
for i = 1, #pairs, 2 do
  if tonumber(pairs[i + 1]) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[3], pairs[i])
    ended = true
  end
end
if ended then
  local version = redis.call('INCR', KEYS[1])
  redis.call('ZADD', KEYS[2], version, ARGV[2])
end""")
# ARGV: version. What changed behind it, each with who types there.
_SINCE = _script("""
local version = tonumber(redis.call('GET', KEYS[1]) or '0')
local found = {tostring(version)}
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf')) do
  found[#found + 1] = {room, redis.call('HGETALL', KEYS[3] .. room)}
end
return found""")
_ROOM = "messaging:typing:room:"


class TypingNotices:
    """Sets and reads who types. Without Valkey nobody does."""

    def __init__(self, cache: GlideClient | None) -> None:
        self._cache = cache

    async def set(self, room_no: int, user_id: str, timeout_ms: int) -> bool:
        """The user types for so long, 0: no more. Whether it was kept."""
        if self._cache is None:
            return False
        now_ms = int(time.time() * 1000)
        until = now_ms + min(timeout_ms, TYPING_MAX_MS) if timeout_ms else 0
        try:
            await self._cache.invoke_script(
                _SET,
                keys=[_VERSION, _CHANGED, f"{_ROOM}{room_no}"],
                args=[user_id, str(until), str(now_ms), str(room_no)],
            )
        except GlideError as error:
            log.info("typing is not kept", extra={"error": repr(error)})
            return False
        return True

    async def expire(self, room_no: int) -> None:
        """Take away whose time in a room is over."""
        if self._cache is None:
            return
        try:
            await self._cache.invoke_script(
                _EXPIRE,
                keys=[_VERSION, _CHANGED, f"{_ROOM}{room_no}"],
                args=[str(int(time.time() * 1000)), str(room_no)],
            )
        except GlideError as error:
            log.info("typing does not expire", extra={"error": repr(error)})

    async def since(self, version: int) -> tuple[int, dict[int, dict[str, int]]] | None:
        """The version now, and for each room that changed behind `version` who types until when
        (ms). None when Valkey does not answer."""
        if self._cache is None:
            return None
        try:
            answer = await self._cache.invoke_script(
                _SINCE, keys=[_VERSION, _CHANGED, _ROOM], args=[str(version)]
            )
        except GlideError as error:
            log.info("typing is not read", extra={"error": repr(error)})
            return None
        assert isinstance(answer, list)
        rooms: dict[int, dict[str, int]] = {}
        for room, pairs in answer[1:]:
            users = [_text(part) for part in pairs]
            rooms[int(_text(room))] = {
                user: int(until) for user, until in zip(users[::2], users[1::2], strict=True)
            }
        return int(_text(answer[0])), rooms


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
