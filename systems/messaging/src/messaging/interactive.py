"""User-interactive authentication: what a client has to show before it may do certain things.

Every flow here has one stage, so a request with its `auth` is complete or it is not, and nothing
is kept between requests; the session is a random name that clients send back.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from messaging.errors import MatrixError, forbidden
from messaging.sessions import Session

__all__ = ["DUMMY", "PASSWORD", "TOKEN", "challenge", "confirmed", "given", "is_token"]

DUMMY = "m.login.dummy"
PASSWORD = "m.login.password"
TOKEN = "m.login.registration_token"


def challenge(stage: str, auth: dict[str, Any] | None, *failure: str) -> MatrixError:
    """The 401 that says which stage is wanted; `failure`: why the one given did not pass."""
    session = auth.get("session") if auth else None
    if not isinstance(session, str):
        session = secrets.token_urlsafe(16)
    error = MatrixError(401, "", "")
    error.extra = {
        "session": session,
        "flows": [{"stages": [stage]}],
        "params": {},
        "completed": [],
    }
    if failure:
        error.code, error.text = failure[0], failure[-1]
    return error


def given(body: dict[str, Any], stage: str) -> dict[str, Any]:
    """The `auth` of a request, which is of that stage. Raises the challenge."""
    auth = body.get("auth")
    if not isinstance(auth, dict):
        raise challenge(stage, None)
    kind = auth.get("type")
    if kind is None:
        # A client that only names its session asks how far it is.
        raise challenge(stage, auth)
    if kind != stage:
        raise challenge(stage, auth, "M_UNRECOGNIZED", f"Expected the stage {stage}.")
    return auth


async def confirmed(
    session: Session, body: dict[str, Any], check: Callable[[str, str], Awaitable[object]]
) -> None:
    """Raises unless the user's password is shown; `check` raises M_FORBIDDEN for a wrong one."""
    auth = given(body, PASSWORD)
    named = auth.get("identifier")
    user = named.get("user") if isinstance(named, dict) else auth.get("user")
    own = (None, session.user_id, session.user_id[1:].partition(":")[0])
    password = auth.get("password")
    try:
        if user not in own or not isinstance(password, str):
            raise forbidden("That is not the user, or there is no password.")
        await check(session.user_id, password)
    except MatrixError as error:
        if error.status != 403:
            raise
        raise challenge(PASSWORD, auth, "M_FORBIDDEN", "That is not the password.") from None


def is_token(auth: dict[str, Any], expected: str) -> bool:
    """Whether it holds the registration token."""
    token = auth.get("token")
    return isinstance(token, str) and hmac.compare_digest(
        token.encode("utf-8", "replace"), expected.encode()
    )
