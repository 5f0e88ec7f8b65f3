"""Lists: some of those whom one follows, with a timeline of their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import asyncpg
import msgspec

from social.api.parts import accounts_answer, statuses_answer
from social.entities import Account, Id
from social.entities_status import Status
from social.errors import ApiError, not_found
from social.pages import PageQuery, page_of
from social.web.routing import Answer, Call, Empty, Endpoints, id_of

__all__ = ["endpoints"]

endpoints = Endpoints()

RepliesPolicy = Literal["none", "list", "followed"]
_POLICIES: tuple[RepliesPolicy, ...] = get_args(RepliesPolicy)


class List(msgspec.Struct, frozen=True):
    """A list; none is exclusive: what its members post stands at home as well."""

    id: Id
    title: str
    replies_policy: RepliesPolicy
    exclusive: bool = False


class ListEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is called, and which replies stand in it."""

    title: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    replies_policy: str | None = None
    exclusive: bool | None = None


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts to be put in or taken out."""

    account_ids: list[str] | str = []


def _entity(row: Any) -> List:
    return List(str(row["id"]), row["title"], _POLICIES[row["replies"]])


async def _own(call: Call) -> Any:
    row = await call.service.database.fetchrow(
        "SELECT id, title, replies FROM list WHERE id = $1 AND account_id = $2", call.id, call.me
    )
    if row is None:
        raise not_found()
    return row


def _checked(edit: ListEdit) -> int | None:
    if edit.exclusive:
        raise ApiError(422, "Validation failed: This server has no exclusive lists")
    if edit.title is not None and not edit.title.strip():
        raise ApiError(422, "Validation failed: Title can't be blank")
    if edit.replies_policy is None:
        return None
    if edit.replies_policy not in _POLICIES:
        raise ApiError(422, "Validation failed: Replies policy must be none, list or followed")
    return _POLICIES.index(edit.replies_policy)


@endpoints.add("GET", "/api/v1/lists", Empty, who="user", scope="read:lists")
async def lists(call: Call, _: Empty) -> list[List]:
    """One's lists."""
    rows = await call.service.database.fetch(
        "SELECT id, title, replies FROM list WHERE account_id = $1 ORDER BY id LIMIT 200", call.me
    )
    return [_entity(row) for row in rows]


@endpoints.add("POST", "/api/v1/lists", ListEdit, who="user", scope="write:lists")
async def create(call: Call, edit: ListEdit) -> List:
    """Make a list."""
    replies = _checked(edit)
    if edit.title is None:
        raise ApiError(422, "Validation failed: Title can't be blank")
    row = await call.service.database.fetchrow(
        """INSERT INTO list (id, account_id, title, replies) VALUES ($1, $2, $3, $4)
           RETURNING id, title, replies""",
        call.service.ids.next(),
        call.me,
        edit.title,
        1 if replies is None else replies,
    )
    return _entity(row)


@endpoints.add("GET", "/api/v1/lists/{id}", Empty, who="user", scope="read:lists")
async def show(call: Call, _: Empty) -> List:
    """One list."""
    return _entity(await _own(call))


@endpoints.add("PUT", "/api/v1/lists/{id}", ListEdit, who="user", scope="write:lists")
async def update(call: Call, edit: ListEdit) -> List:
    """Change a list."""
    replies = _checked(edit)
    await _own(call)
    row = await call.service.database.fetchrow(
        """UPDATE list SET title = coalesce($2, title), replies = coalesce($3, replies)
           WHERE id = $1 RETURNING id, title, replies""",
        call.id,
        edit.title,
        replies,
    )
    return _entity(row)


@endpoints.add("DELETE", "/api/v1/lists/{id}", Empty, who="user", scope="write:lists")
async def delete(call: Call, _: Empty) -> dict[str, str]:
    """Delete a list."""
    await _own(call)
    await call.service.database.fetch("DELETE FROM list WHERE id = $1", call.id)
    return {}


@endpoints.add(
    "GET",
    "/api/v1/lists/{id}/accounts",
    PageQuery,
    who="user",
    scope="read:lists",
    returns=list[Account],
)
async def members(call: Call, asked: PageQuery) -> Answer:
    """Who is in a list."""
    await _own(call)
    page = page_of(asked, default=40, most=80)
    return accounts_answer(call, await call.service.people.page("list", call.me, call.id, page))


@endpoints.add("POST", "/api/v1/lists/{id}/accounts", Members, who="user", scope="write:lists")
async def add(call: Call, asked: Members) -> dict[str, str]:
    """Put accounts that one follows into a list."""
    await _own(call)
    ids = _ids(asked)
    try:
        await call.service.database.fetch(
            """INSERT INTO list_member (id, list_id, account_id, target_id)
               SELECT new_id, $1, $2, target
               FROM unnest($3::bigint[], $4::bigint[]) AS x (new_id, target)""",
            call.id,
            call.me,
            [call.service.ids.next() for _ in ids],
            ids,
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise not_found() from error
    except asyncpg.UniqueViolationError as error:
        raise ApiError(422, "Validation failed: Account has already been taken") from error
    call.service.teller.account(call.me, "follows")
    return {}


@endpoints.add("DELETE", "/api/v1/lists/{id}/accounts", Members, who="user", scope="write:lists")
async def remove(call: Call, asked: Members) -> dict[str, str]:
    """Take accounts out of a list."""
    await _own(call)
    await call.service.database.fetch(
        "DELETE FROM list_member WHERE list_id = $1 AND target_id = ANY($2::bigint[])",
        call.id,
        _ids(asked),
    )
    call.service.teller.account(call.me, "follows")
    return {}


def _ids(asked: Members) -> list[int]:
    given = [asked.account_ids] if isinstance(asked.account_ids, str) else asked.account_ids
    return [id_of(one) for one in dict.fromkeys(given)][:200]


@endpoints.add("GET", "/api/v1/accounts/{id}/lists", Empty, who="user", scope="read:lists")
async def lists_of(call: Call, _: Empty) -> list[List]:
    """Those of one's lists that an account is in."""
    rows = await call.service.database.fetch(
        """SELECT l.id, l.title, l.replies FROM list AS l
           JOIN list_member AS m ON m.list_id = l.id
           WHERE m.account_id = $1 AND m.target_id = $2 ORDER BY l.id""",
        call.me,
        call.id,
    )
    return [_entity(row) for row in rows]


@endpoints.add(
    "GET",
    "/api/v1/timelines/list/{id}",
    PageQuery,
    who="user",
    scope="read:lists",
    returns=list[Status],
)
async def timeline(call: Call, asked: PageQuery) -> Answer:
    """What the members of a list have written and shared."""
    row = await _own(call)
    found = await call.service.timelines.of_list(call.me, row["id"], page_of(asked))
    return statuses_answer(call, found)
