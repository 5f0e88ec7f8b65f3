"""Gives the tables of the service, its dependencies and its knobs their meaning."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from loadpath.spec import quantities
from loadpath.spec.dependency import Dependency
from loadpath.spec.document import DependencyTable, KnobTable, ServiceFile, TlsTable
from loadpath.spec.knob import Knob
from loadpath.spec.locate import KeyPath
from loadpath.spec.problem import Problem, dotted, hint, missing, nearest, wrong_value
from loadpath.spec.service import Service, Tls

START_FIELDS = ("port", "workers")
ADDRESS_FIELDS = ("host", "port", "user", "password", "name")
URL_SCHEMES: dict[str, tuple[str, ...]] = {
    "postgres": ("postgres", "postgresql"),
    "valkey": ("redis", "rediss", "valkey", "valkeys"),
    "nats": ("nats", "tls"),
    # Through a relay, a certificate would be for another name than the one that is asked for.
    "http": ("http",),
}
# The recording calls the parts by their names, and these two are taken.
RESERVED_NAMES = ("service", "engine")

_FIELD = re.compile(r"\{(\w+)\}")
_READY = re.compile(r"(?:GET|HEAD|POST|OPTIONS) /\S*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PEER = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):(\d{1,5})")


def build_service(file: ServiceFile, directory: Path) -> Service:
    """The service of a checked file. Raises `Problem`."""
    table = file.service
    start = command(table.start, ("service", "start"))
    env = _texts(table.env)
    _check_fields(start, ("service", "start"), START_FIELDS)
    for name, text in env.items():
        _check_fields([text], ("service", "env", name), ("port",))
    if not _READY.fullmatch(table.ready):
        expected = 'a request line such as "GET /health"'
        raise wrong_value(("service", "ready"), expected, table.ready)
    for i, peer in enumerate(table.peers):
        found = _PEER.fullmatch(peer)
        if not found or not 0 < int(found[1]) < 65536:
            raise wrong_value(("service", "peers", i), 'an address such as "host:443"', peer)
    dependencies = tuple(_dependency(n, d) for n, d in file.dependencies.items())
    pools = ("service", *file.dependencies)
    knobs = tuple(_knob(n, k, pools) for n, k in file.knobs.items())
    _check_variables(env, dependencies, knobs)
    return Service(
        name=table.name or directory.name or "service",
        directory=directory,
        start=start,
        ready=table.ready,
        workers=table.workers,
        env=env,
        dependencies=dependencies,
        knobs=knobs,
        ready_timeout_s=quantities.duration_s(table.ready_timeout),
        stop_timeout_s=quantities.duration_s(table.stop_timeout),
        peers=tuple(table.peers),
        tls=_tls(table.tls, directory),
    )


def _tls(written: bool | TlsTable, directory: Path) -> Tls | None:
    if isinstance(written, bool):
        return Tls() if written else None
    if not written.name:
        raise wrong_value(("service", "tls", "name"), "the name in its certificate", written.name)
    if written.ca is None:
        return Tls(name=written.name)
    ca = directory / written.ca
    if not ca.is_file():
        raise wrong_value(("service", "tls", "ca"), "a file of certificates (PEM)", written.ca)
    return Tls(ca=ca, name=written.name)


def _dependency(name: str, table: DependencyTable) -> Dependency:
    path = ("dependencies", name)
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise Problem(
            path,
            f"`{name}` cannot name a dependency: expected letters, digits, - and _, "
            f"and none of {', '.join(RESERVED_NAMES)}",
        )
    if table.kind == "http" and table.url is None:
        raise missing(
            (*path, "url"),
            "where it is: an HTTP service is used as it is, never started",
            advice='For example url = "http://127.0.0.1:9000"',
        )
    if table.url is not None:
        _check_url((*path, "url"), table.url, table.kind)
    elif not table.env:
        raise missing(
            (*path, "env"),
            "the variables that tell the service where it is",
            advice=f"For example env = {{ {name.upper()}_URL = "
            f'"{URL_SCHEMES[table.kind][0]}://{{user}}:{{password}}@{{host}}:{{port}}" }}',
        )
    env = _texts(table.env)
    for variable, text in env.items():
        _check_fields([text], (*path, "env", variable), ADDRESS_FIELDS)
    if table.extensions and table.kind != "postgres":
        raise Problem(
            (*path, "extensions"), f"`{dotted(path)}`: only a postgres dependency has extensions"
        )
    return Dependency(
        name=name,
        kind=table.kind,
        env=env,
        url=table.url,
        prepare=None if table.prepare is None else command(table.prepare, (*path, "prepare")),
        seed=None if table.seed is None else command(table.seed, (*path, "seed")),
        settings=_texts(table.settings),
        extensions=tuple(table.extensions),
    )


def _check_url(path: KeyPath, url: str, kind: str) -> None:
    schemes = URL_SCHEMES[kind]
    expected = f"a {kind} URL such as {schemes[0]}://host:port"
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    else:
        # SQLAlchemy writes the driver behind the scheme.
        valid = valid and parts.scheme.partition("+")[0] in schemes
    if not valid:
        # The password must not end up on a terminal or in a CI log.
        raise wrong_value(path, expected, re.sub(r"//[^/@]*@", "//…@", url))


def _knob(name: str, table: KnobTable, pools: Iterable[str]) -> Knob:
    path = ("knobs", name)
    if not table.env:
        raise wrong_value((*path, "env"), "the name of an environment variable", table.env)
    default = text_of(table.default)
    values = tuple(text_of(v) for v in table.values)
    if default not in values:
        listed = ", ".join(f'"{v}"' for v in values)
        raise Problem(
            (*path, "default"),
            f"`{dotted((*path, 'default'))}`: expected one of its values ({listed}), "
            f'got "{default}"',
        )
    if table.pool is not None:
        _check_pool(name, table.pool, values, pools)
    return Knob(name, table.env, default, values, table.pool)


def _check_pool(name: str, pool: str, values: Iterable[str], pools: Iterable[str]) -> None:
    """It sizes the pool of something there is, in whole numbers."""
    if pool not in pools:
        path: KeyPath = ("knobs", name, "pool")
        near = hint(pool, pools)
        raise Problem(path, f"`{dotted(path)}`: `{pool}` is no dependency{near}")
    for i, value in enumerate(values):
        if not value.isdecimal() or int(value) < 1:
            expected = "a whole number above 0, the size of a pool"
            raise wrong_value(("knobs", name, "values", i), expected, value)


def _check_variables(
    env: Mapping[str, str], dependencies: Iterable[Dependency], knobs: Iterable[Knob]
) -> None:
    """Each variable has one owner: otherwise which value the service gets is anybody's guess."""
    owner = dict.fromkeys(env, "service.env")
    for dependency in dependencies:
        for name in dependency.env:
            path = ("dependencies", dependency.name, "env", name)
            _claim(owner, name, dotted(path[:-1]), path)
    for knob in knobs:
        where = ("knobs", knob.name, "env")
        _claim(owner, knob.env, dotted(where), where)


