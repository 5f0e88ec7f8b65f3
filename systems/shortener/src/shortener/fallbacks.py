"""Where a request goes that leads nowhere: custom redirects instead of a 404. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from shortener.addresses import location_of

__all__ = ["Fallbacks", "NotFound", "location"]

NotFound = Literal["base_url", "invalid_short_url", "regular_404"]


class Fallbacks(msgspec.Struct, frozen=True):
    """Where each kind of request goes; empty or None: it is not redirected."""

    base_url: str | None = None
    invalid_short_url: str | None = None
    regular_404: str | None = None


def location(fallbacks: Fallbacks, kind: NotFound, *, domain: str, path: str) -> str | None:
    """The address to redirect to, in ASCII, or None.

    `{DOMAIN}` and `{ORIGINAL_PATH}` in its path, query or fragment become the domain and the path
    (without its first slash) of the request; in its host they do not: that is not for whoever
    asks to choose.
    """
    wanted = getattr(fallbacks, kind)
    if not wanted:
        return None
    parts = urlsplit(wanted)
    original = path.removeprefix("/")

    def filled(text: str, safe: str) -> str:
        return text.replace("{DOMAIN}", quote(domain, "")).replace(
            "{ORIGINAL_PATH}", quote(original, safe)
        )

    filled_parts = parts._replace(
        path=filled(parts.path, "/"),
        query=filled(parts.query, ""),
        fragment=filled(parts.fragment, ""),
    )
    return location_of(filled_parts.geturl())
