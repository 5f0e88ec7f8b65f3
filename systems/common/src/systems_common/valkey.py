"""Valkey through valkey-glide, whose GET costs 37 µs of CPU where redis-py's costs 56 (see
DECISIONS.md of the shortener for how that was measured).
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from glide import (
    BackoffStrategy,
    GlideClient,
    GlideClientConfiguration,
    Logger,
    LogLevel,
    NodeAddress,
    ServerCredentials,
)

__all__ = ["configuration", "connect"]


def configuration(url: str, *, name: str, timeout_s: float) -> GlideClientConfiguration:
    """What glide wants, from `redis[s]://[user][:password]@host[:port][/number]`.

    Raises `ValueError` for an address of another form.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "valkey", "valkeys") or not parts.hostname:
        raise ValueError("expected redis://[:password@]host[:port][/database] (or rediss://)")
    credentials = None
    if parts.password is not None:
        credentials = ServerCredentials(
            password=unquote(parts.password), username=unquote(parts.username or "") or None
        )
    return GlideClientConfiguration(
        [NodeAddress(parts.hostname, parts.port or 6379)],
        use_tls=parts.scheme in ("rediss", "valkeys"),
        credentials=credentials,
        database_id=int(parts.path.strip("/") or 0),
        request_timeout=int(timeout_s * 1000),
        client_name=name,
        # Up to about a second between attempts, so that a cache that is back is used again soon.
        reconnect_strategy=BackoffStrategy(num_of_retries=4, factor=50, exponent_base=2),
        # A cache that is away must not keep the service from starting.
        lazy_connect=True,
    )


async def connect(url: str, *, name: str, timeout_s: float = 0.25) -> GlideClient:
    """A client that connects at its first command; each may take `timeout_s`."""
    Logger.set_logger_config(LogLevel.OFF)
    return await GlideClient.create(configuration(url, name=name, timeout_s=timeout_s))
