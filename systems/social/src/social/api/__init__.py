"""The endpoints, one file for each group of the API."""

from social.api import (
    accounts,
    apps,
    instance,
    lists,
    notifications,
    oauth,
    search,
    statuses,
    timelines,
)

__all__ = ["ENDPOINTS"]

ENDPOINTS = [
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
        search,
    )
    for endpoint in group.endpoints.all
]
"""Every endpoint there is."""
