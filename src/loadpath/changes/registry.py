"""Every form of the change language. A new change is a new file and a line here.

The order is that in which they are tried: a dependency may have the name of a keyword.
"""

from __future__ import annotations

from loadpath.changes import (
    cache,
    calls,
    cores,
    elsewhere,
    faster,
    knobs,
    mix,
    queue,
    slower,
    split,
    users,
    workers,
)

FORMS = (
    slower.FORM,
    elsewhere.FORM,
    users.FORM,
    mix.FORM,
    workers.FORM,
    cores.FORM,
    cache.FORM,
    split.FORM,
    queue.FORM,
    calls.FORM,
    faster.FORM,
    knobs.FORM,
)
