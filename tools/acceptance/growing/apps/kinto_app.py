"""Kinto, a store of JSON with an HTTP API: accounts, buckets, collections, records."""

from __future__ import annotations

import base64
import json
import os
from importlib.metadata import version
from urllib.parse import quote

from kinto import DEFAULT_SETTINGS, main
from pyramid.request import Request

password = quote(os.environ["PGPASSWORD"], safe="")
where = f"{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
url = f"postgresql+psycopg2://{os.environ['PGUSER']}:{password}@{where}"
app = main(
    {},
    **{
        **DEFAULT_SETTINGS,
        "userid_hmac_secret": "tried",
        "includes": "kinto.plugins.accounts kinto.plugins.history",
        "multiauth.policies": "account",
        "multiauth.policy.account.use": "kinto.plugins.accounts.AccountsPolicy",
        "account_create_principals": "system.Everyone",
        "bucket_create_principals": "system.Authenticated",
        "storage_backend": "kinto.core.storage.postgresql",
        "storage_url": url,
        "permission_backend": "kinto.core.permission.postgresql",
        "permission_url": url,
        "cache_backend": "kinto.core.cache.postgresql",
        "cache_url": url,
    },
)
for backend in (app.registry.storage, app.registry.permission, app.registry.cache):
    backend.initialize_schema()


def put(path: str, body: dict[str, object], who: str | None = None) -> None:
    """Store something, as somebody."""
    request = Request.blank(f"/v1{path}", method="PUT", body=json.dumps(body).encode())
    request.content_type = "application/json"
    if who is not None:
        login = base64.b64encode(f"{who}:word-of-{who}".encode()).decode()
        request.headers["Authorization"] = f"Basic {login}"
    reply = request.send(app)
    if reply.status_int not in (200, 201):
        raise SystemExit(f"PUT {path}: {reply.status} {reply.text}")


for n in range(20):
    who = f"user{n}"
    put(f"/accounts/{who}", {"data": {"password": f"word-of-{who}"}})
    put(f"/buckets/of-{who}", {}, who)
    put(f"/buckets/of-{who}/collections/notes", {}, who)
    for m in range(60 // (n + 1)):
        note = {"title": f"note {m}", "words": "word " * m}
        put(f"/buckets/of-{who}/collections/notes/records/note-{m}", {"data": note}, who)
print(version("kinto"))
