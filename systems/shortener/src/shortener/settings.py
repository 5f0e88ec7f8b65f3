"""The settings of the service, each an environment variable; README.md says what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from systems_common.settings import SECRET, SettingsError, from_environment

from shortener.code_sources import CodeKind
from shortener.indexes import VisitIndex
from shortener.redirect import ExtraPath

__all__ = ["DatabaseSettings", "Settings", "read_settings"]

_Url = Annotated[str, SECRET]
_HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#]+[^?#]*$")]


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
    if problems:
        raise SettingsError(problems)
    return settings
