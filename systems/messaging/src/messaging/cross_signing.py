"""Cross-signing: the keys users sign their devices and each other with, and their signatures.

A user's master key says who they are; it signs a self-signing key, for their devices, and a
user-signing key, for the master keys of others. Whom a user signed only they are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import transaction

from messaging.changing import Changes
from messaging.device_keys import tell_sharers
from messaging.errors import MatrixError, forbidden, unavailable
from messaging.sessions import Session
from messaging.signing import ALGORITHM, is_signed, signatures_by, unsigned

__all__ = ["MASTER", "SELF_SIGNING", "USER_SIGNING", "CrossSigning", "Key", "Signed"]

MASTER, SELF_SIGNING, USER_SIGNING = "master", "self_signing", "user_signing"

_KEYS = """
SELECT a.no, a.user_id, k.usage, k.public_key, k.content
FROM account AS a JOIN cross_signing_key AS k ON k.user_no = a.no
WHERE a.user_id = ANY($1::text[])"""
_DEVICES = """
SELECT d.no, d.device_id, k.content FROM device AS d JOIN device_key AS k ON k.device_no = d.no
WHERE d.user_no = $1"""
_LOCK = "SELECT no FROM account WHERE no = $1 FOR UPDATE"
_PUT = """
INSERT INTO cross_signing_key (user_no, usage, public_key, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_no, usage)
DO UPDATE SET public_key = excluded.public_key, content = excluded.content"""
_TAKE_AWAY = "DELETE FROM cross_signing_key WHERE user_no = $1 AND NOT usage = ANY($2::text[])"
_UNSIGN = "DELETE FROM key_signature WHERE user_no = $1 AND device_no IS NULL"
_UNSIGN_BY = "DELETE FROM key_signature WHERE signer_no = $1 AND key_id = ANY($2::text[])"
_SIGN = """
INSERT INTO key_signature (user_no, signer_no, target, key_id, device_no, signature)
SELECT user_no, $1, target, key_id, device_no, signature
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    AS g(user_no, target, key_id, device_no, signature)
ON CONFLICT (user_no, signer_no, target, key_id)
DO UPDATE SET signature = excluded.signature, device_no = excluded.device_no,
              xid = pg_current_xact_id()
WHERE (key_signature.signature, coalesce(key_signature.device_no, 0))
   <> (excluded.signature, coalesce(excluded.device_no, 0))
RETURNING user_no"""
# Those of the user themselves, and of who asks.
_SIGNATURES = """
SELECT a.user_id, s.target, s.device_no, s.key_id, s.signature, s.signer_no = a.no AS is_own
FROM account AS a CROSS JOIN LATERAL (
    SELECT signer_no, target, device_no, key_id, signature FROM key_signature
    WHERE user_no = a.no AND signer_no = a.no
    UNION ALL
    SELECT signer_no, target, device_no, key_id, signature FROM key_signature
    WHERE user_no = a.no AND signer_no = $2 AND $2 <> a.no) AS s
