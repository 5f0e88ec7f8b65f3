"""Filters: what a viewer does not want to read, by keywords or one by one."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from social.errors import invalid, not_found
from social.filters import Change, KeywordChange
from social.matching import Filter, FilteredStatus, Keyword
from social.web.routing import Call, Empty, Endpoints, id_of

__all__ = ["endpoints", "ends_in"]

endpoints = Endpoints()

_ACTIONS = ("warn", "hide")


class KeywordEdit(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword within a filter; with an id one that is there."""

    id: str | int | None = None
    keyword: str | None = None
    whole_word: bool | None = None
    destroy: bool = msgspec.field(name="_destroy", default=False)


class FilterEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter is to be. `expires_in` is in seconds; empty it never ends."""

    title: str | None = None
    context: list[str] | None = None
    filter_action: str | None = None
    expires_in: int | str | UnsetType | None = UNSET
    keywords_attributes: list[KeywordEdit] = []


class OneKeyword(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword by itself."""

    keyword: str | None = None
    whole_word: bool | None = None


class OneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A status to be filtered."""

    status_id: str | int


def ends_in(given: int | str | UnsetType | None) -> tuple[int | None] | None:
    """When a filter is to end, as `Change` has it. Raises a 422 when that is no number."""
    if given is UNSET or isinstance(given, UnsetType):
        return None
    if given is None or given == "":
        return (None,)
    if isinstance(given, str) and not (given.isascii() and given.isdecimal() and len(given) < 12):
        raise invalid("Expires in must be a number of seconds")
    if not 0 <= int(given) < 10**11:
        raise invalid("Expires in must be a number of seconds")
    return (int(given),)


def _change(edit: FilterEdit) -> Change:
    if edit.filter_action not in (None, *_ACTIONS):
        raise invalid(f"Filter action must be one of {', '.join(_ACTIONS)}")
    return Change(
        title=edit.title,
        contexts=edit.context,
        hides=None if edit.filter_action is None else edit.filter_action == "hide",
        ends=ends_in(edit.expires_in),
        keywords=[
            KeywordChange(
                id=None if one.id is None else id_of(str(one.id)),
                keyword=one.keyword,
                whole_word=one.whole_word,
                destroy=one.destroy,
            )
            for one in edit.keywords_attributes
        ],
    )


@endpoints.add("GET", "/api/v2/filters", Empty, who="user", scope="read:filters")
async def filters(call: Call, _: Empty) -> list[Filter]:
    """One's filters."""
    return await call.service.filters.all(call.me)


@endpoints.add("POST", "/api/v2/filters", FilterEdit, who="user", scope="write:filters")
async def create(call: Call, edit: FilterEdit) -> Filter:
    """Make a filter."""
    made = await call.service.filters.create(call.me, _change(edit))
    return await call.service.filters.one(call.me, made)


@endpoints.add("GET", "/api/v2/filters/{id}", Empty, who="user", scope="read:filters")
async def show(call: Call, _: Empty) -> Filter:
    """One filter."""
    return await call.service.filters.one(call.me, call.id)


@endpoints.add("PUT", "/api/v2/filters/{id}", FilterEdit, who="user", scope="write:filters")
async def update(call: Call, edit: FilterEdit) -> Filter:
    """Change a filter and its keywords."""
    await call.service.filters.change(call.me, call.id, _change(edit))
    return await call.service.filters.one(call.me, call.id)


@endpoints.add("DELETE", "/api/v2/filters/{id}", Empty, who="user", scope="write:filters")
async def delete(call: Call, _: Empty) -> dict[str, str]:
    """Delete a filter."""
    await call.service.filters.delete(call.me, call.id)
    return {}


@endpoints.add("GET", "/api/v2/filters/{id}/keywords", Empty, who="user", scope="read:filters")
async def keywords(call: Call, _: Empty) -> list[Keyword]:
    """The keywords of a filter."""
    return (await call.service.filters.one(call.me, call.id)).keywords


@endpoints.add(
    "POST", "/api/v2/filters/{id}/keywords", OneKeyword, who="user", scope="write:filters"
)
async def add_keyword(call: Call, asked: OneKeyword) -> Keyword:
    """Add a keyword to a filter."""
    # Made alone it is a part of words, unless it is said to be a whole one.
    change = KeywordChange(keyword=asked.keyword, whole_word=bool(asked.whole_word))
    await call.service.filters.change(call.me, call.id, Change(keywords=[change]))
    return (await call.service.filters.one(call.me, call.id)).keywords[-1]


@endpoints.add("GET", "/api/v2/filters/keywords/{id}", Empty, who="user", scope="read:filters")
async def show_keyword(call: Call, _: Empty) -> Keyword:
    """One keyword."""
    return await _keyword(call)


@endpoints.add(
    "PUT", "/api/v2/filters/keywords/{id}", OneKeyword, who="user", scope="write:filters"
)
async def update_keyword(call: Call, asked: OneKeyword) -> Keyword:
    """Change a keyword."""
    await _change_keyword(
        call, KeywordChange(id=call.id, keyword=asked.keyword, whole_word=asked.whole_word)
    )
    return await _keyword(call)


@endpoints.add("DELETE", "/api/v2/filters/keywords/{id}", Empty, who="user", scope="write:filters")
async def delete_keyword(call: Call, _: Empty) -> dict[str, str]:
    """Take a keyword out of its filter."""
    await _change_keyword(call, KeywordChange(id=call.id, destroy=True))
    return {}


async def _keyword(call: Call) -> Keyword:
    found = await call.service.filters.owner_of(call.me, "keyword", call.id)
    return next(one for one in found.keywords if one.id == str(call.id))


async def _change_keyword(call: Call, change: KeywordChange) -> None:
    found = await call.service.filters.owner_of(call.me, "keyword", call.id)
    await call.service.filters.change(call.me, int(found.id), Change(keywords=[change]))


@endpoints.add("GET", "/api/v2/filters/{id}/statuses", Empty, who="user", scope="read:filters")
async def statuses(call: Call, _: Empty) -> list[FilteredStatus]:
    """The statuses of a filter."""
    return (await call.service.filters.one(call.me, call.id)).statuses


@endpoints.add(
    "POST", "/api/v2/filters/{id}/statuses", OneStatus, who="user", scope="write:filters"
)
async def add_status(call: Call, asked: OneStatus) -> FilteredStatus:
    """Add a status to a filter."""
    status = id_of(str(asked.status_id))
    if await call.service.reader.one(call.me, status) is None:
        raise not_found()
    made = await call.service.filters.add_status(call.me, call.id, status)
    return FilteredStatus(str(made), str(status))


@endpoints.add("GET", "/api/v2/filters/statuses/{id}", Empty, who="user", scope="read:filters")
async def show_status(call: Call, _: Empty) -> FilteredStatus:
    """One status of a filter."""
    found = await call.service.filters.owner_of(call.me, "status", call.id)
    return next(one for one in found.statuses if one.id == str(call.id))


@endpoints.add("DELETE", "/api/v2/filters/statuses/{id}", Empty, who="user", scope="write:filters")
async def delete_status(call: Call, _: Empty) -> dict[str, str]:
    """Take a status out of its filter."""
    await call.service.filters.remove_status(call.me, call.id)
    return {}
