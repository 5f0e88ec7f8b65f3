"""The commands: `python -m messaging migrate | seed | restored | reports`."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files

from systems_common.commands import count_from, run_command, said_of_migrations
from systems_common.database import connect
from systems_common.migrations import migrate, read_migrations

from messaging.reporting import reports
from messaging.restoring import restored
from messaging.seed import SeedError, seed
from messaging.settings import CommandSettings

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run_command(_parser(), CommandSettings, _run, failures=(SeedError,), arguments=arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="messaging", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database with made-up users, whose password is SEED_PASSWORD"
    )
    sowing.add_argument("--users", type=count_from(1), default=400, help="default: 400")
    commands.add_parser(
        "restored", help="make a database that was restored from a dump fit for use again"
    )
    commands.add_parser("reports", help="what users reported, a line of JSON each")
    return parser


async def _run(options: argparse.Namespace, settings: CommandSettings) -> None:
    if options.command == "seed" and not settings.seed_password:
        raise SeedError("SEED_PASSWORD is not set; expected the password of the made-up users")
    connection = await connect(settings.database_url, name=f"messaging {options.command}")
    try:
        if options.command == "migrate":
            applied = await migrate(connection, read_migrations(files("messaging") / "migrations"))
            print(said_of_migrations(applied))
        elif options.command == "seed":
            rooms = await seed(
                connection,
                users=options.users,
                server_name=settings.server_name,
                password=settings.seed_password,
            )
            print(f"seeded {options.users} users in {rooms} rooms")
        elif options.command == "reports":
            async for line in reports(connection):
                print(line)
        else:
            await restored(connection)
            print("positions of clients from before are not valid any more; they start anew")
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
