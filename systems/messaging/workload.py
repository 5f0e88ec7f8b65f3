"""Senders and pollers, in rooms of 2, 20 and 100 that `python -m messaging seed` made."""

import os

from loadpath.flow import effects, get, login, operation, post, put, still_holds

# As in loadpath.toml: the password of the made-up users.
PASSWORD = os.environ.get("SEED_PASSWORD", "loadpath-embedded-test-password")
SERVER = os.environ.get("SERVER_NAME", "localhost")
API = "/_matrix/client/v3"
SIZES = (2, 20, 100)
# What an incremental sync of a phone asks for.
FILTER = '{"room":{"timeline":{"limit":20},"state":{"lazy_load_members":true}}}'


@login
def sign_in(identity):
    """Sign in as one of the seeded users, and find out where its stream of events is now."""
    reply = yield post(
        f"{API}/login",
        json={
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": f"user-{identity.number:06d}"},
            "password": PASSWORD,
        },
    )
    identity.user = reply.json()["user_id"]
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    first = yield get(f"{API}/sync", params={"filter": FILTER}, headers=headers)
    identity.since = first.json()["next_batch"]
    return headers


def room_of(identity, size):
    """The room of that size that a user is in."""
    return f"!seed-{size}-{identity.number // size:06d}:{SERVER}"


@operation("PUT /rooms/{room}/send", weight=50)
def send(state):
    """Send a message. Sent again with the same transaction id it is the same event, so a client
    may try again, and does."""
    room = room_of(state.identity, state.rng.choice(SIZES))
    token = state.attempt("message", key=room)
    reply = yield put(
        f"{API}/rooms/{room}/send/m.room.message/{token}",
        json={"msgtype": "m.text", "body": token},
        retries=2,
    )
    if reply.ok:
        state.acknowledge("message", room=room, event=reply.json()["event_id"], body=token)


@operation("GET /sync", weight=45)
def sync(state):
    """Ask for what is new since the last time, without waiting."""
    identity = state.identity
    reply = yield get(
        f"{API}/sync", params={"since": identity.since, "timeout": 0, "filter": FILTER}
    )
    if reply.ok:
        identity.since = reply.json()["next_batch"]


@operation("GET /rooms/{room}/messages", weight=5)
def messages(state):
    """Read the newest page of a room."""
    room = room_of(state.identity, state.rng.choice(SIZES))
    yield get(f"{API}/rooms/{room}/messages", params={"dir": "b", "limit": 20})


@still_holds("message")
def is_there(message):
    """A message that was acknowledged is there, and says what was sent."""
    reply = yield get(f"{API}/rooms/{message.room}/event/{message.event}")
    return reply.ok and reply.json()["content"].get("body") == message.body


@effects("message")
def times_sent(attempt):
    """How often a message is in its room: sent twice, it should be there once."""
    found, token = 0, None
    while True:
        params = {"dir": "b", "limit": 1000} | ({"from": token} if token else {})
        reply = yield get(f"{API}/rooms/{attempt.key}/messages", params=params)
        if not reply.ok:
            return None
        page = reply.json()
        found += sum(event["content"].get("body") == attempt.token for event in page["chunk"])
        token = page.get("end")
        if token is None:
            return found
