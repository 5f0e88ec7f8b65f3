"""The settings of the service, each an environment variable; README.md says what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from systems_common.blobs import DiskBlobs, blobs_of, temporary_folder
from systems_common.clients import networks_of
from systems_common.settings import SECRET, SettingsError, from_environment

__all__ = ["DatabaseSettings", "Settings", "read_settings"]

_Url = Annotated[str, SECRET]
_HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#\s]+$")]

_MediaUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^?#\s]+[^/?#\s]$")]
_AccelPath = Annotated[str, msgspec.Meta(pattern=r"^/[a-z0-9_-]+$")]


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands need that only talk to the database."""

    database_url: _Url
    fanout_threshold: Annotated[int, msgspec.Meta(ge=0)] = 2_000
    seed_token: _Url = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the service needs."""

    database_url: _Url
    valkey_url: _Url = ""
    nats_url: _Url = ""
    base_url: _HttpUrl = "http://localhost:8000"
    title: str = "Social"
    streaming_url: Annotated[str, msgspec.Meta(pattern=r"^(wss?://[^/?#\s]+)?$")] = ""
    roles: Literal["all", "web", "worker", "streaming"] = "all"
    db_pool: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    fanout: Literal["write", "read", "hybrid"] = "hybrid"
    fanout_threshold: Annotated[int, msgspec.Meta(ge=0)] = 2_000
    fanout_in: Literal["request", "queue"] = "queue"
    fanout_ack_wait_s: Annotated[float, msgspec.Meta(ge=0.5)] = 10.0
    timeline_cache: Literal["on", "off"] = "on"
    counters: Literal["stored", "counted"] = "stored"
    paging: Literal["keyset", "offset"] = "keyset"
    nats_replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    password_grant: bool = False
    registrations: bool = True
    web_page: bool = True
    rate_limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    trusted_proxies: str = ""
    media_store: _Url = ""
    media_url: _MediaUrl = ""
    media_accel: _AccelPath = ""
    media_bytes_max: Annotated[int, msgspec.Meta(ge=1_000, le=1_000_000_000)] = 16 * 1024 * 1024
    media_pixels_max: Annotated[int, msgspec.Meta(ge=1_000, le=200_000_000)] = 7680 * 4320
    media_unused_s: Annotated[float, msgspec.Meta(ge=1)] = 24 * 3600.0
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"

    @property
    def media_place(self) -> str:
        """Where pictures are: as set, or for trials a folder that all processes here share."""
        return self.media_store or temporary_folder("social-media", self.database_url)

    @property
    def streams_at(self) -> str:
        """Where clients open streams: `ws://` or `wss://` and a host."""
        return self.streaming_url or f"ws{self.base_url.removeprefix('http')}"

    @property
    def keeps_homes(self) -> bool:
        """Whether homes are kept in Valkey."""
        return self.timeline_cache == "on" and self.fanout != "read"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the environment. Raises `SettingsError` naming all that is wrong."""
    settings = from_environment(Settings, environment)
    problems: list[str] = []
    if settings.keeps_homes:
        if not settings.valkey_url:
            problems.append("VALKEY_URL is not set; TIMELINE_CACHE=on needs it")
        if settings.fanout_in == "queue" and not settings.nats_url:
            problems.append("NATS_URL is not set; FANOUT_IN=queue needs it")
    if settings.rate_limit and not settings.valkey_url:
        problems.append("VALKEY_URL is not set; RATE_LIMIT needs it")
    try:
        store = blobs_of(settings.media_place)
    except ValueError as error:
        problems.append(f"MEDIA_STORE is wrong: {error}")
    else:
        if settings.media_accel and not isinstance(store, DiskBlobs):
            problems.append("MEDIA_ACCEL is set; MEDIA_STORE has to be a folder for it")
    try:
        networks_of(settings.trusted_proxies)
    except ValueError as error:
        problems.append(
            "TRUSTED_PROXIES is wrong: expected addresses and networks such as 10.0.0.0/8,"
            f" separated by commas ({error})"
        )
    if problems:
        raise SettingsError(problems)
    return settings
