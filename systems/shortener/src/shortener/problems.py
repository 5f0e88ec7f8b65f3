"""The problems of the API, with the type addresses that Shlink's clients know."""

from __future__ import annotations

from typing import Any

from systems_common.problems import ProblemError

__all__ = [
    "domain_not_found",
    "invalid_data",
    "invalid_key",
    "key_reused",
    "link_banned",
    "link_not_found",
    "live_unavailable",
    "method_not_allowed",
    "missing_key",
    "no_mercure",
    "not_found",
    "slug_taken",
    "tag_not_found",
    "tag_taken",
    "too_many_requests",
    "too_visited",
    "unavailable",
]

_TYPES = "https://shlink.io/api/error/"


def _of(domain: str) -> dict[str, Any]:
    return {"domain": domain} if domain else {}


def link_not_found(code: str, domain: str = "") -> ProblemError:
    """404: no link has this code, or it is not valid now."""
    on_domain = f' for domain "{domain}"' if domain else ""
    return ProblemError(
        404,
        f"{_TYPES}short-url-not-found",
        "Short URL not found",
        f'No URL found with short code "{code}"{on_domain}',
        shortCode=code,
        **_of(domain),
    )


def too_visited(code: str, domain: str, visits_max: int) -> ProblemError:
    """422: a link with more visits than this is not deleted (DELETE_VISITS_MAX)."""
    return ProblemError(
        422,
        f"{_TYPES}invalid-short-url-deletion",
        "Cannot delete short URL",
        f'Impossible to delete short URL with short code "{code}", since it has more than '
        f'"{visits_max}" visits.',
        shortCode=code,
        threshold=visits_max,
        **_of(domain),
    )


def tag_not_found(name: str) -> ProblemError:
    """404: there is no such tag."""
    return ProblemError(
        404,
        f"{_TYPES}tag-not-found",
        "Tag not found",
        f'Tag with name "{name}" could not be found',
        tag=name,
    )


def tag_taken(old: str, new: str) -> ProblemError:
    """409: another tag has the new name."""
    return ProblemError(
        409,
        f"{_TYPES}tag-conflict",
        "Tag conflict",
        f"You cannot rename tag {old} to {new}, because it already exists",
        oldName=old,
        newName=new,
    )


def domain_not_found(authority: str) -> ProblemError:
    """404: there is no such domain."""
    return ProblemError(
        404,
        f"{_TYPES}domain-not-found",
        "Domain not found",
        f'Domain with authority "{authority}" could not be found',
        authority=authority,
    )


def no_mercure() -> ProblemError:
    """501: there is no Mercure hub."""
    return ProblemError(
        501,
        f"{_TYPES}mercure-not-configured",
        "Mercure integration not configured",
        "This service is not integrated with a Mercure hub.",
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


def slug_taken(slug: str, domain: str = "") -> ProblemError:
    """400: another link of the domain has this slug."""
    on_domain = f' for domain "{domain}"' if domain else ""
    return ProblemError(
        400,
        f"{_TYPES}non-unique-slug",
        "Invalid custom slug",
        f'Provided slug "{slug}" is already in use{on_domain}.',
        customSlug=slug,
        **_of(domain),
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


def too_many_requests() -> ProblemError:
    """429: more calls than the limit allows; how long to wait stands in Retry-After."""
    return ProblemError(
        429,
        "about:blank",
        "Too many requests",
        "More requests than are allowed in this time. Retry-After says when to try again.",
    )


def link_banned() -> ProblemError:
    """403: where the link leads has been banned since."""
    return ProblemError(
        403, "about:blank", "Link blocked", "The site that this link leads to is blocked here."
    )


def method_not_allowed(allowed: str) -> ProblemError:
    """405: the path is there, but not for this method."""
    return ProblemError(
        405,
        "about:blank",
        "Method not allowed",
        f"Expected one of {allowed}.",
        headers={"allow": allowed},
    )


def live_unavailable() -> ProblemError:
    """501: real-time events need NATS."""
    return ProblemError(
        501,
        "about:blank",
        "Real-time events are off",
        "This service was started without NATS_URL, which real-time events need.",
    )
