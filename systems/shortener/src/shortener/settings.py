"""The settings of the service, each an environment variable; README.md says what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from systems_common.clients import networks_of
from systems_common.settings import SECRET, SettingsError, from_environment

from shortener.addresses import ExtraPath
from shortener.code_sources import CodeKind
from shortener.indexes import VisitIndex

__all__ = ["DatabaseSettings", "Settings", "read_settings"]

_Url = Annotated[str, SECRET]
_HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#]+[^?#]*$")]
_Fallback = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^/?#\s]+[^\s]*)?$")]


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the commands need that only talk to the database."""

    database_url: _Url
    seed_api_key: _Url = ""
    visit_index: VisitIndex = "on"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the service needs. `redirect_cache_ttl_s` and times in general are seconds."""

    database_url: _Url
    valkey_url: _Url = ""
    nats_url: _Url = ""
    base_url: _HttpUrl = "http://localhost:8000"
    db_pool: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    redirect_cache: Literal["off", "local", "valkey"] = "local"
    redirect_cache_ttl_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    redirect_cache_entries: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    redirect_status: Literal[301, 302, 307, 308] = 302
    redirect_extra_path_mode: ExtraPath = "default"
    codes: CodeKind = "random"
    visits: Literal["sync", "batch", "slotted"] = "batch"
    visit_index: VisitIndex = "on"
    track_orphan_visits: bool = True
    disable_track_param: str = ""
    visits_ack_wait_s: Annotated[float, msgspec.Meta(ge=0.5)] = 5.0
    nats_replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    delete_visits_max: Annotated[int, msgspec.Meta(ge=0)] = 0
    allow_private_targets: bool = False
    rate_limit_per_address: Annotated[int, msgspec.Meta(ge=0)] = 0
    rate_limit_per_key: Annotated[int, msgspec.Meta(ge=0)] = 0
    trusted_proxies: str = ""
    web_page: bool = False
    default_base_url_redirect: _Fallback = ""
    default_invalid_short_url_redirect: _Fallback = ""
    default_regular_404_redirect: _Fallback = ""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the environment. Raises `SettingsError` naming all that is wrong."""
    settings = from_environment(Settings, environment)
    problems = [
        f"{variable} is not set; {knob}={value} needs it"
        for variable, url, knob, value, used in (
            ("VALKEY_URL", settings.valkey_url, "REDIRECT_CACHE", "valkey", "redirect_cache"),
            ("NATS_URL", settings.nats_url, "VISITS", "batch", "visits"),
        )
        if getattr(settings, used) == value and not url
    ]
    if settings.rate_limit_per_address + settings.rate_limit_per_key and not settings.valkey_url:
        problems.append(
            "VALKEY_URL is not set; RATE_LIMIT_PER_ADDRESS and RATE_LIMIT_PER_KEY need it"
        )
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
