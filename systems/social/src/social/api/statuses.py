"""Statuses: written, read, edited, deleted, shared and marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from social.api.parts import accounts_answer, json_list, readable
from social.entities import (
    Account,
    Context,
    PollEdit,
    PollEditOption,
    StatusEdit,
    StatusJson,
    StatusSource,
    time_of,
    timestamp,
)
from social.entities_status import DeletedStatus, Status
from social.errors import invalid, not_found
from social.media import ATTACHED_MAX, MediaEdit, attachment
from social.pages import PageQuery, page_of
from social.polls import NewPoll, check_poll
from social.posting import Draft
from social.service import Service
from social.statuses import Shown
from social.text import rendered
from social.visibility import DIRECT, NAMES, PRIVATE
from social.web.routing import Answer, Call, Empty, Endpoints, id_of

__all__ = ["endpoints", "thread"]

endpoints = Endpoints()

_KEY_MAX = 255
_ANCESTORS_MAX = 40
_DESCENDANTS_MAX = 200


class NewStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A status to be written."""

    status: str = ""
    in_reply_to_id: str | None = None
    sensitive: bool | None = None
    spoiler_text: str | None = None
    visibility: str | None = None
    language: Annotated[str, msgspec.Meta(max_length=10)] | None = None
    media_ids: list[str] = []
    poll: NewPoll | None = None
    scheduled_at: str | None = None


class AttachedEdit(MediaEdit, frozen=True, kw_only=True):
    """What is to be said of a picture of a status from now on."""

    id: str


class EditedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a status is to be from now on."""

    status: str = ""
    sensitive: bool | None = None
    spoiler_text: str | None = None
    language: Annotated[str, msgspec.Meta(max_length=10)] | None = None
    media_ids: list[str] = []
    media_attributes: list[AttachedEdit] | dict[str, AttachedEdit] = []
    poll: NewPoll | None = None


def _media_of(asked: NewStatus | EditedStatus) -> tuple[int, ...]:
    media = tuple(id_of(one) for one in dict.fromkeys(asked.media_ids))
    if len(media) > ATTACHED_MAX:
        raise invalid(f"Cannot attach more than {ATTACHED_MAX} files")
    if asked.poll is not None:
        check_poll(asked.poll)
        if media:
            raise invalid("Cannot attach files to a status with a poll")
    return media


@endpoints.add(
    "POST", "/api/v1/statuses", NewStatus, who="user", scope="write:statuses", returns=Status
)
async def create(call: Call, asked: NewStatus) -> Answer:
    """Write a status; the same Idempotency-Key again returns the one written before."""
    service, token = call.service, call.token
    assert token is not None
    if asked.scheduled_at:
        # Said rather than posted now.
        raise invalid("This server does not schedule posts")
    spoiler = (asked.spoiler_text or "").strip()
    media = _media_of(asked)
    service.posting.check(asked.status, spoiler, alone=not media)
    key = call.headers.get(b"idempotency-key", b"").decode("latin-1")
    if len(key) > _KEY_MAX:
        raise invalid(f"Idempotency-Key is too long (maximum is {_KEY_MAX} characters)")
    reply: tuple[int, int] | None = None
    if asked.in_reply_to_id:
        answered = await service.reader.one(call.me, id_of(asked.in_reply_to_id))
        if answered is None:
            raise not_found()
        reply = answered.original[:2]
    visibility, sensitive, language = await _defaults(call, asked)
    written = await service.posting.write(
        call.me,
        Draft(
            text=asked.status,
            spoiler=spoiler,
            sensitive=sensitive or bool(spoiler),
            visibility=visibility,
            language=language,
            in_reply_to=reply,
            app_id=token.app_id,
            idempotency_key=key or None,
            media=media,
            poll=asked.poll,
        ),
    )
    # Sent again, the one before may have died between its commit and this.
    if visibility < DIRECT:
        await service.spread(written.id)
    return Answer((await readable(call, written.id)).body)


async def _defaults(call: Call, asked: NewStatus) -> tuple[int, bool, str | None]:
    if asked.visibility is not None and asked.sensitive is not None and asked.language:
        return _visibility(asked.visibility), asked.sensitive, asked.language
    row = await call.service.database.fetchrow(
        """SELECT default_visibility, default_sensitive, default_language FROM account
           WHERE id = $1""",
        call.me,
    )
    return (
        row[0] if asked.visibility is None else _visibility(asked.visibility),
        row[1] if asked.sensitive is None else asked.sensitive,
        asked.language or row[2],
    )


def _visibility(name: str) -> int:
    if name not in NAMES:
        raise invalid("Visibility must be public, unlisted, private or direct")
    return NAMES.index(name)


@endpoints.add(
    "GET", "/api/v1/statuses/{id}", Empty, who="anyone", scope="read:statuses", returns=Status
)
async def show(call: Call, _: Empty) -> Answer:
    """One status."""
    return Answer((await readable(call, call.id)).body)


class StatusIds(msgspec.Struct, frozen=True, kw_only=True):
    """One id or several."""

    id: list[str] | str = []


@endpoints.add(
    "GET", "/api/v1/statuses", StatusIds, who="anyone", scope="read:statuses", returns=list[Status]
)
async def several(call: Call, asked: StatusIds) -> Answer:
    """Statuses by their ids."""
    given = [asked.id] if isinstance(asked.id, str) else asked.id
    ids = [id_of(one) for one in dict.fromkeys(given)][:40]
    found = await call.service.reader.by_ids(call.viewer, ids)
    return Answer(json_list([found[one].body for one in ids if one in found]))


@endpoints.add(
    "PUT", "/api/v1/statuses/{id}", EditedStatus, who="user", scope="write:statuses", returns=Status
)
async def edit(call: Call, asked: EditedStatus) -> Answer:
    """Edit a status of one's own."""
    await _own(call)
    before = await call.service.database.fetchrow(
        "SELECT sensitive, language FROM status WHERE id = $1", call.id
    )
    spoiler = (asked.spoiler_text or "").strip()
    media, given = _media_of(asked), asked.media_attributes
    call.service.posting.check(asked.status, spoiler, alone=not media)
    draft = Draft(
        text=asked.status,
        spoiler=spoiler,
        sensitive=(before[0] if asked.sensitive is None else asked.sensitive) or bool(spoiler),
        visibility=0,
        language=asked.language or before[1],
        media=media,
        poll=asked.poll,
        media_edits={
            id_of(one.id): one for one in (given.values() if isinstance(given, dict) else given)
        },
    )
    await call.service.posting.edit(call.me, call.id, draft)
    return Answer((await readable(call, call.id)).body)


async def _own(call: Call) -> Shown:
    found = await readable(call, call.id)
    if found.account_id != call.me:
        raise not_found()
    return found


@endpoints.add(
    "DELETE",
    "/api/v1/statuses/{id}",
    Empty,
    who="user",
    scope="write:statuses",
    returns=DeletedStatus,
)
async def delete(call: Call, _: Empty) -> Answer:
    """Delete a status of one's own; the answer has its source, to write it anew."""
    found = await _own(call)
    text = await call.service.database.fetchval("SELECT text FROM status WHERE id = $1", call.id)
    await call.service.posting.delete(call.me, call.id)
    return Answer(found.body[:-1] + b',"text":' + msgspec.json.encode(text or "") + b"}")


# From a status up and down by its replies; both depth and number have a bound.
_ANCESTORS = """
WITH RECURSIVE up AS (
    SELECT id, in_reply_to_id, 0 AS depth FROM status WHERE id = $1
    UNION ALL
    SELECT s.id, s.in_reply_to_id, up.depth + 1 FROM up JOIN status AS s ON s.id = up.in_reply_to_id
    WHERE up.depth < $2)
SELECT id FROM up WHERE depth > 0 ORDER BY depth DESC"""
_DESCENDANTS = """
WITH RECURSIVE down AS (
    SELECT id, ARRAY[]::bigint[] AS path FROM status WHERE id = $1
    UNION ALL
    SELECT s.id, down.path || s.id FROM down JOIN status AS s ON s.in_reply_to_id = down.id
    WHERE cardinality(down.path) < 20),
reached AS (SELECT id, path FROM down WHERE cardinality(path) > 0 LIMIT $2)
SELECT id FROM reached ORDER BY path"""


