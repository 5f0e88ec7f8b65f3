"""Bounds on guessing: failed logins of a user, counted in Valkey for all processes together."""

from __future__ import annotations

import hashlib
import logging

from glide import GlideClient, GlideError

from messaging.errors import MatrixError

__all__ = ["LoginThrottle"]

log = logging.getLogger(__name__)
_WINDOW_S = 60


class LoginThrottle:
    """Refuses logins as a user after too many that failed. Without Valkey it lets all through."""

    def __init__(self, cache: GlideClient | None, failures_max: int) -> None:
        self._cache = cache if failures_max else None
        self._max = failures_max

    @staticmethod
    def _key(user_id: str) -> str:
        return f"messaging:login:{hashlib.sha256(user_id.encode()).hexdigest()[:32]}"

    async def admit(self, user_id: str) -> None:
        """Raises M_LIMIT_EXCEEDED when too many have failed within the last minute."""
        if self._cache is None:
            return
        try:
            count = await self._cache.get(self._key(user_id))
            if count is None or int(count) < self._max:
                return
            left_ms = max(1, await self._cache.pttl(self._key(user_id)))
        except GlideError as error:
            log.warning("logins are not counted", extra={"error": repr(error)})
            return
        raise MatrixError(
            429, "M_LIMIT_EXCEEDED", "Too many failed logins; wait.", retry_after_ms=left_ms
        )

    async def failed(self, user_id: str) -> None:
        """Count one that failed."""
        if self._cache is None:
            return
        key = self._key(user_id)
        try:
            if await self._cache.incr(key) == 1:
                await self._cache.expire(key, _WINDOW_S)
        except GlideError as error:
            log.warning("logins are not counted", extra={"error": repr(error)})
