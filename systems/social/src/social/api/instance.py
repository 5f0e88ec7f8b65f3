"""What this server is: instance, preferences, health, pictures."""

from __future__ import annotations

from importlib.resources import files

from systems_common.health import examine
from systems_common.images import IMAGE_TYPES

from social import __version__
from social.entities import CustomEmoji, encode
from social.entities_server import (
    AccountLimits,
    Configuration,
    Health,
    Instance,
    InstanceV1,
    MediaLimits,
    PollLimits,
    Preferences,
    Registrations,
    Stats,
    StatusLimits,
    Thumbnail,
    Urls,
    UrlsV1,
)
from social.errors import not_found
from social.media import ATTACHED_MAX, DESCRIPTION_MAX
from social.polls import EXPIRES_IN_MAX_S, EXPIRES_IN_MIN_S, OPTION_MAX, OPTIONS_MAX
from social.posting import TEXT_MAX
from social.visibility import NAMES
from social.web.routing import Answer, Call, Empty, Endpoints

__all__ = ["API_VERSION", "endpoints"]

endpoints = Endpoints()

API_VERSION = f"4.3.0 (compatible; social {__version__})"
"""Clients look at the leading number for what they may ask."""

_ASSETS = files("social") / "assets"


def _configuration(call: Call) -> Configuration:
    settings = call.service.settings
    return Configuration(
        urls=Urls(settings.streams_at),
        accounts=AccountLimits(max_featured_tags=0, max_pinned_statuses=5),
        statuses=StatusLimits(
            max_characters=TEXT_MAX,
            max_media_attachments=ATTACHED_MAX,
            characters_reserved_per_url=23,
        ),
        media_attachments=MediaLimits(
            supported_mime_types=list(IMAGE_TYPES),
            description_limit=DESCRIPTION_MAX,
            image_size_limit=settings.media_bytes_max,
            image_matrix_limit=settings.media_pixels_max,
        ),
        polls=PollLimits(
            max_options=OPTIONS_MAX,
            max_characters_per_option=OPTION_MAX,
            min_expiration=EXPIRES_IN_MIN_S,
            max_expiration=EXPIRES_IN_MAX_S,
        ),
    )


@endpoints.add("GET", "/api/v2/instance", Empty, who="anyone")
async def instance(call: Call, _: Empty) -> Instance:
    """What this server is and what it takes."""
    settings = call.service.settings
    return Instance(
        domain=call.service.host,
        title=settings.title,
        version=API_VERSION,
        thumbnail=Thumbnail(f"{call.service.base_url}/assets/header.svg"),
        configuration=_configuration(call),
        registrations=Registrations(settings.registrations),
        api_versions={"mastodon": 1},
    )


@endpoints.add("GET", "/api/v1/instance", Empty, who="anyone")
async def instance_v1(call: Call, _: Empty) -> InstanceV1:
    """The same, as older clients expect it."""
    settings = call.service.settings
    counted = await call.service.database.fetchrow(
        """SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class
                   WHERE oid = 'account'::regclass),
                  (SELECT greatest(reltuples, 0)::bigint FROM pg_class
                   WHERE oid = 'status'::regclass)"""
    )
    return InstanceV1(
        uri=call.service.host,
        title=settings.title,
        version=API_VERSION,
        urls=UrlsV1(settings.streams_at),
        # As the database estimates them: counting would read every row.
        stats=Stats(user_count=counted[0], status_count=counted[1]),
        thumbnail=f"{call.service.base_url}/assets/header.svg",
        registrations=settings.registrations,
        configuration=_configuration(call),
    )


@endpoints.add("GET", "/api/v1/custom_emojis", Empty, who="anyone")
async def custom_emojis(call: Call, _: Empty) -> list[CustomEmoji]:
    """Always empty: there are none."""
    return []


@endpoints.add("GET", "/api/v1/preferences", Empty, who="user", scope="read:accounts")
async def preferences(call: Call, _: Empty) -> Preferences:
    """Defaults of new statuses, and how to show others."""
    row = await call.service.database.fetchrow(
        """SELECT default_visibility, default_sensitive, default_language FROM account
           WHERE id = $1""",
        call.me,
    )
    return Preferences(visibility=NAMES[row[0]], sensitive=row[1], language=row[2])


@endpoints.add("GET", "/health/live", Empty, who="anyone")
async def alive(call: Call, _: Empty) -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "pass"}


@endpoints.add("GET", "/health/ready", Empty, who="anyone", returns=Health)
@endpoints.add("GET", "/health", Empty, who="anyone", returns=Health)
async def health(call: Call, _: Empty) -> Answer:
    """Whether the service can do its work; 503 when it cannot."""
    found = await examine(call.service.checks)
    body = Health("pass" if found.passes else "fail", __version__, found.checks)
    return Answer(encode(body), 200 if found.passes else 503)


@endpoints.add("GET", "/assets/{name}", Empty, who="anyone", media_types=("image/svg+xml",))
async def asset(call: Call, _: Empty) -> Answer:
    """The pictures of accounts without one."""
    name = call.path[0]
    if name not in _PICTURES:
        raise not_found()
    headers = ((b"cache-control", b"public, max-age=86400"),)
    return Answer(_PICTURES[name], content_type="image/svg+xml", headers=headers)


_PICTURES = {name: (_ASSETS / name).read_bytes() for name in ("avatar.svg", "header.svg")}