@endpoints.add("GET", "/api/v1/statuses/{id}/context", Empty, who="anyone", scope="read:statuses")
async def context(call: Call, _: Empty) -> Context:
    """What a status answers and what answers it."""
    shown = await readable(call, call.id)
    return await thread(call.service, call.viewer, shown.original[0])


async def thread(service: Service, viewer: int | None, status: int) -> Context:
    """What a status answers and what answers it, as far as the viewer may see that."""
    database = service.database
    up = [row[0] for row in await database.fetch(_ANCESTORS, status, _ANCESTORS_MAX)]
    down = [row[0] for row in await database.fetch(_DESCENDANTS, status, _DESCENDANTS_MAX)]
    found = await service.reader.by_ids(viewer, [*up, *down])

    def wanted(ids: list[int]) -> list[StatusJson]:
        return [msgspec.Raw(found[one].body) for one in ids if one in found and found[one].wanted]

    return Context(wanted(up), wanted(down))


@endpoints.add("GET", "/api/v1/statuses/{id}/source", Empty, who="user", scope="read:statuses")
async def source(call: Call, _: Empty) -> StatusSource:
    """What a status of one's own was written as."""
    await _own(call)
    row = await call.service.database.fetchrow(
        "SELECT text, spoiler FROM status WHERE id = $1", call.id
    )
    return StatusSource(str(call.id), row[0], row[1])


@endpoints.add("GET", "/api/v1/statuses/{id}/history", Empty, who="anyone", scope="read:statuses")
async def history(call: Call, _: Empty) -> list[StatusEdit]:
    """Every version of a status, the first one first."""
    shown = await readable(call, call.id)
    service, (original, author, _wanted) = call.service, shown.original
    rows = await service.database.fetch(
        """SELECT text, spoiler, sensitive, mentioned_names, version,
                  extract(epoch FROM written_at)::float8 AS written_s, media, poll
           FROM status_edit WHERE status_id = $1
           UNION ALL
           SELECT text, spoiler, sensitive, mentioned_names, version,
                  extract(epoch FROM edited_at)::float8,
                  (SELECT jsonb_agg(to_jsonb(m) ORDER BY m.place) FROM media AS m
                   WHERE m.status_id = $1 AND m.place IS NOT NULL),
                  (SELECT options FROM poll WHERE status_id = $1)
           FROM status WHERE id = $1
           ORDER BY version""",
        original,
    )
    account = (await service.accounts.entities({author: 0}))[author]

    def versions() -> Iterator[StatusEdit]:
        for row in rows:
            names = {name.lower(): name for name in row["mentioned_names"]}
            written_s = row["written_s"]
            yield StatusEdit(
                content=rendered(row["text"], names, base_url=service.base_url, host=service.host),
                spoiler_text=row["spoiler"],
                sensitive=row["sensitive"],
                created_at=time_of(original) if written_s is None else timestamp(written_s),
                account=msgspec.Raw(account),
                poll=PollEdit([PollEditOption(one) for one in row["poll"]])
                if row["poll"]
                else None,
                media_attachments=[
                    attachment(one, service.media.url)
                    for one in msgspec.json.decode(row["media"] or "[]")
                ],
            )

    return list(versions())


@endpoints.add(
    "GET",
    "/api/v1/statuses/{id}/favourited_by",
    PageQuery,
    who="anyone",
    scope="read:accounts",
    returns=list[Account],
)
async def favourited_by(call: Call, asked: PageQuery) -> Answer:
    """Who has favourited a status."""
    return await _people(call, "favourited_by", asked)


