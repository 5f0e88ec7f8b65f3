"""Clients of Kinto's records, which behave as its client libraries do: they try again."""

import base64
import uuid
import zlib

from loadpath.flow import effects, get, operation, post, put, still_holds

# The account that `seed` in loadpath.toml makes.
BASIC = base64.b64encode(b"load:loadpath-embedded-test-key").decode()
HEADERS = {"Authorization": f"Basic {BASIC}"}
LISTS = 20


def records(token):
    """The collection that a record with that token is put into.

    One of several: Kinto refuses (409) the second of two writes to one collection that it gets in
    the same millisecond.
    """
    number = zlib.crc32(token.encode()) % LISTS
    return f"/v1/buckets/default/collections/list-{number}/records"


@operation("PUT /records/{id}", weight=1)
def put_record(state):
    """A record whose id the client chose: sent again, it is the same record."""
    token = state.attempt("put record")
    path = f"{records(token)}/{uuid.uuid5(uuid.NAMESPACE_URL, token)}"
    reply = yield put(path, headers=HEADERS, json={"data": {"token": token}}, retries=2)
    if reply.ok:
        state.acknowledge("put record", id=reply.json()["data"]["id"], token=token)


@operation("POST /records", weight=1)
def post_record(state):
    """A record whose id Kinto chooses."""
    token = state.attempt("posted record")
    body = {"data": {"token": token}}
    reply = yield post(records(token), headers=HEADERS, json=body, retries=2)
    if reply.ok:
        state.acknowledge("posted record", id=reply.json()["data"]["id"], token=token)


@operation("GET /records/{id}", weight=2)
def read_record(state):
    """One that is there; the newest of a list while there is none."""
    known = state.any_acknowledged("put record")
    path = f"{records(known.token)}/{known.id}" if known else f"{records('')}?_limit=1"
    yield get(path, headers=HEADERS)


@still_holds("put record")
def put_record_is_there(record):
    return (yield from is_there(record))


@still_holds("posted record")
def posted_record_is_there(record):
    return (yield from is_there(record))


def is_there(record):
    """Whether it can be read, as it was written."""
    reply = yield get(f"{records(record.token)}/{record.id}", headers=HEADERS)
    return reply.status == 200 and reply.json()["data"]["token"] == record.token


@effects("put record")
def records_put(attempt):
    return (yield from records_with(attempt.token))


@effects("posted record")
def records_posted(attempt):
    return (yield from records_with(attempt.token))


def records_with(token):
    """How many records carry that token."""
    params = {"token": f'"{token}"', "_fields": "id"}
    reply = yield get(records(token), params=params, headers=HEADERS)
    return len(reply.json()["data"]) if reply.ok else None
