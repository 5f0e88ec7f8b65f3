"""The commands: `python -m social migrate | seed | recount`."""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files

from systems_common.commands import count_from, run_command, said_of_migrations
from systems_common.database import connect
from systems_common.migrations import migrate, read_migrations

from social.counting import recount
from social.seed import SeedError, seed
from social.settings import DatabaseSettings

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run_command(
        _parser(), DatabaseSettings, _run, failures=(SeedError,), arguments=arguments
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="social", description="Prepare the database that DATABASE_URL names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the tables up to date")
    sowing = commands.add_parser(
        "seed", help="fill an empty database; with SEED_TOKEN every account has a token"
    )
    sowing.add_argument("--accounts", type=count_from(0), default=5_000, help="default: 5000")
    sowing.add_argument(
        "--follows", type=count_from(0), default=30, help="of each account; default: 30"
    )
    sowing.add_argument("--statuses", type=count_from(0), default=50_000, help="default: 50000")
    commands.add_parser(
        "recount", help="make the stored counters anew, while the service does not run"
    )
    return parser


async def _run(options: argparse.Namespace, settings: DatabaseSettings) -> None:
    connection = await connect(settings.database_url, name=f"social {options.command}")
    try:
        if options.command == "migrate":
            applied = await migrate(connection, read_migrations(files("social") / "migrations"))
            print(said_of_migrations(applied))
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
