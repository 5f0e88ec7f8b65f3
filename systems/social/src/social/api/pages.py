"""Pages for browsers (WEB_PAGE): the client at `/`, and where the `url` of entities leads to.

Those of accounts, statuses and hashtags show what anybody may see, whoever asks. They are read as
the API reads them for nobody, so no rule stands here a second time. Lists have public statuses
only; an unlisted one has a page for who has its address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from social.api.statuses import thread
from social.api.timelines import TAG
from social.errors import ApiError, not_found
from social.pages import PageQuery, page_of
from social.service import Service
from social.settings import Settings
from social.text import hashtags_of
from social.timelines import Slice
from social.web.routing import Answer, Call, Empty, Endpoints, id_of
from social.web.shown import account_card, followed, status_card
from social.web.site import ASSETS, HTML, framed, security_headers

__all__ = ["OF_ACCOUNT", "assets", "endpoints"]

endpoints = Endpoints()
assets = Endpoints()
"""There without the pages too: the consent page has their looks."""

_decode = msgspec.json.Decoder().decode
_PAGE = 20
# What accounts say of themselves in the API: `indexable` is false.
_ROBOTS = '<meta name="robots" content="noindex">'
OF_ACCOUNT = """FROM status AS s WHERE s.account_id = $5 AND s.visibility = 0
AND (s.in_reply_to_account_id IS NULL OR s.in_reply_to_account_id = s.account_id)"""


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """The version that stands in the address of a file."""

    v: str | None = None


class Older(msgspec.Struct, frozen=True, kw_only=True):
    """Statuses older than this one."""

    max_id: str | None = None


@assets.add("GET", "/-/{name}", Versioned, who="anyone")
async def asset(call: Call, asked: Versioned) -> Answer:
    """A file of the pages."""
    found = ASSETS.find(call.path[0])
    if found is None:
        raise not_found()
    kept = ASSETS.cache_control(asked.v).encode()
    headers = (*security_headers(call.service.settings), (b"cache-control", kept))
    return Answer(found.body, content_type=found.content_type, headers=headers)


@endpoints.add("GET", "/", Empty, who="anyone")
async def client(call: Call, _: Empty) -> Answer:
    """The page on which one signs in, reads and writes: a client of the API like any other."""
    settings = call.service.settings
    body = ASSETS.page(
        "page.html",
        title=settings.title,
        base=settings.base_url,
        streams=settings.streaming_url,
    )
    headers = (*security_headers(settings, scripts=True), (b"cache-control", b"no-cache"))
    return Answer(body, content_type=HTML, headers=headers)


@endpoints.add("GET", "/@{name}", Older, who="anyone")
async def account(call: Call, asked: Older) -> Answer:
    """An account and what it wrote for everybody."""
    service = call.service
    found = await service.database.fetchval(
        "SELECT id FROM account WHERE lower(username) = lower($1)", call.path[0]
    )
    if found is None:
        return _missing(service)
    entity = _decode((await service.accounts.fresh([found]))[found])
    shown = await _list(service, asked, OF_ACCOUNT, found)
    title = f"{entity['display_name'] or entity['username']} (@{entity['acct']})"
    head = account_card(entity, service.base_url)
    path = f"/@{quote(entity['username'])}"
    return _page(service, title, head + _cards(service, shown, path, "No public posts yet."))


@endpoints.add("GET", "/@{name}/{id}", Empty, who="anyone")
async def status(call: Call, _: Empty) -> Answer:
    """A status, what it answers and what answers it."""
    service = call.service
    name, identifier = call.path[0], _number(call.path[1])
    shown = await service.reader.one(None, identifier) if identifier is not None else None
    if shown is None:
        return _missing(service)
    entity = _decode(shown.body)
    author = entity["account"]
    if entity["reblog"] is not None or author["username"].lower() != name.lower():
        return _missing(service)
    around = await thread(service, None, shown.id)
    before, after = (
        [status_card(one, service.base_url) for one in map(_decode, part) if _is_public(one)]
        for part in (around.ancestors, around.descendants)
    )
    chosen = status_card(entity, service.base_url, chosen=True)
    title = f"{author['display_name'] or author['username']}: {_beginning(entity)}"
    return _page(service, title, followed([*before, chosen, *after]))


@endpoints.add("GET", "/@{name}/{id}/reblogs/{share}", Empty, who="anyone")
async def share(call: Call, _: Empty) -> Answer:
    """A share leads to what was shared."""
    identifier = _number(call.path[1])
    if identifier is None:
        return _missing(call.service)
    where = f"/@{quote(call.path[0], safe='')}/{identifier}"
    return Answer(b"", 302, "text/plain", ((b"location", where.encode()),))


@endpoints.add("GET", "/tags/{name}", Older, who="anyone")
async def tag(call: Call, asked: Older) -> Answer:
    """What has a hashtag and was written for everybody."""
    service = call.service
    names = hashtags_of(f"#{call.path[0]}")
    if not names:
        return _missing(service)
    shown = await _list(service, asked, TAG, names[0], [], [], key="t.status_id")
    head = f'<h2 class="about">#{names[0]}</h2>'
    path = f"/tags/{quote(names[0])}"
    return _page(service, f"#{names[0]}", head + _cards(service, shown, path, "No posts yet."))


async def _list(
    service: Service, asked: Older, source: str, *arguments: Any, key: str = "s.id"
) -> Slice | None:
    upper = None if asked.max_id is None else _number(asked.max_id)
    page = page_of(PageQuery(max_id=None if upper is None else str(upper)), default=_PAGE)
    return await service.timelines.statuses(None, page, source, *arguments, key=key)


def _cards(service: Service, shown: Slice | None, path: str, empty: str) -> str:
    statuses = [_decode(one.body) for one in shown.statuses] if shown is not None else []
    full = shown is not None and len(statuses) == _PAGE
    older = f"{path}?max_id={shown.oldest}" if shown is not None and full else ""
    return followed(
        (status_card(one, service.base_url) for one in statuses), older=older, empty=empty
    )


def _is_public(status: Any) -> bool:
    return bool(status["visibility"] == "public")


def _beginning(status: Any) -> str:
    """What the title of a page says of a status."""
    return str(status["spoiler_text"] or status["created_at"][:10])


def _number(text: str) -> int | None:
    # What is no id is asked for by people as well, who get a page.
    try:
        return id_of(text)
    except ApiError:
        return None


def _page(service: Service, title: str, body: str) -> Answer:
    return _framed(service, title, body, 200)


def _missing(service: Service) -> Answer:
    body = (
        '<div class="card"><h2>Not here</h2>'
        "<p>There is no such page, or it is not for everybody.</p></div>"
    )
    return _framed(service, "Not here", body, 404)


def _framed(service: Service, title: str, body: str, status: int) -> Answer:
    settings: Settings = service.settings
    return framed(
        f"{title} – {settings.title}",
        f'<main class="reading">{body}</main>',
        status=status,
        site=settings.title,
        head=_ROBOTS,
        headers=(*security_headers(settings), (b"cache-control", b"no-cache")),
    )
