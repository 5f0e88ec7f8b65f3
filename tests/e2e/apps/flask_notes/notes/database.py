"""A connection for each request."""

import psycopg
from flask import Flask, current_app, g
from psycopg.rows import dict_row


def connection() -> psycopg.Connection:
    if "connection" not in g:
        g.connection = psycopg.connect(current_app.config["DSN"], row_factory=dict_row)
    return g.connection


def close(error: BaseException | None = None) -> None:
    opened = g.pop("connection", None)
    if opened is not None:
        opened.close()


def init_app(app: Flask) -> None:
    app.teardown_appcontext(close)
