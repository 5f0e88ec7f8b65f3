"""Accounts: registration, profiles, search, relationships, lists of followers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from systems_common.limits import Limit, LocalLimiter

from social.api.parts import accounts_answer, json_list, statuses_answer
from social.entities import Account, AccountJson, CredentialAccount, Relationship, Token, encode
from social.entities_status import Status
from social.errors import ApiError, forbidden, invalid, not_found
from social.media import PICTURES
from social.pages import Page, PageQuery, page_of
from social.registration import Registration, issue_token, register
from social.text import hashtags_of
from social.visibility import NAMES
from social.web.routing import Answer, Call, Empty, Endpoints, id_of

__all__ = ["endpoints"]

endpoints = Endpoints()

_FIELDS_MAX = 4
_NOTE_MAX = 500
_NAME_MAX = 30
_SIGN_UPS = Limit(30, 1800.0)
_sign_ups = LocalLimiter()


@endpoints.add("POST", "/api/v1/accounts", Registration, who="app", scope="write:accounts")
async def create_account(call: Call, asked: Registration) -> Token:
    """Register an account; the answer is a token of it."""
    service, token = call.service, call.token
    assert token is not None
    if not service.settings.registrations:
        raise forbidden("Registrations are closed")
    if service.limit is not None and not _sign_ups.take(str(token.app_id), _SIGN_UPS).allowed:
        raise ApiError(429, "Too many requests")
    account = await register(service.database, service.ids, service.passwords, asked)
    scopes = " ".join(sorted(token.scopes))
    text = await issue_token(
        service.database, service.ids, app=token.app_id, account=account, scopes=scopes
    )
    return Token(text, "Bearer", scopes, token.created_s)


@endpoints.add(
    "GET", "/api/v1/accounts/verify_credentials", Empty, who="user", scope="read:accounts"
)
async def verify_credentials(call: Call, _: Empty) -> CredentialAccount:
    """The account of the token."""
    return await call.service.accounts.own(call.me)


class SourceEdit(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults of new statuses."""

    privacy: str | None = None
    sensitive: bool | None = None
    language: Annotated[str, msgspec.Meta(max_length=10)] | None = None


