"""The REST API: tags."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, put
from litestar.params import Parameter

from shortener.api_parts import (
    AnyRequest,
    ItemsPerPage,
    PageNumber,
    SearchTerm,
    answers,
    check_text,
    service_of,
)
from shortener.drafts import RenameTag, rename_of
from shortener.schemas import (
    PAGE_ITEMS_MAX,
    TagList,
    TagStatsList,
    page_of,
    paging,
    tag_stats_list,
)
from shortener.tags import TagOrder, delete_tags, list_tags, rename_tag, tag_stats

__all__ = ["TAG_HANDLERS"]


@get("/tags", operation_id="listTags", tags=["Tags"], responses=answers())
async def get_tags(
    request: AnyRequest,
    *,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    search_term: SearchTerm = None,
    order_by: Annotated[TagOrder, Parameter(query="orderBy")] = "tag-ASC",
) -> TagList:
    """The names of all tags."""
    check_text(searchTerm=search_term)
    number, length = paging(page, items_per_page, default_items=PAGE_ITEMS_MAX)
    names, of_all = await list_tags(
        service_of(request).database,
        search=search_term,
        order=order_by,
        offset=(number - 1) * length,
        limit=length,
    )
    return TagList(page_of(names, str, of_all, number, length))


@get("/tags/stats", operation_id="tagsWithStats", tags=["Tags"], responses=answers())
async def get_tag_stats(
    request: AnyRequest,
    *,
    page: PageNumber = None,
    items_per_page: ItemsPerPage = None,
    search_term: SearchTerm = None,
    order_by: Annotated[TagOrder, Parameter(query="orderBy")] = "tag-ASC",
) -> TagStatsList:
    """All tags, with how many links and visits each has."""
    check_text(searchTerm=search_term)
    number, length = paging(page, items_per_page, default_items=PAGE_ITEMS_MAX)
    rows, of_all = await tag_stats(
        service_of(request).database,
        search=search_term,
        order=order_by,
        offset=(number - 1) * length,
        limit=length,
    )
    return tag_stats_list(rows, of_all, number, length)


@put(
    "/tags",
    operation_id="renameTag",
    tags=["Tags"],
    status_code=204,
    responses=answers(
        _400="A name that no tag can have",
        _404="There is no tag of the old name",
        _409="Another tag has the new name",
        _413="The body is longer than 64 KiB",
    ),
)
async def put_tag(request: AnyRequest, data: RenameTag) -> None:
    """Give a tag another name."""
    await rename_tag(service_of(request).database, *rename_of(data))


@delete(
    "/tags",
    operation_id="deleteTags",
    tags=["Tags"],
    responses=answers(_400="No tags are given"),
)
async def delete_some_tags(
    request: AnyRequest, names: Annotated[list[str], Parameter(query="tags[]")]
) -> None:
    """Delete tags; links keep the others."""
    check_text(tags=names)
    await delete_tags(service_of(request).database, names)


TAG_HANDLERS = [
    get_tags,
    get_tag_stats,
    put_tag,
    delete_some_tags,
]
