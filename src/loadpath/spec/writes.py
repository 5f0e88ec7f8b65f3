"""Which operations write, and that they do not write where the user did not allow it."""

from __future__ import annotations

from loadpath.errors import UnsafeTargetError
from loadpath.spec.setup import Setup
from loadpath.spec.workload import SAFE_METHODS, Operation


def writes(operation: Operation) -> bool:
    """Whether the operation may change what it acts on, as far as its method or its mark says."""
    if operation.request is not None:
        return operation.request.method not in SAFE_METHODS
    return not operation.alone


def refuse_writes(setup: Setup) -> None:
    """Raise `UnsafeTargetError` when a writing workload would reach a dependency given by URL."""
    given = [each.name for each in setup.service.dependencies if each.url is not None]
    writing = [each.name for each in setup.workload.operations if each.weight > 0 and writes(each)]
    if not given or not writing or setup.allow_writes:
        return
    which = ", ".join(writing[:3]) + (", …" if len(writing) > 3 else "")
    raise UnsafeTargetError(
        f"the workload writes ({which}), and {', '.join(given)} is your own server, given by URL",
        advice="If the writes may reach it, say so: --allow-writes. Otherwise leave url out, and "
        f'one is started for each run, or leave them out: --set \'operations."{writing[0]}"'
        ".weight=0'",
    )
