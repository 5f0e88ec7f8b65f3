"""The commands: `python -m shortener migrate | seed | api-key`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.resources import files
from typing import Any

from systems_common.database import DatabaseUnavailableError, connect
from systems_common.migrations import MigrationError, migrate, read_migrations
from systems_common.settings import SettingsError, from_environment

from shortener.drafts import moment_of
from shortener.guard import BanError, ban, banned_hosts, unban
from shortener.indexes import set_visit_index
from shortener.keys import add_key, new_key
from shortener.seed import SeedError, seed
from shortener.settings import DatabaseSettings

__all__ = ["main"]

_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(DatabaseSettings, os.environ)
        asyncio.run(_run(options, settings))
    except SettingsError as error:
        print(f"shortener: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION
    except (DatabaseUnavailableError, MigrationError, SeedError, BanError) as error:
        print(f"shortener {options.command}: {error}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shortener", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database with made-up links; adds SEED_API_KEY when it is set"
    )
    sowing.add_argument("--links", type=_count, default=100_000, help="default: 100000")
    sowing.add_argument("--visits", type=_count, help="default: twice the links")
    banning = commands.add_parser("ban", help="ban a host with all its subdomains")
    banning.add_argument("host")
    unbanning = commands.add_parser("unban", help="take a ban back")
    unbanning.add_argument("host")
    commands.add_parser("banned", help="list the banned hosts")
    key = commands.add_parser("api-key", help="make an API key and print it, this once")
    key.add_argument("--name", default="unnamed", help="what it is for")
    key.add_argument("--expires", type=_moment, metavar="DATE", help="ISO 8601; default: never")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("expected 0 or more")
    return number


def _moment(text: str) -> Any:
    moment = moment_of(text)
    if moment is None:
        raise argparse.ArgumentTypeError("expected a date such as 2027-01-31")
    return moment


async def _run(options: argparse.Namespace, settings: DatabaseSettings) -> None:
    connection = await connect(settings.database_url, name=f"shortener {options.command}")
    try:
        if options.command == "migrate":
            applied = await migrate(connection, read_migrations(files("shortener") / "migrations"))
            await set_visit_index(connection, settings.visit_index)
            names = ", ".join(f"{done.number:04d}_{done.name}" for done in applied)
            print(f"applied {names}" if names else "nothing to apply")
        elif options.command == "seed":
            visits = 2 * options.links if options.visits is None else options.visits
            await seed(connection, links=options.links, visits=visits)
            if settings.seed_api_key:
                await add_key(connection, settings.seed_api_key, "seed")
            print(f"seeded {options.links} links and {visits} visits")
        elif options.command == "ban":
            host = await ban(connection, options.host)
            if host is None:
                raise BanError(f"expected a host such as example.com, got {options.host!r}")
            print(f"banned {host}")
        elif options.command == "unban":
            if not await unban(connection, options.host):
                raise BanError(f"{options.host} is not banned")
            print(f"{options.host} is not banned any more")
        elif options.command == "banned":
            print(*await banned_hosts(connection), sep="\n")
        else:
            key = new_key()
            await add_key(connection, key, options.name, options.expires)
            print(key)
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
