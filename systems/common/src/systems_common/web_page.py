"""A web page without a build step: its files as they are, and the headers that keep it safe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

__all__ = ["Asset", "Assets", "page_headers"]

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_COMMON = files("systems_common") / "assets"


class Asset(msgspec.Struct, frozen=True):
    """One file as it is sent."""

    body: bytes
    content_type: str


class Assets:
    """The scripts, styles and pictures of a page: those in `folder` and those that all pages share.

    The `digest` of all of them stands in their addresses (`?v=`), so a browser may keep each for
    ever; in their texts `{digest}` stands for it, so that one script can import another.
    """

    def __init__(self, folder: Traversable) -> None:
        found = {
            one.name: one.read_bytes()
            for each in (_COMMON, folder)
            for one in each.iterdir()
            if _suffix(one.name) in _TYPES
        }
        whole = hashlib.sha256(b"".join(found[name] for name in sorted(found)))
        self.digest = whole.hexdigest()[:12]
        self._folder = folder
        self._files = {
            name: Asset(body.replace(b"{digest}", self.digest.encode()), _TYPES[_suffix(name)])
            for name, body in found.items()
        }

    def find(self, name: str) -> Asset | None:
        """The file of that name."""
        return self._files.get(name)

    def page(self, name: str, **texts: str) -> bytes:
        """A page of the folder: `{name}` stands for the text of that name, which is escaped."""
        page = (self._folder / name).read_text("utf-8")
        for key, text in {**texts, "digest": self.digest}.items():
            page = page.replace(f"{{{key}}}", escape(text))
        return page.encode()

    def cache_control(self, version: str | None) -> str:
        """How long a file may be kept that was asked for with this `v`."""
        known = version == self.digest
        return "public, max-age=31536000, immutable" if known else "no-cache"


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]


def page_headers(
    *, images: Iterable[str] = (), connections: Iterable[str] = (), scripts: bool = True
) -> dict[str, str]:
    """Headers of a page that takes everything from its own origin, and pictures and connections
    from these other ones as well. Nothing inline runs, and no other site may frame it.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'" if scripts else "'none'",
        "style-src": "'self'",
        "img-src": " ".join(["'self'", "blob:", *images]),
        "connect-src": " ".join(["'self'", *connections]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
