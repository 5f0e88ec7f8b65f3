"""What a user can do about an operation that did not answer as it should in `loadpath check`."""

from __future__ import annotations

from loadpath.spec import Operation, Setup


def advice_for(setup: Setup, operation: Operation, status: int) -> str | None:
    """A sentence or two for the status of its first failed reply (0: none came); None: nothing is
    known to say."""
    request = operation.request
    if status == 404:
        return _about_rows(setup, operation)
    if status in (401, 403):
        return (
            "It wants to know who asks: give it headers, say headers = { Authorization = … }, or "
            "log in first in a flow (docs/how-to/write-a-workload.md)."
        )
    if status == 405:
        method = request.method if request else "this method"
        return f"The route is there, but does not take {method}: mend `request`, or leave it out."
    if status == 409:
        return (
            "It says that there is such a row already: what must be different every time needs a "
            "{field} in `body` and a key set for it."
        )
    if status in (400, 415, 422):
        part = (
            "`body` or `headers`" if request and request.body else "`request` (its query) or `body`"
        )
        return f"It does not take the request as it is written: mend {part}."
    if status >= 500:
        return "The reason is in the service: the last lines that it printed stand below."
    return None


def _about_rows(setup: Setup, operation: Operation) -> str:
    request = operation.request
    if request is None or not request.keys:
        return "Nothing is there: is the path right, and are its rows there on a fresh database?"
    stores = [d for d in setup.service.dependencies if d.kind == "postgres"]
    unfilled = [d.name for d in stores if d.seed is None and d.url is None]
    if stores and len(unfilled) == len(stores):
        return (
            f"No such row yet: nothing fills the database. Say `seed` in "
            f"[dependencies.{unfilled[0]}], a command that does, and which keys it makes."
        )
    return (
        "No such row: are the keys that were asked for among those that `seed` makes? "
        "`first` and `count`, `pattern` or `file` say which are asked for."
    )
