"""The web page at `/` (WEB_PAGE=on): rooms and what is said in them, for who has no client.

Files that a browser takes as they are. The page is one more client: it uses the API that all others
use, so its two routes are no part of the API and stand in none of its tables (DECISIONS 20).
"""

from __future__ import annotations

from importlib.resources import files

from systems_common.web_page import Assets, page_headers

from messaging.errors import not_found
from messaging.http import Reply, Request
from messaging.service import Route, Service

__all__ = ["PAGE_ROUTES"]

_ASSETS = Assets(files("messaging") / "assets")
_PAGE = _ASSETS.page("page.html")
_HEADERS = page_headers()


def _reply(body: bytes, content_type: str, kept: str) -> Reply:
    headers = {**_HEADERS, "content-type": content_type, "cache-control": kept}
    given = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Reply(body, headers=given)


async def _index(service: Service, request: Request) -> Reply:
    """The page."""
    return _reply(_PAGE, "text/html; charset=utf-8", "no-cache")


async def _file(service: Service, request: Request) -> Reply:
    """One of its files."""
    found = _ASSETS.find(request.args[0])
    if found is None:
        raise not_found("The page has no such file.")
    kept = _ASSETS.cache_control(request.query.get("v"))
    return _reply(found.body, found.content_type, kept)


PAGE_ROUTES = (
    Route("GET", "/", _index, public=True),
    Route("GET", "/-/{}", _file, public=True),
)
