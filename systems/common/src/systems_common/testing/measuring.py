"""What benchmarks have in common: CPU and memory of processes, the machine, a block of a README."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["cpu_s", "machine", "others_busy_cores", "resident_bytes", "write_block"]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds of these processes and their reaped children; 0 for one that ended."""
    ticks = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            continue
        ticks += sum(int(field) for field in text.rpartition(")")[2].split()[11:15])
    return ticks / _TICKS_PER_S


def resident_bytes(pids: Sequence[int]) -> int:
    """What these processes hold in memory, shared pages counted for each."""
    found = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found += int(line.split()[1]) * 1024
    return found


def others_busy_cores(over_s: float = 2.0) -> float:
    """How many cores are busy now. To be asked before anything is started."""

    def ticks() -> tuple[int, int]:
        line = Path("/proc/stat").read_text().split("\n")[0]
        fields = [int(field) for field in line.split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    all_before, idle_before = ticks()
    time.sleep(over_s)
    all_after, idle_after = ticks()
    return (1 - (idle_after - idle_before) / (all_after - all_before)) * (os.cpu_count() or 1)


def machine() -> str:
    """The day, the processor and the Python, for a line above a table."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores "
        f"({model[1] if model else 'unknown'}), Python {sys.version.split()[0]}"
    )


def write_block(file: Path, name: str, text: str) -> None:
    """Put text into the block that begins `<!-- measured: written by NAME -->`.

    It ends at the next `<!-- end of measured -->`. Raises `SystemExit` when there is none.
    """
    begin, end = f"<!-- measured: written by {name} -->", "<!-- end of measured -->"
    before, begun, rest = file.read_text("utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise SystemExit(f"{file}: expected a table between `{begin}` and `{end}`")
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
