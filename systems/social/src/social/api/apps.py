"""Apps: POST /api/v1/apps."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from social.entities import Id
from social.errors import invalid
from social.tokens import digest_of, new_secret, scopes_of
from social.web.routing import Call, Empty, Endpoints

__all__ = ["OUT_OF_BAND", "endpoints"]

endpoints = Endpoints()

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
"""Instead of a redirect the code is shown, to be copied."""
_BAD_SCHEMES = ("javascript", "data", "vbscript", "blob", "file")


class NewApp(msgspec.Struct, frozen=True, kw_only=True):
    """What an app says of itself."""

    client_name: str
    redirect_uris: str | list[str]
    scopes: str = "read"
    website: str | None = None


class CredentialApplication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An app; the secret is told only once."""

    id: Id
    name: str
    website: str | None
    scopes: list[str]
    redirect_uri: str
    redirect_uris: list[str]
    client_id: str | None = None
    client_secret: str | None = None
    client_secret_expires_at: int | None = None
    vapid_key: str | None = None


@endpoints.add("POST", "/api/v1/apps", NewApp, who="anyone")
async def create_app(call: Call, new: NewApp) -> CredentialApplication:
    """Register an app and get its credentials."""
    if not new.client_name.strip() or len(new.client_name) > 60:
        raise invalid("Name must have 1 to 60 characters")
    if new.website and urlsplit(new.website).scheme not in ("http", "https"):
        raise invalid("Website must be a valid URL")
    uris = (
        new.redirect_uris.split()
        if isinstance(new.redirect_uris, str)
        else [uri.strip() for uri in new.redirect_uris]
    )
    if not uris or not all(map(_is_good, uris)):
        raise invalid("Redirect URI must be an absolute URI")
    scopes = scopes_of(new.scopes)
    if not scopes:
        raise invalid("Scopes doesn't match configured on the server.")
    identifier = call.service.ids.next()
    client_id, secret = new_secret(), new_secret()
    await call.service.database.fetch(
        """INSERT INTO app (id, name, website, redirect_uris, scopes, client_id, secret_digest)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        identifier,
        new.client_name,
        new.website or None,
        uris,
        " ".join(sorted(scopes)),
        client_id,
        digest_of(secret),
    )
    return CredentialApplication(
        id=str(identifier),
        name=new.client_name,
        website=new.website or None,
        scopes=sorted(scopes),
        redirect_uri="\n".join(uris),
        redirect_uris=uris,
        client_id=client_id,
        client_secret=secret,
        client_secret_expires_at=0,
        vapid_key="",
    )


def _is_good(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme) and parts.scheme.lower() not in _BAD_SCHEMES and not parts.fragment


@endpoints.add("GET", "/api/v1/apps/verify_credentials", Empty, who="app")
async def verify_app(call: Call, _: Empty) -> CredentialApplication:
    """The app that the token is of."""
    assert call.token is not None
    row = await call.service.database.fetchrow(
        "SELECT id, name, website, scopes, redirect_uris FROM app WHERE id = $1", call.token.app_id
    )
    return CredentialApplication(
        id=str(row["id"]),
        name=row["name"],
        website=row["website"],
        scopes=row["scopes"].split(),
        redirect_uri="\n".join(row["redirect_uris"]),
        redirect_uris=row["redirect_uris"],
    )
