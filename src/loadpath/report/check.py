"""What `loadpath check` found, as text and as JSON."""

from __future__ import annotations

import msgspec

from loadpath.errors import ExitCode
from loadpath.experiment.probe import OperationProbe, ServiceProbe
from loadpath.figures import ms
from loadpath.report.outside import strip_controls
from loadpath.report.terminal import Style, plain, wrapped

NAME_WIDTH = 43


def render_check(found: ServiceProbe, *, width: int = 80, style: Style = plain) -> str:
    """A table: an operation a row, with its status, its first and its usual time."""
    lines = [f"{style(strip_controls(found.service), 'bold')} · ready in {found.started_s:.1f} s"]
    for name, what in found.dependencies.items():
        lines += _hanging(f"{strip_controls(name):<12} {what}", width, indent=2)
    lines += ["", f"  {'operation':<{NAME_WIDTH}} {'status':<12} {'first':>9} {'then':>9}"]
    for operation in found.operations:
        lines += _rows(operation, width, style)
        if operation.problem:
            lines += _hanging(operation.problem[:300], width, indent=6)
    failed = [operation for operation in found.operations if operation.problem]
    lines.append("")
    for name in found.unused:
        first, *rest = _hanging(
            f"{name}: the service opened no connection to it. Does it take its address from the "
            "environment variables of loadpath.toml?",
            width,
            indent=2,
        )
        lines += [style("!", "yellow") + first[1:], *rest]
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


def _rows(operation: OperationProbe, width: int, style: Style) -> list[str]:
    said = [str(status) if status else "none" for status in operation.statuses]
    statuses = ",".join(said[:3]) + ("…" if len(said) > 3 else "")
    mark = style("✗", "red") if operation.problem else style("✓", "green")
    figures = f"{statuses:<12} {ms(operation.first_s):>9} {ms(operation.median_s):>9}"
    name, *more = wrapped(operation.operation, width - 2)
    if not more and len(name) <= NAME_WIDTH:
        return [f"{mark} {name:<{NAME_WIDTH}} {figures}"]
    rest = [f"  {row}" for row in more]
    return [f"{mark} {name}", *rest, " " * (NAME_WIDTH + 3) + figures]


def _hanging(text: str, width: int, *, indent: int) -> list[str]:
    return [" " * indent + row for row in wrapped(text, width - indent)]