WHERE a.user_id = ANY($1::text[])"""


class Key(msgspec.Struct, frozen=True):
    """One key: what is public of it, and the object that it is told with."""

    public_key: str
    content: dict[str, Any]

    @property
    def key_id(self) -> str:
        """What its signatures are named by."""
        return f"{ALGORITHM}:{self.public_key}"


class Signed(msgspec.Struct, frozen=True):
    """A signature by the asking user, verified."""

    user_no: int
    target: str
    key_id: str
    device_no: int | None
    signature: str


Signatures = Mapping[tuple[str, str], Mapping[str, Mapping[str, str]]]
"""By whose key was signed and which (a device's id or the master key): by signer and key id."""


class CrossSigning:
    """Keeps keys and signatures, and finds them."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._database = changes.database

    async def keys_of(self, user_ids: Iterable[str]) -> dict[str, dict[str, Key]]:
        """The keys of users, by what they are for."""
        return _keys(await self._database.fetch(_KEYS, list(user_ids)))

    async def signatures(self, session: Session, user_ids: Iterable[str]) -> Signatures:
        """The signatures that who asks may see."""
        found: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(dict)
        for row in await self._database.fetch(_SIGNATURES, list(user_ids), session.user_no):
            signer = row["user_id"] if row["is_own"] else session.user_id
            signed = found[row["user_id"], row["target"]].setdefault(signer, {})
            signed[row["key_id"]] = row["signature"]
        return found

    async def check(self, session: Session, given: Mapping[str, Key], before: Any) -> list[Signed]:
        """Whether these keys may be the user's; the signatures of devices on the master key.

        Raises M_FORBIDDEN, M_MISSING_PARAM, M_INVALID_SIGNATURE.
        """
        devices = await self._devices(session)
        if any(key.public_key in devices for key in given.values()):
            raise forbidden("A key has the name of a device.")
        master = given.get(MASTER, before.get(MASTER))
        if master is None:
            raise MatrixError(400, "M_MISSING_PARAM", "master_key is missing, and none is kept.")
        for usage, key in given.items():
            signature = signatures_by(key.content, session.user_id).get(master.key_id)
            if usage != MASTER and (
                signature is None or not is_signed(key.content, signature, master.public_key)
            ):
                raise _wrong(f"The {usage} key is not signed by the master key.")
        if MASTER not in given:
            return []
        return _by_devices(session, master, devices)

    async def _devices(self, session: Session) -> dict[str, tuple[int, dict[str, Any]]]:
        rows = await self._database.fetch(_DEVICES, session.user_no)
        return {row["device_id"]: (row["no"], msgspec.json.decode(row["content"])) for row in rows}

    @tried_again
    async def put(
        self,
        session: Session,
        given: Mapping[str, Key],
        before: Mapping[str, Key],
        signed: list[Signed],
    ) -> None:
        """Keep these keys in the place of those before; with a master key go all others.

        Raises the error of a service that is busy when others are there by now.
        """
        async with transaction(self._database) as connection:
            touched = await tell_sharers(self._changes, connection, session.user_id)
            await connection.execute(_LOCK, session.user_no)
            now = _keys(await connection.fetch(_KEYS, [session.user_id])).get(session.user_id, {})
            if now != before:
                raise unavailable()
            replaced = {
                usage: key
                for usage, key in now.items()
                if usage in given and given[usage].public_key != key.public_key
            }
            if MASTER in replaced:
                replaced = dict(now)
                await connection.execute(_TAKE_AWAY, session.user_no, list(given))
                await connection.execute(_UNSIGN, session.user_no)
            ended = [key.key_id for key in replaced.values()]
            await connection.execute(_UNSIGN_BY, session.user_no, ended)
            for usage, key in given.items():
                content = msgspec.json.encode(key.content)
                await connection.execute(_PUT, session.user_no, usage, key.public_key, content)
            if signed:
                await connection.fetch(_SIGN, session.user_no, *_columns(signed))
        for user_no in touched:
            self._changes.touched(user_no)

    async def verified(
        self, session: Session, given: Mapping[str, Mapping[str, Any]]
    ) -> tuple[list[Signed], dict[str, dict[str, MatrixError]]]:
        """The user's signatures in these objects, by user and key, and what is wrong with the
        others."""
        found = await self._database.fetch(_KEYS, list({*given, session.user_id}))
        keys = _keys(found)
        numbers = {row["user_id"]: row["no"] for row in found}
        numbers[session.user_id] = session.user_no
        own = keys.get(session.user_id, {})
        devices = await self._devices(session) if session.user_id in given else {}
        signed: list[Signed] = []
        failures: dict[str, dict[str, MatrixError]] = defaultdict(dict)
        for user_id, targets in given.items():
            master = keys.get(user_id, {}).get(MASTER)
            for target, content in targets.items():
                device_no = None
                try:
                    if user_id == session.user_id and target in devices:
                        device_no, kept = devices[target]
                        signers = _signer(own.get(SELF_SIGNING))
                    elif master is None or target != master.public_key:
                        raise MatrixError(404, "M_NOT_FOUND", "There is no such key.")
                    else:
                        kept = master.content
                        signers = (
                            {f"{ALGORITHM}:{name}": _key_of(*d) for name, d in devices.items()}
                            if user_id == session.user_id
                            else _signer(own.get(USER_SIGNING))
                        )
                    for key_id, text in _checked(session.user_id, content, kept, signers).items():
                        signed.append(Signed(numbers[user_id], target, key_id, device_no, text))
                except MatrixError as error:
                    failures[user_id][target] = error
        return signed, failures

    @tried_again
    async def sign(self, session: Session, signed: list[Signed]) -> None:
        """Keep verified signatures, and tell who may see them."""
        touched: list[int] = []
        async with transaction(self._database) as connection:
            rows = await connection.fetch(_SIGN, session.user_no, *_columns(signed))
            if any(row["user_no"] == session.user_no for row in rows):
                touched = await tell_sharers(self._changes, connection, session.user_id)
            elif rows:
                touched = await self._changes.touch(connection, [session.user_id])
        for user_no in touched:
            self._changes.touched(user_no)


def _keys(rows: Iterable[Any]) -> dict[str, dict[str, Key]]:
    found: dict[str, dict[str, Key]] = defaultdict(dict)
    for row in rows:
        content = msgspec.json.decode(row["content"])
        found[row["user_id"]][row["usage"]] = Key(row["public_key"], content)
    return dict(found)


def _signer(key: Key | None) -> dict[str, str]:
    return {} if key is None else {key.key_id: key.public_key}


def _key_of(device_no: int, content: Mapping[str, Any]) -> str:
    """The signing key of a device, or what is none."""
    keys = content.get("keys")
    found = keys.get(f"{ALGORITHM}:{content.get('device_id')}") if isinstance(keys, dict) else None
    return found if isinstance(found, str) else ""


def _by_devices(
    session: Session, master: Key, devices: Mapping[str, tuple[int, dict[str, Any]]]
) -> list[Signed]:
    found = []
    for key_id, text in signatures_by(master.content, session.user_id).items():
        device = devices.get(key_id.partition(":")[2])
        if device is None:
            continue
        if not is_signed(master.content, text, _key_of(*device)):
            raise _wrong(f"The signature of the master key by {key_id} is wrong.")
        found.append(Signed(session.user_no, master.public_key, key_id, None, text))
    return found


def _checked(
    user_id: str, content: Mapping[str, Any], kept: Mapping[str, Any], signers: Mapping[str, str]
) -> dict[str, str]:
    """The signatures that count, by key. Raises M_INVALID_SIGNATURE."""
    if unsigned(content) != unsigned(kept):
        raise _wrong("What was signed is not the key that is kept here.")
    found = {
        key_id: text
        for key_id, text in signatures_by(content, user_id).items()
        if key_id in signers
    }
    if not found:
        raise _wrong("There is no signature by a key that may sign this.")
    for key_id, text in found.items():
        if not is_signed(content, text, signers[key_id]):
            raise _wrong(f"The signature by {key_id} is wrong.")
    return found


def _columns(signed: list[Signed]) -> list[list[Any]]:
    return [list(column) for column in zip(*map(msgspec.structs.astuple, signed), strict=True)]


def _wrong(text: str) -> MatrixError:
    return MatrixError(400, "M_INVALID_SIGNATURE", text)
