"""Entities that tell of the server itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from social.entities import Count, Visibility

__all__ = [
    "AccountLimits",
    "AuthorizationServer",
    "Configuration",
    "Contact",
    "Health",
    "Icon",
    "Instance",
    "InstanceV1",
    "MediaLimits",
    "PollLimits",
    "Preferences",
    "Registrations",
    "Stats",
    "StatusLimits",
    "Thumbnail",
    "Translation",
    "Urls",
    "UrlsV1",
    "Usage",
    "UsersUsage",
]


class Urls(msgspec.Struct, frozen=True):
    """Where streams are."""

    streaming: str


class AccountLimits(msgspec.Struct, frozen=True):
    """What an account may have."""

    max_featured_tags: int
    max_pinned_statuses: int


class StatusLimits(msgspec.Struct, frozen=True):
    """What a status may have."""

    max_characters: int
    max_media_attachments: int
    characters_reserved_per_url: int


class MediaLimits(msgspec.Struct, frozen=True):
    """What may be uploaded; sizes in bytes, matrices in pixels."""

    supported_mime_types: list[str]
    description_limit: int
    image_size_limit: int
    image_matrix_limit: int
    video_size_limit: int = 0
    video_frame_rate_limit: int = 0
    video_matrix_limit: int = 0


class PollLimits(msgspec.Struct, frozen=True):
    """What may be asked, and for how many seconds."""

    max_options: int
    max_characters_per_option: int
    min_expiration: int
    max_expiration: int


class Translation(msgspec.Struct, frozen=True):
    """Nothing is translated."""

    enabled: bool = False


class Configuration(msgspec.Struct, frozen=True):
    """What this server takes."""

    urls: Urls
    accounts: AccountLimits
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits
    translation: Translation = Translation()


class Registrations(msgspec.Struct, frozen=True):
    """Whether accounts may be made."""

    enabled: bool
    approval_required: bool = False
    message: str | None = None
    url: str | None = None


class UsersUsage(msgspec.Struct, frozen=True):
    """How many accounts were active; not counted, so 0."""

    active_month: Count = 0


class Usage(msgspec.Struct, frozen=True):
    """How much this server is used."""

    users: UsersUsage = UsersUsage()


class Thumbnail(msgspec.Struct, frozen=True):
    """The picture of the server."""

    url: str


class Icon(msgspec.Struct, frozen=True):
    """An icon of the server; there are none."""

    src: str
    size: str


class Contact(msgspec.Struct, frozen=True):
    """Whom to turn to; nobody is named."""

    email: str = ""
    account: None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """What this server is and what it takes."""

    domain: str
    title: str
    version: str
    source_url: str = ""
    description: str = ""
    usage: Usage = Usage()
    thumbnail: Thumbnail
    icon: list[Icon] = []
    languages: list[str] = []
    configuration: Configuration
    registrations: Registrations
    api_versions: dict[str, int]
    contact: Contact = Contact()
    rules: list[dict[str, str]] = []


class UrlsV1(msgspec.Struct, frozen=True):
    """Where streams are, as older clients look for it."""

    streaming_api: str


class Stats(msgspec.Struct, frozen=True):
    """About how much there is."""

    user_count: Count
    status_count: Count
    domain_count: Count = 1


class InstanceV1(msgspec.Struct, frozen=True, kw_only=True):
    """What this server is, as older clients expect it."""

    uri: str
    title: str
    short_description: str = ""
    description: str = ""
    email: str = ""
    version: str
    urls: UrlsV1
    stats: Stats
    thumbnail: str
    languages: list[str] = []
    registrations: bool
    approval_required: bool = False
    invites_enabled: bool = False
    configuration: Configuration
    contact_account: None = None
    rules: list[dict[str, str]] = []


class Preferences(
    msgspec.Struct,
    frozen=True,
    rename={
        "visibility": "posting:default:visibility",
        "sensitive": "posting:default:sensitive",
        "language": "posting:default:language",
        "expand_media": "reading:expand:media",
        "expand_spoilers": "reading:expand:spoilers",
    },
):
    """Defaults of new statuses, and how to show others."""

    visibility: Visibility
    sensitive: bool
    language: str | None
    expand_media: Literal["default", "show_all", "hide_all"] = "default"
    expand_spoilers: bool = False


class Health(msgspec.Struct, frozen=True):
    """Whether the service can do its work; of each thing it needs "pass" or why it fails."""

    status: Literal["pass", "fail"]
    version: str
    checks: dict[str, str]


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of OAuth, and where (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    app_registration_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    code_challenge_methods_supported: list[str]
