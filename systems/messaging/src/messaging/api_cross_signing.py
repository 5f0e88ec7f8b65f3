"""Endpoints of cross-signing."""

from __future__ import annotations

from typing import Any

import msgspec

from messaging import interactive
from messaging.accounts import is_user_id
from messaging.cross_signing import MASTER, SELF_SIGNING, USER_SIGNING, Key, Signed
from messaging.errors import MatrixError, bad_json, invalid_param, too_large
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.service import Route, Service
from messaging.sessions import Session
from messaging.signing import ALGORITHM, signatures_by, unsigned

__all__ = ["ROUTES"]

_CLIENT = "/_matrix/client/v3"
_KEY_BYTES_MAX = 8_192
_SIGNED_MAX = 500


def _given(session: Session, body: dict[str, Any], usage: str) -> Key | None:
    name = f"{usage}_key"
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, dict):
        raise bad_json(f"{name}: expected an object")
    if len(msgspec.json.encode(given)) > _KEY_BYTES_MAX:
        raise too_large(f"{name}: at most {_KEY_BYTES_MAX} bytes")
    keys, usages = given.get("keys"), given.get("usage")
    if not isinstance(keys, dict) or not isinstance(usages, list):
        raise bad_json(f"{name}: expected keys and usage")
    if given.get("user_id") != session.user_id or usages != [usage]:
        raise invalid_param(f"{name}: it is not the {usage} key of this user")
    key_id, public_key = next(iter(keys.items()), ("", ""))
    if len(keys) != 1 or not public_key or key_id != f"{ALGORITHM}:{public_key}":
        raise invalid_param(f"{name}: expected one key, named {ALGORITHM}: and the key itself")
    if "\0" in key_id:
        raise invalid_param(f"{name}: expected no NUL")
    return Key(str(public_key), given)


def _kept(session: Session, key: Key, master: Key) -> Key:
    """With no signature but that of the master key; those of devices are kept beside it."""
    content = unsigned(key.content)
    if key.public_key != master.public_key:
        signature = signatures_by(key.content, session.user_id)[master.key_id]
        content["signatures"] = {session.user_id: {master.key_id: signature}}
    return msgspec.structs.replace(key, content=content)


async def upload(service: Service, request: Request) -> Reply:
    """Publish keys for cross-signing; in the place of others after the password."""
    body = await request.object(optional=True)
    session = request.session
    usages = (MASTER, SELF_SIGNING, USER_SIGNING)
    given = {u: key for u in usages if (key := _given(session, body, u)) is not None}
    if not given:
        return EMPTY
    before = (await service.cross_signing.keys_of([session.user_id])).get(session.user_id, {})
    is_same = all(
        usage in before and unsigned(before[usage].content) == unsigned(key.content)
        for usage, key in given.items()
    )
    if MASTER in before and not is_same:
        # The first keys are free, and the same again: an answer may have been lost.
        await interactive.confirmed(session, body, service.checked)
    signed = await service.cross_signing.check(session, given, before)
    if not is_same or signed:
        master = given.get(MASTER) or before[MASTER]
        kept = {usage: _kept(session, key, master) for usage, key in given.items()}
        await service.cross_signing.put(session, kept, before, signed)
    return EMPTY


async def sign(service: Service, request: Request) -> Reply:
    """Publish signatures of keys; those that are wrong are named."""
    given = await request.object()
    if not all(map(is_user_id, given)) or not all(
        isinstance(targets, dict) and all(isinstance(one, dict) for one in targets.values())
        for targets in given.values()
    ):
        raise bad_json("expected signed objects by user and by device or key")
    if sum(map(len, given.values())) > _SIGNED_MAX:
        raise too_large(f"At most {_SIGNED_MAX} keys at once.")
    signed: list[Signed]
    signed, wrong = await service.cross_signing.verified(request.session, given)
    if signed:
        await service.cross_signing.sign(request.session, signed)
    failures = {
        user: {target: _named(error) for target, error in errors.items()}
        for user, errors in wrong.items()
    }
    return reply_json({"failures": failures})


def _named(error: MatrixError) -> dict[str, str]:
    return {"errcode": error.code, "error": error.text}


ROUTES = [
    Route("POST", f"{_CLIENT}/keys/device_signing/upload", upload),
    Route("POST", f"{_CLIENT}/keys/signatures/upload", sign),
]
