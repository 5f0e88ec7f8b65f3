"""Notes with tags."""

import os

import redis
from flask import Flask


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        DSN=os.environ.get(
            "NOTES_DSN", "host=localhost port=5432 user=notes password=notes dbname=notes"
        ),
        REDIS_URL=os.environ.get("REDIS_URL", "redis://localhost:6379/0"),
    )
    app.extensions["redis"] = redis.Redis.from_url(app.config["REDIS_URL"])

    from notes import commands, database, views

    database.init_app(app)
    commands.init_app(app)
    app.register_blueprint(views.bp)
    return app
