"""A dependency that runs: where it is, what to connect with, and whose it is."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import msgspec

from loadpath.deploy.address import Address, is_this_machine
from loadpath.errors import ConfigurationError, UnsafeTargetError
from loadpath.spec import Dependency, DependencyKind, Setup


class RunningDependency(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to connect. `name` is the database's; `version` is "" when unknown.

    `url` holds the password. `embedded` says whether Loadpath started it.
    """

    kind: DependencyKind
    host: str
    port: int
    user: str
    password: str
    name: str
    version: str
    url: str
    embedded: bool

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(self.host, self.port)

    def values(self, address: Address | None = None) -> dict[str, str]:
        """What the placeholders of environment templates stand for, at another address if given."""
        at = address or self.address
        return {
            "host": at.host,
            "port": str(at.port),
            "user": self.user,
            "password": self.password,
            "name": self.name,
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return tuple({self.password, quote(self.password, safe="")} - {""})


def url_of(scheme: str, user: str, password: str, address: Address, name: str) -> str:
    """A connection URL of the usual form."""
    login = quote(user, safe="")
    login += f":{quote(password, safe='')}@" if password else "@" if login else ""
    return f"{scheme}://{login}{address}" + (f"/{quote(name, safe='')}" if name else "")


def given_dependency(
    dependency: Dependency, setup: Setup, *, default_port: int, default_name: str
) -> RunningDependency:
    """A dependency given by URL, as the URL says. It is not contacted.

    Raises `ConfigurationError` for a URL without a host, `UnsafeTargetError` when the host is
    neither this machine nor allowed.
    """
    where = f"[dependencies.{dependency.name}] url"
    url = dependency.url or ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default_port
    except ValueError as error:
        raise ConfigurationError(f"{where}: not one address: {error}", key="url") from None
    if not parts.scheme or not host:
        raise ConfigurationError(
            f"{where}: expected scheme://user:password@host:port/name with a host",
            key="url",
            advice="A server on a Unix socket is reached by TCP too: give 127.0.0.1 and its port.",
        )
    if host not in setup.allow_hosts and not is_this_machine(host):
        raise UnsafeTargetError(
            f"dependency {dependency.name} is at {host}, which is not this machine",
            advice=f"If the load may reach it, say so: --allow-host {host}",
        )
    return RunningDependency(
        kind=dependency.kind,
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        name=unquote(parts.path.lstrip("/")) or default_name,
        version="",
        url=url,
        embedded=False,
    )
