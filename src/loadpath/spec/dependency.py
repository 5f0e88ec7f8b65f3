"""Dependencies: the processes a service needs besides itself."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

DependencyKind: TypeAlias = Literal["postgres", "valkey", "nats", "http"]


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency. Embedded (started by Loadpath) unless `url` is given; `http` always is.

    `env` maps environment variables of the service to templates over {host}, {port}, {user},
    {password}, {name} (a template with none of them is passed as it is). `prepare` and `seed` are
    command lines, already split, run once with the service's environment; a snapshot of what they
    leave is restored before every arm. `settings` go to an embedded server's configuration.
    `extensions` are PostgreSQL extensions the service needs.
    """

    name: str
    kind: DependencyKind
    env: dict[str, str]
    url: str | None = None
    prepare: tuple[str, ...] | None = None
    seed: tuple[str, ...] | None = None
    settings: dict[str, str] = {}
    extensions: tuple[str, ...] = ()