def _claim(owner: dict[str, str], name: str, claimant: str, path: KeyPath) -> None:
    if name in owner:
        raise Problem(path, f"`{claimant}` sets {name}, which `{owner[name]}` sets already")
    owner[name] = claimant


def _check_fields(texts: Iterable[str], path: KeyPath, valid: tuple[str, ...]) -> None:
    for text in texts:
        for name in _FIELD.findall(text):
            if name not in valid:
                near = nearest(name, valid)
                meant = f"did you mean {{{near}}}?" if near else f"valid: {_braced(valid)}"
                raise Problem(path, f"`{dotted(path)}`: unknown field {{{name}}}; {meant}")


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def command(written: str | list[str], path: KeyPath) -> tuple[str, ...]:
    """The words of a command, split as a shell would; no shell runs it."""
    try:
        words = shlex.split(written) if isinstance(written, str) else written
    except ValueError as error:
        raise wrong_value(path, "a command", written, str(error).lower()) from None
    if not words or not words[0]:
        raise wrong_value(path, 'a command such as "python -m app"', written)
    return tuple(words)


def _texts(values: Mapping[str, str | float | bool]) -> dict[str, str]:
    return {name: text_of(value) for name, value in values.items()}


def text_of(value: str | float | bool) -> str:
    """A value as an environment variable holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