class FieldEdit(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a profile."""

    name: Annotated[str, msgspec.Meta(max_length=255)] = ""
    value: Annotated[str, msgspec.Meta(max_length=255)] = ""


class ProfileEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What is given is changed."""

    display_name: str | None = None
    note: str | None = None
    locked: bool | None = None
    bot: bool | None = None
    discoverable: bool | None = None
    fields_attributes: list[FieldEdit] | dict[str, FieldEdit] | None = None
    source: SourceEdit | None = None


@endpoints.add(
    "PATCH",
    "/api/v1/accounts/update_credentials",
    ProfileEdit,
    who="user",
    scope="write:accounts",
    files=("avatar", "header"),
)
async def update_credentials(call: Call, edit: ProfileEdit) -> CredentialAccount:
    """Change one's profile and the defaults of one's statuses."""
    columns: dict[str, Any] = {
        name: value
        for name in ("display_name", "note", "locked", "bot", "discoverable")
        if (value := getattr(edit, name)) is not None
    }
    if len(columns.get("display_name", "")) > _NAME_MAX:
        raise invalid(f"Display name is too long (maximum is {_NAME_MAX} characters)")
    if len(columns.get("note", "")) > _NOTE_MAX:
        raise invalid(f"Note is too long (maximum is {_NOTE_MAX} characters)")
    if edit.fields_attributes is not None:
        given = edit.fields_attributes
        fields = list(given.values()) if isinstance(given, dict) else given
        if len(fields) > _FIELDS_MAX:
            raise invalid(f"Fields can be at most {_FIELDS_MAX}")
        kept = [(one.name, one.value) for one in fields if one.name or one.value]
        columns["fields"] = encode(kept).decode()
    if edit.source is not None:
        source = edit.source
        if source.privacy is not None:
            if source.privacy not in NAMES[:3]:
                raise invalid("Privacy must be public, unlisted or private")
            columns["default_visibility"] = NAMES.index(source.privacy)
        if source.sensitive is not None:
            columns["default_sensitive"] = source.sensitive
        if source.language is not None:
            columns["default_language"] = source.language or None
    if call.files:
        pictures = {name: call.files[name].file for name in PICTURES if name in call.files}
        await call.service.media.set_pictures(call.me, pictures)
    if columns:
        # The names are those above, never the client's.
        changes = ", ".join(f"{name} = ${at}" for at, name in enumerate(columns, start=2))
        await call.service.database.fetch(
            f"UPDATE account SET {changes}, version = version + 1 WHERE id = $1",
            call.me,
            *columns.values(),
        )
    return await call.service.accounts.own(call.me)


@endpoints.add("DELETE", "/api/v1/profile/avatar", Empty, who="user", scope="write:accounts")
async def delete_avatar(call: Call, _: Empty) -> CredentialAccount:
    """Take one's picture away."""
    await call.service.media.set_pictures(call.me, {"avatar": None})
    return await call.service.accounts.own(call.me)


@endpoints.add("DELETE", "/api/v1/profile/header", Empty, who="user", scope="write:accounts")
async def delete_header(call: Call, _: Empty) -> CredentialAccount:
    """Take the picture at the head of one's profile away."""
    await call.service.media.set_pictures(call.me, {"header": None})
    return await call.service.accounts.own(call.me)


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """A name, with or without our host."""

    acct: str


@endpoints.add(
    "GET", "/api/v1/accounts/lookup", Lookup, who="anyone", scope="read:accounts", returns=Account
)
async def lookup(call: Call, asked: Lookup) -> Answer:
    """The account of a name."""
    name, at, host = asked.acct.lstrip("@").partition("@")
    if at and host != call.service.host:
        raise not_found()
    found = await call.service.database.fetchval(
        "SELECT id FROM account WHERE lower(username) = lower($1)", name
    )
    if found is None:
        raise not_found()
    return Answer((await call.service.accounts.fresh([found]))[found])


class AccountSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for."""

    q: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1)] = 40
    offset: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    following: bool = False
    resolve: bool = False


@endpoints.add("GET", "/api/v1/accounts/search", AccountSearch, who="user", scope="read:accounts")
async def search(call: Call, asked: AccountSearch) -> list[AccountJson]:
    """Accounts by a part of their name or display name."""
    return await call.service.people.search(
        call.me,
        asked.q,
        limit=min(asked.limit, 80),
        offset=asked.offset,
        following=asked.following,
    )


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """One id or several."""

    id: list[str] | str = []
    with_suspended: bool = False


@endpoints.add("GET", "/api/v1/accounts/relationships", Ids, who="user", scope="read:follows")
async def relationships(call: Call, asked: Ids) -> list[Relationship]:
    """What the viewer and these accounts are to each other."""
    given = [asked.id] if isinstance(asked.id, str) else asked.id
    ids = [id_of(one) for one in dict.fromkeys(given)]
    return await call.service.relationships.read(call.me, ids[:200])


@endpoints.add(
    "GET", "/api/v1/accounts", Ids, who="anyone", scope="read:accounts", returns=list[Account]
)
async def several(call: Call, asked: Ids) -> Answer:
    """Accounts by their ids."""
    given = [asked.id] if isinstance(asked.id, str) else asked.id
    ids = [id_of(one) for one in dict.fromkeys(given)][:40]
    found = await call.service.accounts.fresh(ids)
    return Answer(json_list([found[one] for one in ids if one in found]))


@endpoints.add(
    "GET", "/api/v1/accounts/{id}", Empty, who="anyone", scope="read:accounts", returns=Account
)
async def show(call: Call, _: Empty) -> Answer:
    """One account."""
    found = await call.service.accounts.fresh([call.id])
    if call.id not in found:
        raise not_found()
    return Answer(found[call.id])


class AccountStatuses(PageQuery, frozen=True, kw_only=True):
    """Which of an account's statuses."""

    only_media: bool = False
    exclude_replies: bool = False
    exclude_reblogs: bool = False
    pinned: bool = False
    tagged: str | None = None


_UNBLOCKED = """NOT EXISTS (SELECT FROM block WHERE account_id = s.account_id AND target_id = $1)"""


@endpoints.add(
    "GET",
    "/api/v1/accounts/{id}/statuses",
    AccountStatuses,
    who="anyone",
    scope="read:statuses",
    returns=list[Status],
)
async def statuses(call: Call, asked: AccountStatuses) -> Answer:
    """Statuses of an account, as far as the viewer may see them."""
    await _there(call, call.id)
    page = page_of(asked)
    conditions = ["s.account_id = $5", _UNBLOCKED]
    if asked.only_media:
        conditions.append("s.has_media")
    arguments: list[Any] = [call.id]
    if asked.pinned:
        conditions.append(
            "EXISTS (SELECT FROM pin WHERE account_id = s.account_id AND status_id = s.id)"
        )
    if asked.exclude_replies:
        conditions.append(
            "(s.in_reply_to_account_id IS NULL OR s.in_reply_to_account_id = s.account_id)"
        )
    if asked.exclude_reblogs:
        conditions.append("s.reblog_of_id IS NULL")
    if asked.tagged:
        tag = (hashtags_of(f"#{asked.tagged.lstrip('#')}") or [""])[0]
        conditions.append("EXISTS (SELECT FROM status_tag WHERE name = $6 AND status_id = s.id)")
        arguments.append(tag)
    source = f"FROM status AS s WHERE {' AND '.join(conditions)}"
    # Whoever looks at the profile of an account they muted or blocked wants to see it.
    found = await call.service.timelines.statuses(
        call.viewer, page, source, *arguments, wanted_from=call.id
    )
    return statuses_answer(call, found)


async def _there(call: Call, account: int) -> None:
    if await call.service.database.fetchval("SELECT 1 FROM account WHERE id = $1", account) is None:
        raise not_found()


async def _people(call: Call, name: str, asked: PageQuery) -> Answer:
    await _there(call, call.id)
    page = page_of(asked, default=40, most=80)
    return accounts_answer(call, await call.service.people.page(name, call.viewer, call.id, page))


@endpoints.add(
    "GET",
    "/api/v1/accounts/{id}/followers",
    PageQuery,
    who="anyone",
    scope="read:accounts",
    returns=list[Account],
)
async def followers(call: Call, asked: PageQuery) -> Answer:
    """Who follows an account."""
    return await _people(call, "followers", asked)


@endpoints.add(
    "GET",
    "/api/v1/accounts/{id}/following",
    PageQuery,
    who="anyone",
    scope="read:accounts",
    returns=list[Account],
)
async def following(call: Call, asked: PageQuery) -> Answer:
    """Whom an account follows."""
    return await _people(call, "following", asked)


class FollowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What of the followed account is wanted."""

    reblogs: bool | None = None
    notify: bool | None = None


@endpoints.add(
    "POST", "/api/v1/accounts/{id}/follow", FollowOptions, who="user", scope="write:follows"
)
async def follow(call: Call, asked: FollowOptions) -> Relationship:
    """Follow an account, or ask to."""
    await call.service.relationships.follow(
        call.me, call.id, reblogs=asked.reblogs, notify=asked.notify
    )
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add("POST", "/api/v1/accounts/{id}/unfollow", Empty, who="user", scope="write:follows")
async def unfollow(call: Call, _: Empty) -> Relationship:
    """Follow an account no more."""
    await _there(call, call.id)
    await call.service.relationships.unfollow(call.me, call.id)
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add(
    "POST", "/api/v1/accounts/{id}/remove_from_followers", Empty, who="user", scope="write:follows"
)
async def remove_follower(call: Call, _: Empty) -> Relationship:
    """End an account's follow of oneself."""
    await _there(call, call.id)
    await call.service.relationships.remove_follower(call.me, call.id)
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add("POST", "/api/v1/accounts/{id}/block", Empty, who="user", scope="write:blocks")
async def block(call: Call, _: Empty) -> Relationship:
    """Block an account."""
    await call.service.relationships.block(call.me, call.id)
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add("POST", "/api/v1/accounts/{id}/unblock", Empty, who="user", scope="write:blocks")
async def unblock(call: Call, _: Empty) -> Relationship:
    """Block an account no more."""
    await _there(call, call.id)
    await call.service.relationships.unblock(call.me, call.id)
    return await call.service.relationships.one(call.me, call.id)


class MuteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`duration` in seconds; 0 is until undone."""

    notifications: bool = True
    duration: Annotated[int, msgspec.Meta(ge=0, le=10 * 365 * 86400)] = 0


@endpoints.add("POST", "/api/v1/accounts/{id}/mute", MuteOptions, who="user", scope="write:mutes")
async def mute(call: Call, asked: MuteOptions) -> Relationship:
    """Mute an account."""
    await call.service.relationships.mute(
        call.me, call.id, notifications=asked.notifications, duration_s=asked.duration
    )
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add("POST", "/api/v1/accounts/{id}/unmute", Empty, who="user", scope="write:mutes")
async def unmute(call: Call, _: Empty) -> Relationship:
    """Mute an account no more."""
    await _there(call, call.id)
    await call.service.relationships.unmute(call.me, call.id)
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add(
    "GET", "/api/v1/blocks", PageQuery, who="user", scope="read:blocks", returns=list[Account]
)
async def blocks(call: Call, asked: PageQuery) -> Answer:
    """Whom one blocks."""
    return await _own(call, "blocks", asked)


@endpoints.add(
    "GET", "/api/v1/mutes", PageQuery, who="user", scope="read:mutes", returns=list[Account]
)
async def mutes(call: Call, asked: PageQuery) -> Answer:
    """Whom one mutes."""
    return await _own(call, "mutes", asked)


@endpoints.add(
    "GET",
    "/api/v1/follow_requests",
    PageQuery,
    who="user",
    scope="read:follows",
    returns=list[Account],
)
async def follow_requests(call: Call, asked: PageQuery) -> Answer:
    """Who asks to follow."""
    return await _own(call, "follow_requests", asked)


async def _own(call: Call, name: str, asked: PageQuery) -> Answer:
    page: Page = page_of(asked, default=40, most=80)
    return accounts_answer(call, await call.service.people.page(name, call.me, call.me, page))


@endpoints.add(
    "POST", "/api/v1/follow_requests/{id}/authorize", Empty, who="user", scope="write:follows"
)
async def authorize(call: Call, _: Empty) -> Relationship:
    """Let somebody follow who asked to."""
    await call.service.relationships.answer(call.me, call.id, accept=True)
    return await call.service.relationships.one(call.me, call.id)


@endpoints.add(
    "POST", "/api/v1/follow_requests/{id}/reject", Empty, who="user", scope="write:follows"
)
async def reject(call: Call, _: Empty) -> Relationship:
    """Do not let somebody follow who asked to."""
    await call.service.relationships.answer(call.me, call.id, accept=False)
    return await call.service.relationships.one(call.me, call.id)
