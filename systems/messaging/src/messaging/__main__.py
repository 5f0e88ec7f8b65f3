"""The commands: `python -m messaging migrate | seed | restored`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.resources import files

from systems_common.database import DatabaseUnavailableError, connect
from systems_common.migrations import MigrationError, migrate, read_migrations
from systems_common.settings import SettingsError, from_environment

from messaging.restoring import restored
from messaging.seed import SeedError, seed
from messaging.settings import CommandSettings

__all__ = ["main"]

_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(CommandSettings, os.environ)
        asyncio.run(_run(options, settings))
    except SettingsError as error:
        print(f"messaging: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION
    except (DatabaseUnavailableError, MigrationError, SeedError) as error:
        print(f"messaging {options.command}: {error}", file=sys.stderr)
        return _EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="messaging", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database with made-up users, whose password is SEED_PASSWORD"
    )
    sowing.add_argument("--users", type=_count, default=400, help="default: 400")
    commands.add_parser(
        "restored", help="make a database that was restored from a dump fit for use again"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


async def _run(options: argparse.Namespace, settings: CommandSettings) -> None:
    if options.command == "seed" and not settings.seed_password:
        raise SeedError("SEED_PASSWORD is not set; expected the password of the made-up users")
    connection = await connect(settings.database_url, name=f"messaging {options.command}")
    try:
        if options.command == "migrate":
            applied = await migrate(connection, read_migrations(files("messaging") / "migrations"))
            names = ", ".join(f"{done.number:04d}_{done.name}" for done in applied)
            print(f"applied {names}" if names else "nothing to apply")
        elif options.command == "seed":
            rooms = await seed(
                connection,
                users=options.users,
                server_name=settings.server_name,
                password=settings.seed_password,
            )
            print(f"seeded {options.users} users in {rooms} rooms")
        else:
            await restored(connection)
            print("positions of clients from before are not valid any more; they start anew")
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
