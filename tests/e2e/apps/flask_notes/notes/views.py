"""The routes."""

import json

from flask import Blueprint, abort, current_app, request

from notes.database import connection

bp = Blueprint("notes", __name__)

KEPT_S = 30
WITH_TAGS = """
    SELECT n.id, n.title, n.body, to_char(n.created_at, 'YYYY-MM-DD') AS created_on,
           coalesce(array_agg(t.name) FILTER (WHERE t.name IS NOT NULL), '{}') AS tags
      FROM note n LEFT JOIN tag t ON t.note_id = n.id
"""


@bp.get("/healthz")
def healthz():
    return {"status": "ok"}


@bp.get("/notes")
def index():
    limit = min(request.args.get("limit", 20, type=int), 100)
    rows = connection().execute(
        "SELECT id, title FROM note ORDER BY created_at DESC, id DESC LIMIT %s", (limit,)
    )
    return rows.fetchall()


@bp.get("/notes/search")
def search():
    rows = connection().execute(
        "SELECT id, title FROM note WHERE body ILIKE %s ORDER BY id LIMIT 20",
        (f"%{request.args['q']}%",),
    )
    return rows.fetchall()


@bp.get("/notes/<int:note_id>")
def show(note_id: int):
    cache = current_app.extensions["redis"]
    kept = cache.get(f"note:{note_id}")
    if kept is not None:
        return json.loads(kept)
    row = connection().execute(f"{WITH_TAGS} WHERE n.id = %s GROUP BY n.id", (note_id,)).fetchone()
    if row is None:
        abort(404)
    cache.set(f"note:{note_id}", json.dumps(row), ex=KEPT_S)
    return row


@bp.get("/tags/<name>")
def tagged(name: str):
    rows = connection().execute(
        f"{WITH_TAGS} WHERE n.id IN (SELECT note_id FROM tag WHERE name = %s) "
        "GROUP BY n.id ORDER BY n.id LIMIT 20",
        (name,),
    )
    return rows.fetchall()


@bp.post("/notes")
def create():
    sent = request.get_json()
    db = connection()
    row = db.execute(
        "INSERT INTO note (title, body) VALUES (%s, %s) RETURNING id",
        (sent["title"], sent["body"]),
    ).fetchone()
    for name in sent.get("tags", []):
        db.execute("INSERT INTO tag (note_id, name) VALUES (%s, %s)", (row["id"], name))
    db.commit()
    return row, 201
