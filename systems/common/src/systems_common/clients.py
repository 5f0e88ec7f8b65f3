"""Who asks: the address of a client, behind proxies or not, and what may be kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

__all__ = ["Network", "anonymized", "client_address", "networks_of"]

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address
_KEPT_BITS = {4: 24, 6: 48}


def anonymized(address: str) -> str:
    """The address without its last octet (IPv4) or its last 80 bits (IPv6); "" when it is none.

    An IPv4 address written as IPv6 is treated as the IPv4 address that it is.
    """
    found = _parsed(address)
    if found is None:
        return ""
    network = ip_network(f"{found}/{_KEPT_BITS[found.version]}", strict=False)
    return str(network.network_address)


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks and addresses, separated by commas or blanks. Raises `ValueError`."""
    return tuple(ip_network(part, strict=False) for part in text.replace(",", " ").split())


def client_address(scope: Mapping[str, Any], trusted: Iterable[Network]) -> str:
    """The address of who asks; "" when the server does not know it.

    `X-Forwarded-For` counts only where a trusted proxy wrote it: it is read from its end, past
    the proxies that are trusted, to the first address that is not. What stands before that was
    written by the client and may say anything.
    """
    peer = (scope.get("client") or ("",))[0]
    trusted = tuple(trusted)
    if not trusted or not _is_in(peer, trusted):
        return str(peer)
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    address = str(peer)
    for part in reversed(forwarded.decode("latin-1").split(",")):
        found = _parsed(part)
        if found is None:
            break
        address = str(found)
        if not _is_in(address, trusted):
            break
    return address


def _parsed(text: str) -> _Address | None:
    try:
        found = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # A scope such as %eth0 says something of the host that wrote it, nothing of the client.
        return found.ipv4_mapped or IPv6Address(int(found))
    return found


@lru_cache(maxsize=4_096)
def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    found = _parsed(address)
    return found is not None and any(found in network for network in networks)
