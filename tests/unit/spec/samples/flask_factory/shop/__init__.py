import os

from flask import Flask

from shop.views import bp


def create_app(config=None):
    app = Flask(__name__)
    app.config["DSN"] = os.getenv("PG_DSN")
    app.register_blueprint(bp, url_prefix="/shop")
    return app
