"""The entities of the API, as Mastodon 4 names and types them. Ids are texts."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from systems_common.ids import time_of_id_s

__all__ = [
    "Account",
    "AccountJson",
    "Application",
    "Context",
    "Count",
    "CredentialAccount",
    "CustomEmoji",
    "Field",
    "Id",
    "Marker",
    "MediaAttachment",
    "MediaFocus",
    "MediaMeta",
    "MediaSize",
    "Mention",
    "Moment",
    "Notification",
    "NotificationType",
    "Poll",
    "PollEdit",
    "PollEditOption",
    "PollOption",
    "Relationship",
    "Role",
    "Source",
    "StaticStatus",
    "StatusEdit",
    "StatusJson",
    "StatusSource",
    "Tag",
    "Token",
    "Visibility",
    "encode",
    "time_of",
    "timestamp",
]

encode = msgspec.json.Encoder().encode

Id = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[0-9]+$"})]
Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, msgspec.Meta(ge=0)]
Visibility = Literal["public", "unlisted", "private", "direct"]
NotificationType = Literal[
    "mention", "reblog", "favourite", "follow", "follow_request", "status", "poll"
]

# Encoded already, each the entity that it refers to.
AccountJson = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Account"})
]
StatusJson = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Status"})
]


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


class CustomEmoji(msgspec.Struct, frozen=True):
    """A picture that stands for a word; there are none."""

    shortcode: str
    url: str
    static_url: str
    visible_in_picker: bool


class Role(msgspec.Struct, frozen=True):
    """What the account may do; there is only one role."""

    id: str = "-99"
    name: str = ""
    color: str = ""
    permissions: str = "0"
    highlighted: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: Id
    username: str
    acct: str
    display_name: str
    locked: bool
    bot: bool
    discoverable: bool
    group: bool = False
    created_at: Moment
    note: str
    url: str
    uri: str
    avatar: str
    avatar_static: str
    header: str
    header_static: str
    followers_count: Count
    following_count: Count
    statuses_count: Count
    last_status_at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})] | None
    indexable: bool = False
    hide_collections: bool | None = False
    noindex: bool = False
    emojis: list[CustomEmoji] = []
    roles: list[Role] = []
    fields: list[Field]


class Source(msgspec.Struct, frozen=True):
    """What the owner of an account edits, and the defaults of new statuses."""

    privacy: Visibility
    sensitive: bool
    language: str | None
    note: str
    fields: list[Field]
    follow_requests_count: Count
    hide_collections: bool | None = False
    discoverable: bool | None = True
    indexable: bool = False


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

    id: Id
    username: str
    acct: str
    url: str


class Tag(msgspec.Struct, frozen=True):
    """A hashtag."""

    name: str
    url: str


class MediaSize(msgspec.Struct, frozen=True):
    """How large a picture is, in pixels."""

    width: int
    height: int
    size: str
    aspect: float


class MediaFocus(msgspec.Struct, frozen=True):
    """What must stay in sight when a picture is cut, from -1 to 1."""

    x: float
    y: float


class MediaMeta(msgspec.Struct, frozen=True):
    """The sizes of a picture and of its preview."""

    original: MediaSize
    small: MediaSize
    focus: MediaFocus


class MediaAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A picture."""

    id: Id
    type: Literal["image"] = "image"
    url: str
    preview_url: str
    remote_url: None = None
    preview_remote_url: None = None
    text_url: None = None
    meta: MediaMeta
    description: str | None
    blurhash: str


class PollOption(msgspec.Struct, frozen=True):
    """What one may vote for; how many have, unless that is hidden until the end."""

    title: str
    votes_count: Count | None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A poll; the last two for who has signed in."""

    id: Id
    expires_at: Moment
    expired: bool
    multiple: bool
    votes_count: Count
    voters_count: Count
    options: list[PollOption]
    emojis: list[CustomEmoji] = []
    voted: bool | msgspec.UnsetType = msgspec.UNSET
    own_votes: list[Count] | msgspec.UnsetType = msgspec.UNSET


class PollEditOption(msgspec.Struct, frozen=True):
    """What one could vote for."""

    title: str


class PollEdit(msgspec.Struct, frozen=True):
    """What an earlier version of a status asked."""

    options: list[PollEditOption]


class StaticStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What of a status changes only when it is edited."""

    id: Id
    created_at: Moment
    in_reply_to_id: Id | None
    in_reply_to_account_id: Id | None
    sensitive: bool
    spoiler_text: str
    visibility: Visibility
    language: str | None
    uri: str
    url: str
    content: str
    edited_at: Moment | None
    application: Application | None
    mentions: list[Mention]
    tags: list[Tag]
    media_attachments: list[MediaAttachment] = []
    emojis: list[CustomEmoji] = []
    card: None = None


class StatusSource(msgspec.Struct, frozen=True):
    """What a status was written as."""

    id: Id
    text: str
    spoiler_text: str


class StatusEdit(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a status."""

    content: str
    spoiler_text: str
    sensitive: bool
    created_at: Moment
    account: AccountJson
    poll: PollEdit | None = None
    media_attachments: list[MediaAttachment] = []
    emojis: list[CustomEmoji] = []


class Context(msgspec.Struct, frozen=True):
    """What a status answers, from the first on, and what answers it."""

    ancestors: list[StatusJson]
    descendants: list[StatusJson]


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something somebody did."""

    id: Id
    type: NotificationType
    created_at: Moment
    group_key: str
    account: AccountJson
    status: StatusJson | None = None


class Relationship(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer and another account are to each other."""

    id: Id
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

    last_read_id: Id
    version: int
    updated_at: Moment


class Token(msgspec.Struct, frozen=True):
    """A token as it is handed out."""

    access_token: str
    token_type: str
    scope: str
    created_at: int
