"""The table of results in docs/reference/acceptance.md; the rest there is written by hand."""

from __future__ import annotations

from pathlib import Path

from loadpath.meter import describe_machine

BEGIN = "<!-- results: written by `make acceptance` -->"
END = "<!-- end of results -->"
HEAD = "| promise | kept | what was seen | date | commit | machine |\n|---|---|---|---|---|---|"


def machine() -> str:
    """This machine in a few words."""
    found = describe_machine()
    memory = f"{found.memory_bytes / 2**30:.0f} GiB"
    cores = f"{found.cores} core" + ("s" if found.cores > 1 else "")
    return f"{cores} ({found.cpu_model}), {memory}, Linux {found.kernel}, {found.python}"


def row(title: str, kept: str, seen: str, date: str, commit: str, where: str) -> str:
    """One line of the table."""
    cells = (title, kept, seen, date, commit, where)
    return "| " + " | ".join(" ".join(cell.replace("|", "¦").split()) for cell in cells) + " |"


def write(page: Path, title: str, line: str, order: list[str]) -> None:
    """Put the row of that title into the table, in place of the one there was; rows of other
    steps stay, with the date and the commit they were made at."""
    text = page.read_text("utf-8")
    before, begun, rest = text.partition(BEGIN)
    table, ended, after = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{page}: expected a table between `{BEGIN}` and `{END}`")
    rows = {cells[1].strip(): old for old in table.splitlines() if len(cells := old.split("|")) > 2}
    rows = {name: old for name, old in rows.items() if name in order} | {title: line}
    lines = "\n".join(rows[name] for name in order if name in rows)
    page.write_text(f"{before}{BEGIN}\n\n{HEAD}\n{lines}\n\n{END}{after}", "utf-8")