@endpoints.add(
    "GET",
    "/api/v1/statuses/{id}/reblogged_by",
    PageQuery,
    who="anyone",
    scope="read:accounts",
    returns=list[Account],
)
async def reblogged_by(call: Call, asked: PageQuery) -> Answer:
    """Who has shared a status."""
    return await _people(call, "reblogged_by", asked)


async def _people(call: Call, name: str, asked: PageQuery) -> Answer:
    shown = await readable(call, call.id)
    page = page_of(asked, default=40, most=80)
    return accounts_answer(
        call, await call.service.people.page(name, call.viewer, shown.original[0], page)
    )


async def _again(call: Call, status: int) -> Answer:
    return Answer((await readable(call, status)).body)


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/favourite",
    Empty,
    who="user",
    scope="write:favourites",
    returns=Status,
)
async def favourite(call: Call, _: Empty) -> Answer:
    """Favourite a status."""
    status, owner, _wanted = (await readable(call, call.id)).original
    await call.service.marks.favourite(call.me, status, owner)
    return await _again(call, status)


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/unfavourite",
    Empty,
    who="user",
    scope="write:favourites",
    returns=Status,
)
async def unfavourite(call: Call, _: Empty) -> Answer:
    """Take a favourite back."""
    status = (await readable(call, call.id)).original[0]
    await call.service.marks.unfavourite(call.me, status)
    return await _again(call, status)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Who may see that it was shared."""

    visibility: str | None = None


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/reblog",
    Share,
    who="user",
    scope="write:statuses",
    returns=Status,
)
async def reblog(call: Call, asked: Share) -> Answer:
    """Share a status with one's followers."""
    shown = await readable(call, call.id)
    status, owner, _wanted = shown.original
    if shown.visibility == DIRECT or (shown.visibility == PRIVATE and owner != call.me):
        # As if it were not there: who may see it may still not pass it on.
        raise not_found()
    visibility = _visibility(asked.visibility or NAMES[shown.visibility])
    visibility = max(min(visibility, PRIVATE), shown.visibility)
    service = call.service
    written = await service.posting.reblog(call.me, status, owner, visibility)
    await service.spread(written.id)
    return await _again(call, written.id)


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/unreblog",
    Empty,
    who="user",
    scope="write:statuses",
    returns=Status,
)
async def unreblog(call: Call, _: Empty) -> Answer:
    """Share a status no more."""
    status = (await readable(call, call.id)).original[0]
    shared = await call.service.posting.reblog_of(call.me, status)
    if shared is not None:
        await call.service.posting.delete(call.me, shared)
    return await _again(call, status)


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/bookmark",
    Empty,
    who="user",
    scope="write:bookmarks",
    returns=Status,
)
async def bookmark(call: Call, _: Empty) -> Answer:
    """Bookmark a status."""
    status = (await readable(call, call.id)).original[0]
    await call.service.marks.bookmark(call.me, status)
    return await _again(call, status)


@endpoints.add(
    "POST",
    "/api/v1/statuses/{id}/unbookmark",
    Empty,
    who="user",
    scope="write:bookmarks",
    returns=Status,
)
async def unbookmark(call: Call, _: Empty) -> Answer:
    """Take a bookmark away."""
    status = (await readable(call, call.id)).original[0]
    await call.service.marks.unbookmark(call.me, status)
    return await _again(call, status)


@endpoints.add(
    "POST", "/api/v1/statuses/{id}/pin", Empty, who="user", scope="write:accounts", returns=Status
)
async def pin(call: Call, _: Empty) -> Answer:
    """Pin a status of one's own to one's profile."""
    await readable(call, call.id)
    await call.service.marks.pin(call.me, call.id)
    return await _again(call, call.id)


@endpoints.add(
    "POST", "/api/v1/statuses/{id}/unpin", Empty, who="user", scope="write:accounts", returns=Status
)
async def unpin(call: Call, _: Empty) -> Answer:
    """Take a pin away."""
    await readable(call, call.id)
    await call.service.marks.unpin(call.me, call.id)
    return await _again(call, call.id)
