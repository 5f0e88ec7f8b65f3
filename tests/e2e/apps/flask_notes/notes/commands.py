"""What is done on the command line."""

import click
from flask import Flask, current_app

from notes.database import connection


@click.command("init-db")
def init_db() -> None:
    """Make the tables."""
    with current_app.open_resource("schema.sql", "r") as file:
        connection().execute(file.read())
    connection().commit()
    click.echo("The tables are there.")


@click.command("seed")
@click.option("--notes", default=300, show_default=True)
def seed(notes: int) -> None:
    """Write some notes."""
    db = connection()
    db.execute(
        "INSERT INTO note (title, body) SELECT 'Note ' || n, repeat('Remember this. ', 1 + n %% 9) "
        "FROM generate_series(1, %s) n",
        (notes,),
    )
    db.execute(
        "INSERT INTO tag (note_id, name) "
        "SELECT id, (ARRAY['home', 'work', 'books', 'music'])[1 + id % 4] FROM note"
    )
    db.commit()


def init_app(app: Flask) -> None:
    app.cli.add_command(init_db)
    app.cli.add_command(seed)
