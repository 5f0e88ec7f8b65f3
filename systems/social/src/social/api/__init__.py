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
    polls,
    search,
    statuses,
    streaming,
    timelines,
)
from social.api.described import describing

__all__ = ["ENDPOINTS"]

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
"""Every endpoint there is."""
