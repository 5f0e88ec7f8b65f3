"""What this server is: instance, preferences, health, pictures."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from systems_common.health import examine
from systems_common.images import IMAGE_TYPES

from social import __version__
from social.entities import encode
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


def _configuration(call: Call) -> dict[str, Any]:
    return {
        "urls": {"streaming": call.service.settings.streams_at},
        "accounts": {"max_featured_tags": 0, "max_pinned_statuses": 5},
        "statuses": {
            "max_characters": TEXT_MAX,
            "max_media_attachments": ATTACHED_MAX,
            "characters_reserved_per_url": 23,
        },
        "media_attachments": {
            "supported_mime_types": list(IMAGE_TYPES),
            "description_limit": DESCRIPTION_MAX,
            "image_size_limit": call.service.settings.media_bytes_max,
            "image_matrix_limit": call.service.settings.media_pixels_max,
            "video_size_limit": 0,
            "video_frame_rate_limit": 0,
            "video_matrix_limit": 0,
        },
        "polls": {
            "max_options": OPTIONS_MAX,
            "max_characters_per_option": OPTION_MAX,
            "min_expiration": EXPIRES_IN_MIN_S,
            "max_expiration": EXPIRES_IN_MAX_S,
        },
        "translation": {"enabled": False},
    }


@endpoints.add("GET", "/api/v2/instance", Empty, who="anyone")
async def instance(call: Call, _: Empty) -> dict[str, Any]:
    """What this server is and what it takes."""
    settings = call.service.settings
    return {
        "domain": call.service.host,
        "title": settings.title,
        "version": API_VERSION,
        "source_url": "",
        "description": "",
        "usage": {"users": {"active_month": 0}},
        "thumbnail": {"url": f"{call.service.base_url}/assets/header.svg"},
        "icon": [],
        "languages": [],
        "configuration": _configuration(call),
        "registrations": {
            "enabled": settings.registrations,
            "approval_required": False,
            "message": None,
            "url": None,
        },
        "api_versions": {"mastodon": 1},
        "contact": {"email": "", "account": None},
        "rules": [],
    }


@endpoints.add("GET", "/api/v1/instance", Empty, who="anyone")
async def instance_v1(call: Call, _: Empty) -> dict[str, Any]:
    """The same, as older clients expect it."""
    settings = call.service.settings
    counted = await call.service.database.fetchrow(
        """SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class
                   WHERE oid = 'account'::regclass),
                  (SELECT greatest(reltuples, 0)::bigint FROM pg_class
                   WHERE oid = 'status'::regclass)"""
    )
    return {
        "uri": call.service.host,
        "title": settings.title,
        "short_description": "",
        "description": "",
        "email": "",
        "version": API_VERSION,
        "urls": {"streaming_api": call.service.settings.streams_at},
        # As the database estimates them: counting would read every row.
        "stats": {"user_count": counted[0], "status_count": counted[1], "domain_count": 1},
        "thumbnail": f"{call.service.base_url}/assets/header.svg",
        "languages": [],
        "registrations": settings.registrations,
        "approval_required": False,
        "invites_enabled": False,
        "configuration": _configuration(call),
        "contact_account": None,
        "rules": [],
    }


@endpoints.add("GET", "/api/v1/custom_emojis", Empty, who="anyone")
async def custom_emojis(call: Call, _: Empty) -> list[Any]:
    """Always empty: there are none."""
    return []


@endpoints.add("GET", "/api/v1/preferences", Empty, who="user", scope="read:accounts")
async def preferences(call: Call, _: Empty) -> dict[str, Any]:
    """Defaults of new statuses, and how to show others."""
    row = await call.service.database.fetchrow(
        """SELECT default_visibility, default_sensitive, default_language FROM account
           WHERE id = $1""",
        call.me,
    )
    return {
        "posting:default:visibility": NAMES[row[0]],
        "posting:default:sensitive": row[1],
        "posting:default:language": row[2],
        "reading:expand:media": "default",
        "reading:expand:spoilers": False,
    }


@endpoints.add("GET", "/health/live", Empty, who="anyone")
async def alive(call: Call, _: Empty) -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "pass"}


@endpoints.add("GET", "/health/ready", Empty, who="anyone")
@endpoints.add("GET", "/health", Empty, who="anyone")
async def health(call: Call, _: Empty) -> Answer:
    """Whether the service can do its work; 503 when it cannot."""
    found = await examine(call.service.checks)
    body = {
        "status": "pass" if found.passes else "fail",
        "version": __version__,
        "checks": found.checks,
    }
    return Answer(encode(body), 200 if found.passes else 503)


@endpoints.add("GET", "/assets/{name}", Empty, who="anyone")
async def asset(call: Call, _: Empty) -> Answer:
    """The pictures of accounts without one."""
    name = call.path[0]
    if name not in _PICTURES:
        raise not_found()
    headers = ((b"cache-control", b"public, max-age=86400"),)
    return Answer(_PICTURES[name], content_type="image/svg+xml", headers=headers)


_PICTURES = {name: (_ASSETS / name).read_bytes() for name in ("avatar.svg", "header.svg")}
