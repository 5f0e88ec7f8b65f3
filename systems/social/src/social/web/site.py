"""What all pages for browsers have in common: files, headers, the frame around what they show."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from urllib.parse import urlsplit

from systems_common.web_page import Assets, page_headers

from social.settings import Settings
from social.web.routing import Answer

__all__ = ["ASSETS", "HTML", "framed", "security_headers"]

HTML = "text/html; charset=utf-8"
ASSETS = Assets(files("social") / "assets")


def security_headers(
    settings: Settings, *, scripts: bool = False
) -> tuple[tuple[bytes, bytes], ...]:
    """A page takes everything from here, and pictures and streams from where the settings say they
    are.
    """
    media = urlsplit(settings.media_url)
    found = page_headers(
        images=[f"{media.scheme}://{media.netloc}"] if media.netloc else [],
        connections=[settings.streaming_url] if settings.streaming_url else [],
        scripts=scripts,
    )
    return tuple((name.encode(), text.encode()) for name, text in found.items())


def framed(
    title: str,
    main: str,
    *,
    status: int = 200,
    site: str = "",
    head: str = "",
    headers: tuple[tuple[bytes, bytes], ...],
) -> Answer:
    """A page on which nothing runs, with `main`, which is HTML. `site` is what its head leads back
    to the front page by, if it is to.
    """
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>{head}"
        f'<link rel="icon" href="{_address("icon.svg")}" type="image/svg+xml">'
        f'<link rel="stylesheet" href="{_address("base.css")}">'
        f'<link rel="stylesheet" href="{_address("page.css")}"></head><body>'
        f"{_bar(site) if site else ''}{main}</body></html>\n"
    )
    return Answer(text.encode(), status, HTML, headers)


def _address(name: str) -> str:
    return f"/-/{name}?v={ASSETS.digest}"


def _bar(site: str) -> str:
    return (
        '<div class="bar"><header><h1><a href="/">'
        f'<img src="{_address("icon.svg")}" alt="" width="30" height="30"> {escape(site)}</a></h1>'
        '<a class="button" href="/">Sign in</a></header></div>'
    )
