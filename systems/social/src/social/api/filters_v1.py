"""Filters as older clients know them: each is one keyword of a filter, under the keyword's id."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from social.api.filters import ends_in
from social.entities import Id, Moment
from social.errors import ApiError, invalid
from social.filters import Change, KeywordChange
from social.matching import Filter, FilterContext, Keyword
from social.web.routing import Call, Empty, Endpoints

__all__ = ["endpoints"]

endpoints = Endpoints()


class FilterV1(msgspec.Struct, frozen=True):
    """One keyword with what its filter says."""

    id: Id
    phrase: str
    context: list[FilterContext]
    whole_word: bool
    expires_at: Moment | None
    irreversible: bool


class FilterV1Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter is to be. `expires_in` is in seconds; empty it never ends."""

    phrase: str | None = None
    context: list[str] | None = None
    irreversible: bool | None = None
    whole_word: bool | None = None
    expires_in: int | str | UnsetType | None = UNSET


def _entity(found: Filter, keyword: Keyword) -> FilterV1:
    return FilterV1(
        keyword.id,
        keyword.keyword,
        found.context,
        keyword.whole_word,
        found.expires_at,
        found.filter_action == "hide",
    )


async def _own(call: Call) -> tuple[Filter, Keyword]:
    found = await call.service.filters.owner_of(call.me, "keyword", call.id)
    return found, next(one for one in found.keywords if one.id == str(call.id))


@endpoints.add("GET", "/api/v1/filters", Empty, who="user", scope="read:filters")
async def filters(call: Call, _: Empty) -> list[FilterV1]:
    """The keywords of all filters."""
    found = await call.service.filters.all(call.me)
    return [_entity(one, keyword) for one in found for keyword in one.keywords]


@endpoints.add("POST", "/api/v1/filters", FilterV1Edit, who="user", scope="write:filters")
async def create(call: Call, edit: FilterV1Edit) -> FilterV1:
    """Make a filter of one keyword."""
    if edit.phrase is None:
        raise invalid("Phrase can't be blank")
    made = await call.service.filters.create(
        call.me,
        Change(
            title=edit.phrase[:256],
            contexts=edit.context,
            hides=edit.irreversible,
            ends=ends_in(edit.expires_in),
            keywords=[KeywordChange(keyword=edit.phrase, whole_word=bool(edit.whole_word))],
        ),
    )
    found = await call.service.filters.one(call.me, made)
    return _entity(found, found.keywords[0])


@endpoints.add("GET", "/api/v1/filters/{id}", Empty, who="user", scope="read:filters")
async def show(call: Call, _: Empty) -> FilterV1:
    """One keyword with what its filter says."""
    return _entity(*await _own(call))


@endpoints.add("PUT", "/api/v1/filters/{id}", FilterV1Edit, who="user", scope="write:filters")
async def update(call: Call, edit: FilterV1Edit) -> FilterV1:
    """Change a keyword, and its filter if it is the only one there."""
    found, _keyword = await _own(call)
    change = Change(
        title=edit.phrase[:256] if edit.phrase and len(found.keywords) == 1 else None,
        contexts=edit.context,
        hides=edit.irreversible,
        ends=ends_in(edit.expires_in),
        keywords=[
            KeywordChange(id=call.id, keyword=edit.phrase, whole_word=edit.whole_word),
        ],
    )
    of_filter = (
        edit.context not in (None, found.context)
        or edit.irreversible not in (None, found.filter_action == "hide")
        or change.ends is not None
    )
    if of_filter and len(found.keywords) > 1:
        # Somebody who knows one keyword would change what holds for the others.
        raise ApiError(422, "Validation failed: The filter has several keywords")
    await call.service.filters.change(call.me, int(found.id), change)
    return _entity(*await _own(call))


@endpoints.add("DELETE", "/api/v1/filters/{id}", Empty, who="user", scope="write:filters")
async def delete(call: Call, _: Empty) -> dict[str, str]:
    """Delete a keyword, and its filter with the last one."""
    found, _keyword = await _own(call)
    if len(found.keywords) == 1 and not found.statuses:
        await call.service.filters.delete(call.me, int(found.id))
    else:
        change = Change(keywords=[KeywordChange(id=call.id, destroy=True)])
        await call.service.filters.change(call.me, int(found.id), change)
    return {}
