"""The web page at `/` (WEB_PAGE=true): make a link, see its visits, its QR code.

Files that a browser takes as they are. The page holds no secret and no data: it speaks to the
REST API, with the API key that its user types in.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from litestar import Request, get
from litestar.response import Response
from systems_common.web_page import Assets, page_headers

from shortener import problems

__all__ = ["page"]

_ASSETS = Assets(files("shortener") / "assets")
_PAGE = _ASSETS.page("page.html")
_HEADERS = page_headers()


@get("/", include_in_schema=False)
async def index() -> Response[bytes]:
    """The page."""
    return Response(
        _PAGE, media_type="text/html", headers={**_HEADERS, "cache-control": "no-cache"}
    )


@get("/-/{name:str}", include_in_schema=False)
async def asset(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    """One of its files."""
    found = _ASSETS.find(name)
    if found is None:
        raise problems.not_found()
    kept = _ASSETS.cache_control(request.query_params.get("v"))
    return Response(
        found.body,
        media_type=found.content_type,
        headers={**_HEADERS, "cache-control": kept},
    )


page = (index, asset)
