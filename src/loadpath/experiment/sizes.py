"""The same question for fewer rows: what grows with the rows shows only where they differ."""

from __future__ import annotations

import re

import msgspec

from loadpath.spec import Operation
from loadpath.spec.workload import SAFE_METHODS

_NAMES = (
    r"limit|size|count|first|top|take|rows|max|n|num|"
    r"(?:items|results|rows)?_?per_?page|page_?size|page\[(?:size|limit)\]|max_?results"
)
_ASKED = re.compile(rf"(?<=[?&])({_NAMES})=(\d+)(?=&|$)", re.IGNORECASE)

PARTS = (2, 4)
"""Half and a quarter of what the operation asks for."""


def smaller(operation: Operation) -> tuple[Operation, ...]:
    """The operation asking for fewer rows, where its query says how many it wants; else none.

    Only of requests that change nothing: what is asked this way is no part of the workload.
    """
    request = operation.request
    if request is None or request.method not in SAFE_METHODS:
        return ()
    asked = _ASKED.search(request.path)
    if asked is None:
        return ()
    sizes = dict.fromkeys(int(asked[2]) // part for part in PARTS)
    return tuple(
        msgspec.structs.replace(
            operation,
            name=f"{operation.name} ({asked[1]}={size})",
            request=msgspec.structs.replace(
                request,
                path=request.path[: asked.start(2)] + str(size) + request.path[asked.end(2) :],
            ),
        )
        for size in sizes
        if size >= 1
    )
