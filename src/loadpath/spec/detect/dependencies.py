"""Which dependencies a project has, and through which variables it learns where they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

from loadpath.spec.dependency import DependencyKind
from loadpath.spec.detect.found import Commands, FoundDependency
from loadpath.spec.detect.project import Project, Variable

PACKAGES: dict[DependencyKind, tuple[str, ...]] = {
    "postgres": (
        *("asyncpg", "psycopg", "psycopg-binary", "psycopg2", "psycopg2-binary", "pg8000", "aiopg"),
        *("pg", "pg-promise", "postgres", "@neondatabase/serverless"),
    ),
    "valkey": (
        *("redis", "valkey", "valkey-glide", "aioredis", "django-redis", "django-valkey"),
        *("celery[redis]", "flask-redis", "ioredis", "iovalkey", "@redis/client", "bullmq"),
        *("connect-redis", "@valkey/valkey-glide"),
    ),
    "nats": ("nats-py", "asyncio-nats-client", "nats", "@nats-io/transport-node", "nats-core"),
}
UNSUPPORTED = {
    "MySQL": ("mysqlclient", "pymysql", "aiomysql", "asyncmy", "mysql", "mysql2"),
    "MongoDB": ("pymongo", "motor", "mongoengine", "beanie", "mongodb", "mongoose"),
    "Kafka": ("confluent-kafka", "kafka-python", "aiokafka", "kafkajs"),
    "RabbitMQ": ("pika", "aio-pika", "amqplib"),
    "Elasticsearch": ("elasticsearch", "opensearch-py", "@elastic/elasticsearch"),
    "Memcached": ("pymemcache", "python-memcached", "aiomcache", "memcached", "memjs"),
}
NAMES: dict[DependencyKind, str] = {"postgres": "database", "valkey": "cache", "nats": "broker"}

_OWNED: dict[DependencyKind, str] = {
    "postgres": r"PG|POSTGRES(?:QL)?|DB|DATABASE|SQLALCHEMY|SQL|JDBC",
    "valkey": r"REDIS|VALKEY|CACHE|CELERY|BROKER|QUEUE",
    "nats": r"NATS",
}
_URL = r"(?:URL|URI|DSN|SERVERS?|CONNECTION(?:_STRING)?|BROKER|BACKEND)"
_PARTS = (
    # (what the name ends in, what it is filled with)
    (r"HOST(?:NAME)?|ADDR(?:ESS)?", "{host}"),
    (r"PORT", "{port}"),
    (r"USER(?:NAME)?", "{user}"),
    (r"PASS(?:WORD)?|PWD|AUTH", "{password}"),
    (r"NAME|DB|DBNAME|DATABASE", "{name}"),
)
_LIBPQ = {
    "PGHOST": "{host}",
    "PGPORT": "{port}",
    "PGUSER": "{user}",
    "PGPASSWORD": "{password}",
    "PGDATABASE": "{name}",
}
# libpq's other way to write an address: keywords and values.
_CONNINFO = re.compile(r"\s*(?:host|port|user|password|dbname|hostaddr)\s*=", re.IGNORECASE)
_CONNINFO_FILLED = "host={host} port={port} user={user} password={password} dbname={name}"
_READS_LIBPQ = ("asyncpg", "psycopg", "psycopg-binary", "psycopg2", "psycopg2-binary", "pg")


class _Address(msgspec.Struct, frozen=True):
    env: dict[str, str]
    notes: tuple[str, ...] = ()


def find_dependencies(project: Project, commands: Commands) -> tuple[FoundDependency, ...]:
    """The dependencies that the project's packages and settings tell of.

    `commands` are those that lay out the database and fill it.
    """
    found = []
    for kind, packages in PACKAGES.items():
        because = next((p for p in packages if p in project.packages), None)
        because = because or _said_in_settings(project, kind)
        if because is None:
            continue
        address = _address(project, kind)
        found.append(
            FoundDependency(
                name=NAMES[kind],
                kind=kind,
                because=because,
                env=address.env,
                commands=commands if kind == "postgres" else Commands(),
                notes=address.notes,
            )
        )
    return tuple(found)


def find_unsupported(project: Project) -> tuple[str, ...]:
    """Servers that the project seems to need and Loadpath cannot start itself."""
    return tuple(
        name for name, packages in UNSUPPORTED.items() if project.packages.intersection(packages)
    )


def owner_of(variable: str) -> DependencyKind | None:
    """The kind of dependency that a variable seems to be about."""
    for kind, prefix in _OWNED.items():
        if re.match(rf"(?:\w+_)?(?:{prefix})(?:_|[A-Z]*$|\d)", variable):
            return kind
    return None


def _said_in_settings(project: Project, kind: DependencyKind) -> str | None:
    schemes = {"postgres": "postgres", "valkey": "redis|valkey", "nats": "nats"}[kind]
    for name, variable in project.variables.items():
        if variable.sample and re.match(rf"(?:{schemes})\w*(?:\+\w+)?://", variable.sample):
            return f"the sample value of {name}"
    for path, text in project.sources.items():
        django = kind == "postgres" and re.search(r"django\.db\.backends\.postgresql", text)
        prisma = kind == "postgres" and re.search(r'provider\s*=\s*"postgresql"', text)
        if django or prisma:
            return path
    return None


def _address(project: Project, kind: DependencyKind) -> _Address:
    """Templates for the variables that tell the service where the dependency is."""
    mine = [v for v in project.variables.values() if _is_about(v, kind)]
    if kind == "postgres" and (keyworded := [v for v in mine if _CONNINFO.match(v.sample or "")]):
        return _Address({v.name: _CONNINFO_FILLED for v in keyworded})
    urls = {v.name: _url(project, kind, v) for v in mine if re.search(rf"{_URL}$", v.name)}
    if urls:
        return _Address(urls)
    parts = {v.name: part for v in mine if (part := _part(v.name))}
    if "{host}" in parts.values() or "{port}" in parts.values():
        return _Address(parts, _what_is_missing(parts.values(), kind))
    if kind == "postgres" and project.packages.intersection(_READS_LIBPQ):
        return _Address(
            _LIBPQ,
            ("check this: no variable for its address was found; its driver reads these",),
        )
    guess = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL", "nats": "NATS_URL"}[kind]
    return _Address(
        {guess: _url(project, kind, Variable(guess, None, False))},
        (f"check this: no variable for its address was found; {guess} is a guess",),
    )


def _is_about(variable: Variable, kind: DependencyKind) -> bool:
    if _CONNINFO.match(variable.sample or ""):
        return kind == "postgres"
    if variable.sample and "://" in variable.sample:
        scheme = variable.sample.partition("://")[0].partition("+")[0]
        named = {"postgres": ("postgres",), "valkey": ("redis", "valkey"), "nats": ("nats",)}[kind]
        return scheme.startswith(named)
    return owner_of(variable.name) == kind


def _part(name: str) -> str | None:
    for ending, field in _PARTS:
        if re.search(rf"(?:_|^|PG|DB|POSTGRES|REDIS|VALKEY|NATS)(?:{ending})$", name):
            return field
    return None


def _what_is_missing(fields: Iterable[str], kind: DependencyKind) -> tuple[str, ...]:
    needed = {
        "postgres": ("{host}", "{port}", "{user}", "{password}", "{name}"),
        "valkey": ("{host}", "{port}", "{password}"),
        "nats": ("{host}", "{port}", "{user}", "{password}"),
    }[kind]
    absent = [n for n in needed if n not in fields]
    if not absent:
        return ()
    return (f"check this: no variable was found that takes {', '.join(absent)}",)


def _url(project: Project, kind: DependencyKind, variable: Variable) -> str:
    sample = variable.sample or ""
    scheme, tail = _scheme(project.packages, kind), ""
    if "://" in sample:
        try:
            parts = urlsplit(sample)
            scheme = parts.scheme or scheme
            tail = parts.path.strip("/") if kind == "valkey" else ""
            tail = tail if tail.isdigit() else ""
        except ValueError:
            tail = ""
    if kind == "postgres":
        return f"{scheme}://{{user}}:{{password}}@{{host}}:{{port}}/{{name}}"
    if kind == "valkey":
        return f"{scheme}://:{{password}}@{{host}}:{{port}}/{tail or '0'}"
    return f"{scheme}://{{user}}:{{password}}@{{host}}:{{port}}"


def _scheme(packages: Iterable[str], kind: DependencyKind) -> str:
    if kind != "postgres":
        return {"valkey": "redis", "nats": "nats"}[kind]
    names = set(packages)
    if "sqlalchemy" in names or "sqlmodel" in names:
        if "asyncpg" in names:
            return "postgresql+asyncpg"
        if names & {"psycopg", "psycopg-binary"}:
            return "postgresql+psycopg"
    return "postgresql"


def required_elsewhere(
    variables: Mapping[str, Variable], taken: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """Variables the code insists on that no dependency fills: name → (value, note)."""
    spoken_for = {*taken, "PORT", "HOST", "HOME", "PATH", "USER", "LANG", "TZ"}
    found: dict[str, tuple[str, str]] = {}
    for name, variable in variables.items():
        if variable.required and name not in spoken_for:
            if name.endswith("ALLOWED_HOSTS"):
                found[name] = ("127.0.0.1,localhost", "check this: requests come from 127.0.0.1")
            elif variable.sample:
                found[name] = (variable.sample, "from the example")
            else:
                found[name] = ("change-me", "check this: the code needs it")
    return found
