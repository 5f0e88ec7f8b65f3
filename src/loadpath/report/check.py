"""What `loadpath check` found, as text and as JSON."""

from __future__ import annotations

import msgspec

from loadpath.errors import ExitCode
from loadpath.experiment.probe import OperationProbe, ServiceProbe
from loadpath.figures import ms
from loadpath.report.terminal import Style, plain, strip_controls


def render_check(found: ServiceProbe, *, style: Style = plain) -> str:
    """A table: an operation a row, with its status, its first and its usual time."""
    lines = [
        f"{style(found.service, 'bold')} · ready in {found.started_s:.1f} s",
        *(f"  {name:<12} {what}" for name, what in found.dependencies.items()),
        "",
        f"  {'operation':<34} {'status':<9} {'first':>9} {'then':>9}",
    ]
    for operation in found.operations:
        lines.append(_row(operation, style))
        if operation.problem:
            lines.append(f"      {strip_controls(operation.problem)[:300]}")
    failed = [operation for operation in found.operations if operation.problem]
    lines.append("")
    for name in found.unused:
        lines.append(
            style("!", "yellow")
            + f" {name}: the service opened no connection to it. Does it take its address from"
            "\n  the environment variables of loadpath.toml?"
        )
    if failed:
        lines.append(
            style("✗ failing", "red")
            + f": {len(failed)} of {len(found.operations)} operations had a reply that is an error"
        )
    else:
        lines.append(
            style("✓ every operation answers", "green") + f" ({len(found.operations)} of them)"
        )
    return "\n".join(lines) + "\n"


def check_json(found: ServiceProbe) -> str:
    """The same as JSON, ending in a newline."""
    document = {"exit_code": int(check_exit_code(found)), "check": found}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def check_exit_code(found: ServiceProbe) -> ExitCode:
    """Missed when any operation's reply was an error."""
    if any(operation.problem for operation in found.operations):
        return ExitCode.OBJECTIVE_MISSED
    return ExitCode.OBJECTIVES_MET


def _row(operation: OperationProbe, style: Style) -> str:
    statuses = ",".join(str(status) if status else "none" for status in operation.statuses)
    mark = style("✗", "red") if operation.problem else style("✓", "green")
    name = strip_controls(operation.operation)
    return f"{mark} {name:<34} {statuses:<9} {ms(operation.first_s):>9} {ms(operation.median_s):>9}"
