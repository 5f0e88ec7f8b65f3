"""A tap that saw no connection: an error that names the likely cause, not a zero."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.errors import UnusedDependencyError
from loadpath.spec import Dependency
from loadpath.tap.plan import Stats


def raise_if_unused(stats: Stats, dependencies: Sequence[Dependency]) -> None:
    """Raise `UnusedDependencyError` when the service never connected to one of its dependencies.

    Call it once the service has served every operation: until then it may not have needed to.
    """
    seen = {tap.name: tap for tap in stats.taps}
    unused = [d for d in dependencies if d.name in seen and not seen[d.name].connection_count]
    if not unused:
        return
    first = unused[0]
    names = " and ".join(d.name for d in unused)
    variables = ", ".join(first.env)
    raise UnusedDependencyError(
        f"the service never connected to {names}: it was given {seen[first.name].address} "
        f"for {first.name}" + (f", in {variables}" if variables else ""),
        advice=(
            f"Most likely a .env file or a setting of the service's own overrides "
            f"{variables or 'the address'}: let what is in its environment win. If it does not use "
            f"{first.name} at all, take [dependencies.{first.name}] out of the service file."
        ),
    )
