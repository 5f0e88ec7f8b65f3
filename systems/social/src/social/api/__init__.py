"""The endpoints, one file for each group of the API."""

from social.api import (
    accounts,
    apps,
    conversations,
    filters,
    filters_v1,
    instance,
    lists,
    media,
    notifications,
    oauth,
    pages,
    polls,
    search,
    statuses,
    streaming,
    timelines,
)
from social.api.described import describing
from social.settings import Settings
from social.web.routing import Endpoint

__all__ = ["ENDPOINTS", "PAGES", "endpoints_with"]

_DESCRIBED = [
    endpoint
    for group in (
        instance,
        apps,
        oauth,
        accounts,
        statuses,
        timelines,
        notifications,
        lists,
        media,
        polls,
        search,
        streaming,
        filters,
        filters_v1,
        conversations,
    )
    for endpoint in group.endpoints.all
]
ENDPOINTS = [*_DESCRIBED, *describing(_DESCRIBED).all]
"""Every endpoint of the API."""
PAGES = [*pages.assets.all, *pages.endpoints.all]
"""The pages for browsers and their files."""


def endpoints_with(settings: Settings) -> list[Endpoint]:
    """What is there with these settings, of all roles together."""
    shown = pages.endpoints.all if settings.web_page else ()
    return [*ENDPOINTS, *pages.assets.all, *shown]
