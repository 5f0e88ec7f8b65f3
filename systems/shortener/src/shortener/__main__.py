"""The commands: `python -m shortener migrate | seed | api-key`."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from typing import Any

from systems_common.commands import count_from, run_command, said_of_migrations
from systems_common.database import connect
from systems_common.migrations import migrate, read_migrations

from shortener.drafts import moment_of
from shortener.guard import BanError, ban, banned_hosts, unban
from shortener.indexes import set_visit_index
from shortener.keys import add_key, new_key
from shortener.seed import SeedError, seed
from shortener.settings import DatabaseSettings

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run_command(
        _parser(), DatabaseSettings, _run, failures=(SeedError, BanError), arguments=arguments
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shortener", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database with made-up links; adds SEED_API_KEY when it is set"
    )
    sowing.add_argument("--links", type=count_from(0), default=100_000, help="default: 100000")
    sowing.add_argument("--visits", type=count_from(0), help="default: twice the links")
    banning = commands.add_parser("ban", help="ban a host with all its subdomains")
    banning.add_argument("host")
    unbanning = commands.add_parser("unban", help="take a ban back")
    unbanning.add_argument("host")
    commands.add_parser("banned", help="list the banned hosts")
    key = commands.add_parser("api-key", help="make an API key and print it, this once")
    key.add_argument("--name", default="unnamed", help="what it is for")
    key.add_argument("--expires", type=_moment, metavar="DATE", help="ISO 8601; default: never")
    return parser


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
            print(said_of_migrations(applied))
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
