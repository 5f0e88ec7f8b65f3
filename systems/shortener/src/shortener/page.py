"""The web page at `/` (WEB_PAGE=true): make a link, see its visits, its QR code.

Three files that a browser takes as they are. The page holds no secret and no data: it speaks to the
REST API, with the API key that its user types in.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from litestar import Request, get
from litestar.response import Response

from shortener import problems

__all__ = ["page"]

_FOLDER = files("shortener") / "assets"
_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_ASSETS = {name: (_FOLDER / name).read_bytes() for name in _TYPES}
# The address of a file changes with its content, so a browser may keep it for ever.
_DIGEST = hashlib.sha256(b"".join(_ASSETS.values())).hexdigest()[:12]
_PAGE = (_FOLDER / "page.html").read_text("utf-8").replace("{digest}", _DIGEST).encode()
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@get("/", include_in_schema=False)
async def index() -> Response[bytes]:
    """The page."""
    return Response(
        _PAGE, media_type="text/html", headers={**_HEADERS, "cache-control": "no-cache"}
    )


@get("/-/{name:str}", include_in_schema=False)
async def asset(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    """One of its files."""
    if name not in _ASSETS:
        raise problems.not_found()
    known = request.query_params.get("v") == _DIGEST
    return Response(
        _ASSETS[name],
        media_type=_TYPES[name],
        headers={
            **_HEADERS,
            "cache-control": "public, max-age=31536000, immutable" if known else "no-cache",
        },
    )


page = (index, asset)
