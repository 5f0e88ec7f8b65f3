"""The settings of the service, each an environment variable; README.md says what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from systems_common.blobs import blobs_of, temporary_folder
from systems_common.settings import SECRET, SettingsError, from_environment

__all__ = ["CommandSettings", "Settings", "read_settings"]

_Url = Annotated[str, SECRET]
_ServerName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.\-]{1,200}(:\d{1,5})?$")]


class CommandSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands need that only talk to the database."""

    database_url: _Url
    server_name: _ServerName = "localhost"
    seed_password: _Url = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the service needs. Times are seconds unless the name says milliseconds."""

    database_url: _Url
    valkey_url: _Url = ""
    nats_url: _Url = ""
    server_name: _ServerName = "localhost"
    base_url: str = ""
    db_pool: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 10
    wake: Literal["nats", "notify", "poll"] = "nats"
    wake_coalesce_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 5.0
    wake_poll_ms: Annotated[float, msgspec.Meta(ge=1, le=60_000)] = 50.0
    sync_cache: Literal["on", "off"] = "on"
    receipts: Literal["sync", "batch"] = "batch"
    unread: Literal["stored", "counted"] = "stored"
    presence: Literal["on", "off"] = "on"
    search: Literal["on", "off"] = "on"
    gateway_slow_s: Annotated[float, msgspec.Meta(ge=0.1, le=3_600)] = 30.0
    presence_coalesce_ms: Annotated[float, msgspec.Meta(ge=10, le=60_000)] = 1_000.0
    registration: Literal["open", "token", "closed"] = "open"
    registration_token: _Url = ""
    access_token_lifetime_s: Annotated[int, msgspec.Meta(ge=10)] = 3_600
    login_failures_max: Annotated[int, msgspec.Meta(ge=0)] = 10
    push_gateways: Literal["public", "any"] = "public"
    turn_uris: str = ""
    turn_secret: _Url = ""
    media_store: _Url = ""
    media_bytes_max: Annotated[int, msgspec.Meta(ge=1_000, le=2_000_000_000)] = 50 * 1024 * 1024
    media_legacy: Literal["on", "off"] = "on"
    web_page: Literal["on", "off"] = "off"
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"

    @property
    def turn_addresses(self) -> list[str]:
        """Where calls find a TURN server."""
        return [uri.strip() for uri in self.turn_uris.split(",") if uri.strip()]

    @property
    def media_place(self) -> str:
        """Where files are: as set, or for trials a folder that all processes here share."""
        return self.media_store or temporary_folder("messaging-media", self.database_url)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the environment. Raises `SettingsError` naming all that is wrong."""
    settings = from_environment(Settings, environment)
    problems = []
    if settings.wake == "nats" and not settings.nats_url:
        problems.append("NATS_URL is not set; WAKE=nats needs it")
    if settings.registration == "token" and not settings.registration_token:
        problems.append("REGISTRATION_TOKEN is not set; REGISTRATION=token needs it")
    if settings.turn_addresses and not settings.turn_secret:
        problems.append("TURN_SECRET is not set; TURN_URIS needs it")
    if not all(uri.startswith(("turn:", "turns:")) for uri in settings.turn_addresses):
        problems.append("TURN_URIS is wrong: expected addresses turn:… or turns:…, with commas")
    try:
        blobs_of(settings.media_place)
    except ValueError as error:
        problems.append(f"MEDIA_STORE is wrong: {error}")
    if problems:
        raise SettingsError(problems)
    return settings
