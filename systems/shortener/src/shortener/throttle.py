"""What is limited: calls of an address, calls of an API key, tries at a password."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from glide import GlideClient
from systems_common.clients import Network, client_address
from systems_common.limits import Limit, LocalLimiter, ValkeyLimiter, Verdict, headers_of
from systems_common.problems import PROBLEM_JSON

from shortener import problems

__all__ = ["Throttle"]

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]

_VERDICT = "shortener.verdict"
TRIES_OF_ADDRESS = Limit(5, 60.0)
"""Tries at the password of one link from one address."""
TRIES_OF_LINK = Limit(50, 600.0)
"""Tries at the password of one link from anywhere."""


class Throttle:
    """The limits of a process. 0 calls a minute means that there is no limit."""

    def __init__(
        self,
        cache: GlideClient | None,
        *,
        per_address: int,
        per_key: int,
        trusted: tuple[Network, ...],
        secret: str,
    ) -> None:
        self._valkey = (
            ValkeyLimiter(cache, prefix="shortener:limit:") if cache is not None else None
        )
        self._local = LocalLimiter()
        self._per_address = Limit(per_address) if per_address else None
        self._per_key = Limit(per_key) if per_key else None
        self._trusted = trusted
        self._secret = hashlib.sha256(secret.encode()).digest()

    @property
    def watches(self) -> bool:
        """Whether calls are limited at all."""
        return self._per_address is not None or self._per_key is not None

    async def admit(self, scope: Scope, send: Send) -> Send | None:
        """Count a call for its address. None: it was refused and answered; otherwise how to answer
        it, with the headers that say what is left.
        """

        async def send_with_limits(message: Any) -> None:
            verdict: Verdict | None = scope.get(_VERDICT)
            if message["type"] == "http.response.start" and verdict is not None:
                message["headers"] = [*message["headers"], *headers_of(verdict)]
            await send(message)

        if self._per_address is not None and self._valkey is not None:
            verdict = await self._valkey.take(f"address:{self._caller(scope)}", self._per_address)
            scope[_VERDICT] = verdict
            if verdict is not None and not verdict.allowed:
                await _refuse(send_with_limits)
                return None
        return send_with_limits

    async def count_key(self, scope: Scope, api_key_id: int) -> None:
        """Count a call for its API key. Raises the problem of a key that calls too often."""
        if self._per_key is None or self._valkey is None:
            return
        verdict = await self._valkey.take(f"key:{api_key_id}", self._per_key)
        if verdict is None:
            return
        scope[_VERDICT] = verdict
        if not verdict.allowed:
            raise problems.too_many_requests()

    async def try_password(self, scope: Scope, link_id: int) -> Verdict:
        """Count a try at the password of a link; this one limit also holds without Valkey."""
        of_link = f"password:{link_id}"
        verdicts = []
        for caller, limit in (
            (f"{of_link}:{self._caller(scope)}", TRIES_OF_ADDRESS),
            (of_link, TRIES_OF_LINK),
        ):
            verdict = await self._valkey.take(caller, limit) if self._valkey else None
            verdicts.append(verdict or self._local.take(caller, limit))
            if not verdicts[-1].allowed:
                break
        return verdicts[-1]

    def _caller(self, scope: Scope) -> str:
        # Valkey gets no address: a keyed digest tells callers apart, and ends with the window.
        address = client_address(scope, self._trusted)
        try:
            found = ip_address(address)
        except ValueError:
            found = None
        if isinstance(found, IPv6Address):
            # A household has 2**64 of them.
            address = str(IPv6Address(int(found) >> 64 << 64))
        return hashlib.blake2b(address.encode(), key=self._secret, digest_size=12).hexdigest()


async def _refuse(send: Send) -> None:
    problem = problems.too_many_requests()
    body = problem.body()
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
