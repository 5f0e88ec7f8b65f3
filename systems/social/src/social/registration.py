"""New accounts, and who signs in."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import msgspec
from systems_common.database import Database, transaction
from systems_common.ids import IdGenerator
from systems_common.passwords import PASSWORD_LENGTH_MAX, Passwords

from social.errors import ApiError, FieldError, invalid
from social.tokens import digest_of, new_secret

__all__ = ["Registration", "issue_token", "register", "signed_in"]

_NAME = re.compile(r"[A-Za-z0-9_]{1,30}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.?[^@\s.]")
_RESERVED = frozenset(
    ["admin", "administrator", "root", "support", "webmaster", "mod", "moderator"]
)
_PASSWORD_MIN = 8


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a new account is made of."""

    username: str = ""
    email: str = ""
    password: str = ""
    agreement: bool = False
    locale: str = ""
    reason: str = ""


def _problems(asked: Registration) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    if not asked.username:
        found["username"] = ("ERR_BLANK", "can't be blank")
    elif not _NAME.fullmatch(asked.username):
        found["username"] = (
            "ERR_INVALID",
            "must contain only letters, numbers and underscores, at most 30",
        )
    elif asked.username.lower() in _RESERVED:
        found["username"] = ("ERR_RESERVED", "is reserved")
    if not asked.email:
        found["email"] = ("ERR_BLANK", "can't be blank")
    elif not _EMAIL.fullmatch(asked.email):
        found["email"] = ("ERR_INVALID", "is invalid")
    if len(asked.password) < _PASSWORD_MIN:
        found["password"] = (
            "ERR_TOO_SHORT",
            f"is too short (minimum is {_PASSWORD_MIN} characters)",
        )
    elif len(asked.password) > PASSWORD_LENGTH_MAX:
        found["password"] = ("ERR_TOO_LONG", f"is too long (maximum is {PASSWORD_LENGTH_MAX})")
    if not asked.agreement:
        found["agreement"] = ("ERR_ACCEPTED", "must be accepted")
    return found


def _refused(problems: dict[str, tuple[str, str]]) -> ApiError:
    said = ", ".join(f"{field.capitalize()} {text}" for field, (_, text) in problems.items())
    details = {field: [FieldError(kind, text)] for field, (kind, text) in problems.items()}
    return invalid(said, details=details)


async def register(
    database: Database, ids: IdGenerator, passwords: Passwords, asked: Registration
) -> int:
    """Make an account; returns its id. Raises a 422 that says what is wrong with each field."""
    problems = _problems(asked)
    if problems:
        raise _refused(problems)
    digest = await passwords.hash(asked.password)
    identifier = ids.next()
    try:
        async with transaction(database) as connection:
            await connection.execute(
                "INSERT INTO account (id, username) VALUES ($1, $2)", identifier, asked.username
            )
            await connection.execute(
                "INSERT INTO login (account_id, email, password_digest) VALUES ($1, $2, $3)",
                identifier,
                asked.email,
                digest,
            )
    except asyncpg.UniqueViolationError as error:
        field = "email" if error.constraint_name == "login_by_email" else "username"
        raise _refused({field: ("ERR_TAKEN", "has already been taken")}) from error
    return identifier


async def signed_in(
    database: Database, passwords: Passwords, name: str, password: str
) -> int | None:
    """The account of that name or e-mail address, if this is its password."""
    row: Any = await database.fetchrow(
        """SELECT l.account_id, l.password_digest FROM login AS l
           JOIN account AS a ON a.id = l.account_id
           WHERE lower(l.email) = lower($1) OR lower(a.username) = lower($1)
           ORDER BY lower(l.email) = lower($1) DESC LIMIT 1""",
        name,
    )
    if row is None:
        # As long as it takes for a name that is there, so that names cannot be found out.
        await passwords.hash(password)
        return None
    if await passwords.match(password, row["password_digest"]):
        account: int = row["account_id"]
        return account
    return None


async def issue_token(
    database: Database, ids: IdGenerator, *, app: int, account: int | None, scopes: str
) -> str:
    """Make a token; returns its text, which nobody can find out again."""
    text = new_secret()
    await database.fetch(
        """INSERT INTO token (id, digest, app_id, account_id, scopes)
           VALUES ($1, $2, $3, $4, $5)""",
        ids.next(),
        digest_of(text),
        app,
        account,
        scopes,
    )
    return text
