from flask import Blueprint

bp = Blueprint("shop", __name__)


@bp.route("/")
def index():
    return "hello"


@bp.route("/items/<int:item_id>", methods=["GET", "DELETE"])
def item(item_id):
    return str(item_id)


@bp.route("/orders", methods=["POST"])
def order():
    return "", 201
