"""The problems of the API, with the type addresses that Shlink's clients know."""

from __future__ import annotations

from systems_common.problems import ProblemError

__all__ = [
    "invalid_data",
    "invalid_key",
    "key_reused",
    "link_not_found",
    "missing_key",
    "not_found",
    "slug_taken",
    "unavailable",
]

_TYPES = "https://shlink.io/api/error/"


def link_not_found(code: str) -> ProblemError:
    """404: no link has this code, or it is not valid now."""
    return ProblemError(
        404,
        f"{_TYPES}short-url-not-found",
        "Short URL not found",
        f'No URL found with short code "{code}"',
        shortCode=code,
    )


def not_found() -> ProblemError:
    """404: no such path."""
    return ProblemError(
        404, f"{_TYPES}not-found", "Not found", "The requested path does not exist."
    )


def invalid_data(elements: list[str], detail: str) -> ProblemError:
    """400: some of the data given does not fit."""
    return ProblemError(
        400, f"{_TYPES}invalid-data", "Invalid data", detail, invalidElements=elements
    )


def slug_taken(slug: str) -> ProblemError:
    """400: another link has this slug."""
    return ProblemError(
        400,
        f"{_TYPES}non-unique-slug",
        "Invalid custom slug",
        f'Provided slug "{slug}" is already in use.',
        customSlug=slug,
    )


def key_reused() -> ProblemError:
    """422: the Idempotency-Key was used before, with another body."""
    return ProblemError(
        422,
        "about:blank",
        "Idempotency key reused",
        "This Idempotency-Key was used before with another request body.",
    )


def missing_key() -> ProblemError:
    """401: no API key was given."""
    return ProblemError(
        401,
        f"{_TYPES}missing-authentication",
        "Invalid authorization",
        "Expected the authentication header X-Api-Key, and it was not given.",
        expectedTypes=["X-Api-Key"],
    )


def invalid_key() -> ProblemError:
    """401: the API key is unknown, disabled or has expired."""
    return ProblemError(
        401,
        f"{_TYPES}invalid-api-key",
        "Invalid API key",
        "Provided API key does not exist or is invalid.",
    )


def unavailable() -> ProblemError:
    """503: something the service cannot do without does not answer."""
    return ProblemError(
        503,
        "about:blank",
        "Service unavailable",
        "The service cannot do this now. Try again.",
        headers={"retry-after": "1"},
    )
