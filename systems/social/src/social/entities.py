"""The entities of the API, as Mastodon 4 names and types them. Ids are texts."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from systems_common.ids import time_of_id_s

__all__ = [
    "Account",
    "Application",
    "Context",
    "CredentialAccount",
    "Field",
    "Marker",
    "MediaAttachment",
    "Mention",
    "Notification",
    "Poll",
    "PollEdit",
    "PollOption",
    "Relationship",
    "Role",
    "Source",
    "StaticStatus",
    "StatusEdit",
    "StatusSource",
    "Tag",
    "TokenEntity",
    "encode",
    "time_of",
    "timestamp",
]

encode = msgspec.json.Encoder().encode


def time_of(identifier: int) -> str:
    """When what has this id was made, as the API writes times."""
    return timestamp(time_of_id_s(identifier))


def timestamp(moment_s: float) -> str:
    """A moment in Unix time as the API writes it."""
    whole_s, ms = divmod(round(moment_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_s))}.{ms:03d}Z"


class Field(msgspec.Struct, frozen=True):
    """A line of a profile."""

    name: str
    value: str
    verified_at: None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: str
    username: str
    acct: str
    display_name: str
    locked: bool
    bot: bool
    discoverable: bool
    group: bool = False
    created_at: str
    note: str
    url: str
    uri: str
    avatar: str
    avatar_static: str
    header: str
    header_static: str
    followers_count: int
    following_count: int
    statuses_count: int
    last_status_at: str | None
    indexable: bool = False
    hide_collections: bool | None = False
    noindex: bool = False
    emojis: list[None] = []
    roles: list[None] = []
    fields: list[Field]


class Source(msgspec.Struct, frozen=True):
    """What the owner of an account edits, and the defaults of new statuses."""

    privacy: str
    sensitive: bool
    language: str | None
    note: str
    fields: list[Field]
    follow_requests_count: int
    hide_collections: bool | None = False
    discoverable: bool | None = True
    indexable: bool = False


class Role(msgspec.Struct, frozen=True):
    """What the account may do; there is only one role."""

    id: str = "-99"
    name: str = ""
    color: str = ""
    permissions: str = "0"
    highlighted: bool = False


class CredentialAccount(Account, frozen=True, kw_only=True):
    """An account as its owner sees it."""

    source: Source
    role: Role = Role()


class Application(msgspec.Struct, frozen=True):
    """What a status was posted with."""

    name: str
    website: str | None


class Mention(msgspec.Struct, frozen=True):
    """Somebody a status names."""

    id: str
    username: str
    acct: str
    url: str


class Tag(msgspec.Struct, frozen=True):
    """A hashtag."""

    name: str
    url: str


class MediaAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A picture."""

    id: str
    type: str = "image"
    url: str
    preview_url: str
    remote_url: None = None
    preview_remote_url: None = None
    text_url: None = None
    meta: dict[str, Any]
    description: str | None
    blurhash: str


class PollOption(msgspec.Struct, frozen=True):
    """What one may vote for; how many have, unless that is hidden until the end."""

    title: str
    votes_count: int | None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A poll; the last two for who has signed in."""

    id: str
    expires_at: str
    expired: bool
    multiple: bool
    votes_count: int
    voters_count: int
    options: list[PollOption]
    emojis: list[None] = []
    voted: bool | msgspec.UnsetType = msgspec.UNSET
    own_votes: list[int] | msgspec.UnsetType = msgspec.UNSET


class PollEdit(msgspec.Struct, frozen=True):
    """What an earlier version of a status asked."""

    options: list[dict[str, str]]


class StaticStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What of a status changes only when it is edited."""

    id: str
    created_at: str
    in_reply_to_id: str | None
    in_reply_to_account_id: str | None
    sensitive: bool
    spoiler_text: str
    visibility: str
    language: str | None
    uri: str
    url: str
    content: str
    edited_at: str | None
    application: Application | None
    mentions: list[Mention]
    tags: list[Tag]
    media_attachments: list[MediaAttachment] = []
    emojis: list[None] = []
    card: None = None


class StatusSource(msgspec.Struct, frozen=True):
    """What a status was written as."""

    id: str
    text: str
    spoiler_text: str


class StatusEdit(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a status."""

    content: str
    spoiler_text: str
    sensitive: bool
    created_at: str
    account: msgspec.Raw
    poll: PollEdit | None = None
    media_attachments: list[MediaAttachment] = []
    emojis: list[None] = []


class Context(msgspec.Struct, frozen=True):
    """What a status answers, from the first on, and what answers it."""

    ancestors: list[msgspec.Raw]
    descendants: list[msgspec.Raw]


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something somebody did."""

    id: str
    type: str
    created_at: str
    group_key: str
    account: msgspec.Raw
    status: msgspec.Raw | None = None


class Relationship(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer and another account are to each other."""

    id: str
    following: bool
    showing_reblogs: bool
    notifying: bool
    languages: None = None
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_notifications: bool
    requested: bool
    requested_by: bool
    domain_blocking: bool = False
    endorsed: bool = False
    note: str = ""


class Marker(msgspec.Struct, frozen=True):
    """How far somebody has read."""

    last_read_id: str
    version: int
    updated_at: str


class TokenEntity(msgspec.Struct, frozen=True):
    """A token as it is handed out."""

    access_token: str
    token_type: str
    scope: str
    created_at: int
