"""Accounts and statuses as HTML, made from the entities of the API, for who has not signed in.

Everything that people wrote is escaped here, but for `content` and `note`: these are HTML already,
made from plain text by text.py, which escapes all of it and adds nothing but links.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

__all__ = ["account_card", "followed", "status_card"]


class _Here:
    """Takes addresses of this service as paths, so that they lead to where the page came from,
    whatever BASE_URL is.
    """

    def __init__(self, base_url: str) -> None:
        self._base = f"{base_url}/"

    def address(self, url: str) -> str:
        """An address, to be put between quotes."""
        return escape(f"/{url[len(self._base) :]}" if url.startswith(self._base) else url)

    def html(self, html: str) -> str:
        """HTML of the service's own; in what people wrote every quote is escaped."""
        return html.replace(f'href="{self._base}', 'href="/')


def _name(account: Any) -> str:
    return escape(account["display_name"] or account["username"])


def _number(count: int, one: str, many: str) -> str:
    return f"<b>{count:,}</b> {one if count == 1 else many}"


def _line(counts: Iterable[str]) -> str:
    return f'<p class="counts">{"".join(f"<span>{one}</span>" for one in counts)}</p>'


def account_card(account: Any, base_url: str) -> str:
    """The head of the page of an account."""
    here = _Here(base_url)
    lines = "".join(
        f"<div><dt>{escape(one['name'])}</dt><dd>{here.html(one['value'])}</dd></div>"
        for one in account["fields"]
    )
    fields = f'<dl class="fields">{lines}</dl>' if lines else ""
    counts = (
        _number(account["statuses_count"], "post", "posts"),
        _number(account["following_count"], "following", "following"),
        _number(account["followers_count"], "follower", "followers"),
    )
    marks = "".join(
        f' <span class="mark">{text}</span>'
        for text, is_so in (("automated", account["bot"]), ("locked", account["locked"]))
        if is_so
    )
    return (
        '<section class="card profile">'
        f'<img class="banner" src="{here.address(account["header_static"])}" alt="">'
        f'<img class="avatar large" src="{here.address(account["avatar_static"])}" alt="">'
        f"<h2>{_name(account)}</h2>"
        f'<p class="soft">@{escape(account["acct"])}{marks}</p>'
        f'<div class="content">{here.html(account["note"])}</div>'
        f"{fields}{_line(counts)}</section>"
    )


def status_card(status: Any, base_url: str, *, chosen: bool = False) -> str:
    """One status; `chosen` if the page is about it."""
    here = _Here(base_url)
    shared, status = (status, status["reblog"]) if status["reblog"] else (None, status)
    account = status["account"]
    said = f'<p class="shared">{_name(shared["account"])} shared</p>' if shared else ""
    marks = "".join(
        f' <span class="mark">{text}</span>'
        for text, is_so in (
            ("unlisted", status["visibility"] == "unlisted"),
            ("edited", status["edited_at"]),
        )
        if is_so
    )
    content = (
        f'<div class="content">{here.html(status["content"])}</div>'
        f"{_pictures(status, here)}{_poll(status['poll'])}"
    )
    if status["spoiler_text"]:
        content = (
            f'<details class="warned"><summary>{escape(status["spoiler_text"])}</summary>'
            f"{content}</details>"
        )
    counts = (
        _number(status["replies_count"], "reply", "replies"),
        _number(status["reblogs_count"], "share", "shares"),
        _number(status["favourites_count"], "favourite", "favourites"),
    )
    moment = status["created_at"]
    return (
        f'<article class="card status{" chosen" if chosen else ""}">{said}'
        '<div class="by">'
        f'<img class="avatar" src="{here.address(account["avatar_static"])}" alt="">'
        f'<a class="who" href="{here.address(account["url"])}"><b>{_name(account)}</b>'
        f" <span>@{escape(account['acct'])}</span></a>"
        f'<a class="when" href="{here.address(status["url"])}">'
        f'<time datetime="{moment}">{moment[:10]} {moment[11:16]}</time></a>{marks}</div>'
        f"{content}"
        f"{_line(counts)}</article>"
    )


def _pictures(status: Any, here: _Here) -> str:
    pictures = "".join(
        f'<a href="{here.address(one["url"])}"><img src="{here.address(one["preview_url"])}"'
        f' alt="{escape(one["description"] or "A picture without a description")}"></a>'
        for one in status["media_attachments"]
    )
    if not pictures:
        return ""
    shown = f'<div class="pictures">{pictures}</div>'
    if status["sensitive"] and not status["spoiler_text"]:
        return f'<details class="warned"><summary>Sensitive pictures</summary>{shown}</details>'
    return shown


def _poll(poll: Any) -> str:
    if poll is None:
        return ""
    options = "".join(
        f"<li><span>{escape(one['title'])}</span>"
        f"<span>{'' if one['votes_count'] is None else one['votes_count']}</span></li>"
        for one in poll["options"]
    )
    ended = "ended" if poll["expired"] else f"open until {poll['expires_at'][:10]}"
    voters = _number(poll["voters_count"], "voter", "voters")
    return f'<ul class="poll">{options}</ul><p class="soft">{voters}, {ended}</p>'


def followed(cards: Iterable[str], *, older: str = "", empty: str = "") -> str:
    """Statuses below each other, and the way to older ones."""
    whole = "".join(cards)
    if not whole:
        return f'<p class="card soft">{escape(empty)}</p>' if empty else ""
    link = f'<a class="button wide" href="{escape(older)}" rel="next">Older</a>' if older else ""
    return f"{whole}{link}"
