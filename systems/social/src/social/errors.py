"""Errors as Mastodon's clients expect them: a JSON object with `error`."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "ApiError",
    "Error",
    "FieldError",
    "forbidden",
    "invalid",
    "no_room",
    "not_found",
    "oauth_error",
    "unauthorized",
    "unavailable",
]


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a registration."""

    error: str
    description: str


class Error(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused; of OAuth `error` is the code of RFC 6749."""

    error: str
    error_description: str | None = None
    details: dict[str, list[FieldError]] | None = None


class ApiError(Exception):
    """An expected failure of a request. `extra` are further members of `Error`."""

    def __init__(
        self, status: int, error: str, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> bytes:
        """The answer, JSON."""
        return msgspec.json.encode(Error(self.error, **self.extra))


def not_found() -> ApiError:
    """Also for what is there but not for this viewer: the two must not be told apart."""
    return ApiError(404, "Record not found")


def unauthorized(error: str = "The access token is invalid") -> ApiError:
    """The token is missing, unknown or revoked."""
    return ApiError(401, error, headers={"WWW-Authenticate": 'Bearer realm="Social"'})


def forbidden(error: str = "This action is not allowed") -> ApiError:
    """The token is good but this is not for it."""
    return ApiError(403, error)


def invalid(error: str, **extra: Any) -> ApiError:
    """What was sent does not fit."""
    return ApiError(422, f"Validation failed: {error}", **extra)


def unavailable() -> ApiError:
    """Something the request needs does not answer."""
    return ApiError(
        503, "There was a temporary problem serving your request", headers={"Retry-After": "1"}
    )


def no_room() -> ApiError:
    """Nothing more can be stored until somebody makes room."""
    return ApiError(507, "The store of pictures is full; what was sent is not kept")


def oauth_error(status: int, kind: str, description: str) -> ApiError:
    """An error of OAuth 2 (RFC 6749, 5.2)."""
    return ApiError(status, kind, error_description=description)
