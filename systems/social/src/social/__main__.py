"""The commands: `python -m social migrate | seed | recount`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.resources import files

from systems_common.database import DatabaseUnavailableError, connect
from systems_common.migrations import MigrationError, migrate, read_migrations
from systems_common.settings import SettingsError, from_environment

from social.counting import recount
from social.seed import SeedError, seed
from social.settings import DatabaseSettings

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
        print(f"social: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION
    except (DatabaseUnavailableError, MigrationError, SeedError) as error:
        print(f"social {options.command}: {error}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="social", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database; with SEED_TOKEN every account has a token"
    )
    sowing.add_argument("--accounts", type=_count, default=5_000, help="default: 5000")
    sowing.add_argument("--follows", type=_count, default=30, help="of each account; default: 30")
    sowing.add_argument("--statuses", type=_count, default=50_000, help="default: 50000")
    commands.add_parser(
        "recount", help="make the stored counters anew, while the service does not run"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("expected 0 or more")
    return number


async def _run(options: argparse.Namespace, settings: DatabaseSettings) -> None:
    connection = await connect(settings.database_url, name=f"social {options.command}")
    try:
        if options.command == "migrate":
            applied = await migrate(connection, read_migrations(files("social") / "migrations"))
            names = ", ".join(f"{done.number:04d}_{done.name}" for done in applied)
            print(f"applied {names}" if names else "nothing to apply")
        elif options.command == "seed":
            await seed(
                connection,
                accounts=options.accounts,
                follows=options.follows,
                statuses=options.statuses,
                threshold=settings.fanout_threshold,
                token_prefix=settings.seed_token,
            )
            print(f"seeded {options.accounts} accounts and {options.statuses} statuses")
        else:
            await recount(connection)
            print("counted")
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
