"""Pages of lists: which part of a list is asked for, the SQL that reads it, the Link header.

Every list is ordered by an id that sorts by time. A page is asked for by ids: below `max_id`, above
`since_id` (the newest first), or directly above `min_id` (the next newer ones).
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec

__all__ = [
    "BEYOND",
    "Page",
    "PageQuery",
    "Paging",
    "link_header",
    "page_of",
    "paged",
]

BEYOND = (1 << 63) - 1
"""Larger than any id."""

Paging = Literal["keyset", "offset"]
_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}$")]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of every list."""

    max_id: _Id | None = None
    since_id: _Id | None = None
    min_id: _Id | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Page(msgspec.Struct, frozen=True):
    """Ids between `lower` and `upper`, both exclusive; `rising`: those next to `lower` first."""

    upper: int
    lower: int
    limit: int
    rising: bool = False


def page_of(query: PageQuery, *, default: int = 20, most: int = 40) -> Page:
    """The page asked for; more than `most` at once is `most`."""
    limit = min(query.limit or default, most)
    # An id beyond the largest is as good as the largest.
    upper = min(int(query.max_id), BEYOND) if query.max_id else BEYOND
    if query.min_id:
        return Page(upper, min(int(query.min_id), BEYOND), limit, rising=True)
    return Page(upper, min(int(query.since_id), BEYOND) if query.since_id else -1, limit)


def paged(columns: str, source: str, key: str, *, rising: bool, paging: Paging) -> str:
    """SQL of one page. Takes $1 (for `source` to use), $2 upper, $3 lower, $4 limit.

    `source` is from FROM to the end of WHERE. With `offset` the rows before the page are counted
    and then passed over, as by page numbers: it is there to be compared with `keyset`.
    """
    if rising:
        return (
            f"SELECT {columns} {source} AND {key} > $3 AND {key} < $2 ORDER BY {key} ASC LIMIT $4"
        )
    if paging == "offset":
        return (
            f"SELECT {columns} {source} AND {key} > $3 ORDER BY {key} DESC"
            f" OFFSET (SELECT count(*) {source} AND {key} >= $2) LIMIT $4"
        )
    return f"SELECT {columns} {source} AND {key} < $2 AND {key} > $3 ORDER BY {key} DESC LIMIT $4"


def link_header(uri: str, query: str, newest: int, oldest: int) -> tuple[bytes, bytes]:
    """The Link header of a page whose ids lie between these two; both pages are always named,
    because whether there is more is not known without looking.
    """
    kept = [
        (name, value)
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name not in ("max_id", "since_id", "min_id")
    ]
    following = urlencode([*kept, ("max_id", oldest)])
    preceding = urlencode([*kept, ("min_id", newest)])
    value = f'<{uri}?{following}>; rel="next", <{uri}?{preceding}>; rel="prev"'
    return b"link", value.encode()
