"""The promises about the link shortener: each says what it saw, or raises `Broken`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
from commands import Broken, loadpath, run

SYSTEM = "systems/shortener"
REVIEW_S_MAX = 360
AGREE_RATIO_MAX = 0.10
GONE_AFTER_S = 5.0
RAMP_AWAITED_S = 120.0
EXCHANGES = 10_000_000


def review(clone: Path) -> str:
    began_s = time.monotonic()
    printed = run(["make", "review"], clone).stdout
    took_s = time.monotonic() - began_s
    for word in ("BOTTLENECK", "the mix", "Trust"):
        if word not in printed:
            raise Broken(f"no `{word}` in what it printed:\n{printed}")
    if wide := [line for line in printed.splitlines() if len(line) > 80 and "/" not in line]:
        raise Broken(f"wider than 80 columns: {wide[0]}")
    if took_s > REVIEW_S_MAX:
        raise Broken(f"took {took_s:.0f} s")
    (clone.parent / "review.txt").write_text(printed, "utf-8")
    print(printed)
    return f"{took_s:.0f} s"


def report(clone: Path) -> str:
    before = answer_section((clone.parent / "review.txt").read_text("utf-8"))
    began_s = time.monotonic()
    again = answer_section(loadpath(clone, "report", "latest", "-C", SYSTEM))
    took_s = time.monotonic() - began_s
    if before != again:
        raise Broken(f"it said\n{again}\ninstead of\n{before}")
    return f"{took_s:.1f} s"


def answer_section(printed: str) -> str:
    """From the first line of the answer to its Trust line."""
    lines = printed.splitlines()
    first = next((i for i, x in enumerate(lines) if x.startswith("BOTTLENECK")), 0)
    last = next((i for i, x in enumerate(lines) if x.startswith("Trust")), len(lines) - 1)
    return "\n".join(lines[first : last + 1])


def agree(clone: Path, runs: int) -> str:
    """The knees of that many runs lie close together; those made before an interruption count."""
    kept = clone.parent / "agree.json"
    knees = json.loads(kept.read_text("utf-8")) if kept.exists() else []
    while len(knees) < runs:
        # The review is the first.
        if knees or not (clone.parent / "review.txt").exists():
            loadpath(clone, "run", SYSTEM, "-q")
        knees.append(knee(clone))
        kept.write_text(json.dumps(knees), "utf-8")
    known = [k for k in knees if k is not None]
    if len(known) < 2:
        return f"{runs - len(known)} of {runs} runs were inconclusive, and said why"
    spread = (max(known) - min(known)) / min(known)
    said = ", ".join(f"{k:,.0f}/s" for k in known) + f": {spread:.1%} apart"
    if spread > AGREE_RATIO_MAX:
        raise Broken(said)
    return said


def knee(clone: Path) -> float | None:
    """The mix's knee of the latest run; None when the run says that it does not know."""
    document = json.loads(loadpath(clone, "report", "latest", "-C", SYSTEM, "--json"))
    answer = document["answers"][0]
    if answer["state"] == "inconclusive" or answer["measurement"] is None:
        return None
    return float(answer["measurement"]["value"])


def killed(clone: Path, temporary: Path) -> str:
    """SIGKILL in the ramp: its processes and its temporary folders are gone soon after."""
    return f"{_killed(clone, temporary, ['run', SYSTEM], 'ramp', 0.0)} processes, all gone"


CRASH_KILLED = (
    ("moving data to a small disk", "broker disk full", "seed database", 1.0),
    ("visits", "database killed", "seed database", 4.0),
    ("control", "database killed", "who uses what", 3.0),
    ("before the onset", "database killed", "control, no fault", 1.0),
    ("database stopped", "database stopped, for 2s", "control, no fault", 3.0),
    ("disk full", "broker disk full", "control, no fault", 2.5),
    ("database killed", "database killed", "control, no fault", 2.5),
    ("database starting again", "database killed", "control, no fault", 3.3),
    ("service starting again", "service killed", "control, no fault", 3.3),
    ("after the heal", "database killed", "control, no fault", 5.5),
    ("counting effects", "database killed", "control, no fault", 10.0),
)
"""Phases of a crash: what goes on, of which fault, and so many seconds after which line that is."""


def crash_killed(clone: Path, temporary: Path) -> str:
    """SIGKILL in each phase of a crash: nothing of it is there soon after."""
    skipped = []
    for what, fault, line, after_s in CRASH_KILLED:
        if "disk full" in fault and os.geteuid() != 0:
            skipped.append(what)
            continue
        words = ["ask", "crash", SYSTEM, "--faults", fault]
        try:
            _killed(clone, temporary, words, line, after_s)
        except Broken as broken:
            raise Broken(f"killed in: {what}: {broken}") from None
    said = ", ".join(what for what, *_ in CRASH_KILLED if what not in skipped)
    root = f"; needs root: {', '.join(skipped)}" if skipped else ""
    return f"nothing left after: {said}{root}"


def _killed(clone: Path, temporary: Path, words: list[str], line: str, after_s: float) -> int:
    """Kill Loadpath so long after a line of its progress; how many processes it had then."""
    temporary.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(clone / ".venv/bin/loadpath"), *words],
        cwd=clone,
        env={**os.environ, "TMPDIR": str(temporary), "CI": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline_s = time.monotonic() + RAMP_AWAITED_S
    for said in process.stderr:
        if line in said:
            break
        if time.monotonic() > deadline_s:
            break
    time.sleep(after_s)
    ours = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    if not ours:
        raise Broken("it had no processes when it was killed")
    _, alive = psutil.wait_procs(ours, timeout=GONE_AFTER_S)
    if alive:
        names = ", ".join(f"{p.pid} {p.name()}" for p in alive)
        raise Broken(f"{GONE_AFTER_S:.0f} s later these were alive: {names}")
    if left := sorted(p.name for p in temporary.iterdir()):
        raise Broken(f"{GONE_AFTER_S:.0f} s later these folders were there: {', '.join(left)}")
    mounted = Path("/proc/mounts").read_text("utf-8").splitlines()
    if mounts := [line.split()[1] for line in mounted if str(temporary) in line]:
        raise Broken(f"{GONE_AFTER_S:.0f} s later there were {len(mounts)} mounts of its own")
    return len(ours)


def flat(clone: Path) -> str:
    """Ten million exchanges through one tap take no more memory than one million: the last line
    that the benchmark prints, what its memory grew by."""
    command = [".venv/bin/python", "bench/tap.py", "--flat", str(EXCHANGES)]
    return run(command, clone).stdout.strip().splitlines()[-1]
