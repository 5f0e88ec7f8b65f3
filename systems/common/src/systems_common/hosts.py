"""The host of a URL: written in one way, and whether its addresses are the public's."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

__all__ = ["ancestors", "clean_host", "host_of", "is_local_name", "is_public", "literal_address"]

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# A client on such a network reaches an IPv4 host through them: the IPv4 address stands inside.
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa", "lan", "intranet")


def host_of(long_url: str) -> str | None:
    """The host of a URL, as `clean_host` writes it; None when it has none that can be trusted."""
    try:
        return clean_host(urlsplit(long_url).hostname or "")
    except ValueError:
        return None


def clean_host(text: str) -> str | None:
    """A host in lower case, in ASCII, without a final dot; an address in its usual form.

    None for what is no host name. That includes a percent sign, which browsers decode: two
    spellings of one host would pass for two hosts.
    """
    host = text.strip().lower().removesuffix(".")
    host = host.removeprefix("[").removesuffix("]")
    address = literal_address(host)
    if address is not None:
        return str(address)
    try:
        host = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    # Other scripts have dots and digits of their own, which IDNA turns into ours.
    address = literal_address(host.removesuffix("."))
    if address is not None:
        return str(address)
    host = host.removesuffix(".")
    return host if len(host) <= 253 and _NAME.fullmatch(host) else None


def ancestors(host: str) -> list[str]:
    """The host and every domain that it is in, the longest first."""
    if literal_address(host) is not None:
        return [host]
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host spells out, also in the forms that browsers take: 127.1, 0x7f000001,
    2130706433, 0177.0.0.1.
    """
    try:
        return ip_address(host)
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx]+(\.[0-9a-fx]+){0,3}", host) or not host[0].isdigit():
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anybody on the Internet can mean this address.

    Not: private, loopback, link-local, shared (RFC 6598), multicast, documentation, reserved,
    unspecified; nor an IPv6 address that stands for such an IPv4 one (mapped, compatible, 6to4,
    Teredo, NAT64).
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    inner: IPv4Address | None = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and (address in _NAT64 or address in _COMPATIBLE):
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_site_local
        and address not in _NAT64_LOCAL
        and not address.is_reserved
    )


def is_local_name(host: str) -> bool:
    """Whether a name means something of the network where it is asked, whatever DNS says here."""
    return any(name in _LOCAL_NAMES for name in ancestors(host))
