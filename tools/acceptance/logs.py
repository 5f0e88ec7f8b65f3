"""A large access log, written and judged: in time, in bounded memory, with the right figures."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
from commands import Broken

LINES = 10_000_000
SECONDS_MAX = 90.0
MEMORY_MAX_BYTES = 500e6
EXPONENT = 1.0
KEYS = 500_000
_TEMPLATES = (
    ("GET", "/{}", "302"),
    ("GET", "/api/links/{}", "200"),
    ("GET", "/search?q={}", "200"),
)


def write(file: Path, lines: int, *, keys: int = KEYS, seed: int = 1) -> None:
    """A log in the Combined format: codes by Zipf's law, 1 in 50 a write, over a day."""
    rng = np.random.default_rng(seed)
    weights = np.cumsum(np.arange(1, keys + 1.0) ** -EXPONENT)
    with file.open("w", encoding="ascii") as out:
        for begin in range(0, lines, 200_000):
            count = min(200_000, lines - begin)
            ranks = np.searchsorted(weights, rng.random(count) * weights[-1])
            sizes = 100 + (ranks * 7919) % 4000
            kinds = rng.integers(0, 50, count)
            seconds = (begin + np.arange(count)) * 86_400 // lines
            rows = []
            for rank, size, kind, second in zip(
                ranks.tolist(), sizes.tolist(), kinds.tolist(), seconds.tolist(), strict=True
            ):
                method, path, status = _TEMPLATES[rank % 3]
                if kind == 0:
                    method, path, status = "POST", "/api/links", "201"
                clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
                rows.append(
                    f'10.0.{rank % 256}.{kind} - - [22/Nov/2026:{clock} +0000] "{method} '
                    f'{path.format(f"k{rank:07x}")} HTTP/1.1" {status} {size} '
                    '"https://example.org/" "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"\n'
                )
            out.write("".join(rows))


def judged(clone: Path, *, lines: int = LINES) -> str:
    """Judges such a log by the command line; raises `Broken` where a promise is."""
    file = clone.parent / f"access-{lines}.log"
    if not file.exists():
        part = file.with_suffix(".part")
        write(part, lines)
        part.rename(file)
    command = [".venv/bin/loadpath", "ask", "cache", "--log", str(file), "--json", "-q"]
    printed = file.with_suffix(".json")
    began_s = time.monotonic()
    with printed.open("w") as out:
        process = subprocess.Popen(command, cwd=clone, stdout=out)
        # Its own peak: what `resource` says of children is the most of any there ever was.
        _, status, used = os.wait4(process.pid, 0)
    took_s = time.monotonic() - began_s
    most_bytes = 1024 * used.ru_maxrss
    if os.waitstatus_to_exitcode(status):
        raise Broken(f"it ended in {os.waitstatus_to_exitcode(status)}")
    found = json.loads(printed.read_text("utf-8"))["findings"]
    said = f"{lines:,} lines in {took_s:.0f} s with {most_bytes / 1e6:.0f} MB"
    exponent = found["all"]["popularity"]["exponent"]
    wrong = []
    if found["lines"] != lines or found["bad"] or found["rate"] != 1:
        wrong.append("not every line was read and kept")
    if not exponent["low"] <= EXPONENT <= exponent["high"]:
        wrong.append(f"Zipf {exponent}")
    if took_s > SECONDS_MAX * max(1.0, lines / LINES):
        wrong.append(f"longer than {SECONDS_MAX:.0f} s")
    if most_bytes > MEMORY_MAX_BYTES:
        wrong.append(f"more than {MEMORY_MAX_BYTES / 1e6:.0f} MB")
    if wrong:
        raise Broken(f"{said}: {'; '.join(wrong)}")
    return f"{said}; Zipf {exponent['value']:.3f}, truth {EXPONENT:g}"
