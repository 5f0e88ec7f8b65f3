"""Signatures of JSON by ed25519 keys, as Matrix has them. Pure.

Source: the appendices of the specification, "Signing JSON" and "Canonical JSON".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from Crypto.Signature import eddsa

__all__ = ["ALGORITHM", "is_signed", "signatures_by", "unsigned", "with_signatures"]

ALGORITHM = "ed25519"
_UNSIGNED = ("signatures", "unsigned")
_encode = msgspec.json.Encoder(order="sorted").encode


def unsigned(content: Mapping[str, Any]) -> dict[str, Any]:
    """What signatures are made of."""
    return {name: value for name, value in content.items() if name not in _UNSIGNED}


def signatures_by(content: Mapping[str, Any], user_id: str) -> dict[str, str]:
    """The signatures of a user, by the ids of their keys; what is no signature is left out."""
    given = content.get("signatures")
    own = given.get(user_id) if isinstance(given, dict) else None
    if not isinstance(own, dict):
        return {}
    return {key_id: text for key_id, text in own.items() if isinstance(text, str)}


def is_signed(content: Mapping[str, Any], signature: str, public_key: str) -> bool:
    """Whether the signature is of this content, by that key (both unpadded Base64)."""
    try:
        key = eddsa.import_public_key(_decoded(public_key))
        eddsa.new(key, "rfc8032").verify(_encode(unsigned(content)), _decoded(signature))
    except ValueError:
        # Also what is no key, and what is no Base64.
        return False
    return True


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected Base64: {error}") from None


def with_signatures(
    content: Mapping[str, Any], more: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """With these signatures, by user and key, besides those it has."""
    given = content.get("signatures")
    found = {user: dict(keys) for user, keys in given.items()} if isinstance(given, dict) else {}
    for user, keys in more.items():
        found.setdefault(user, {}).update(keys)
    return {**content, "signatures": found}
