"""Puts the project through what it promises, from nothing, as a stranger would: `make acceptance`.

Clones the last commit into an empty folder, then, in order: installs; `make review` within the time
it may take; `loadpath report latest` says the same without driving; more runs agree on the mix's
knee; a run that is killed leaves nothing behind; ten million exchanges through one tap take no more
memory than one million; `make test` passes. Takes about half an hour and
wants a quiet machine. Ends in 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parent.parent
SYSTEM = "systems/shortener"
REVIEW_S_MAX = 360
AGREE_RATIO_MAX = 0.10
GONE_AFTER_S = 5.0
RAMP_AWAITED_S = 120.0
EXCHANGES = 10_000_000


class Broken(Exception):  # noqa: N818 - a promise, not an error
    """A promise that was not kept; the message says what was seen."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs whose knees must agree (3)")
    parser.add_argument("--no-tests", action="store_true", help="leave `make test` out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadpath-acceptance-") as name:
        clone = Path(name, "clone")
        run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], CHECKOUT)
        steps: list[tuple[str, Callable[[], str]]] = [
            ("make install, from nothing", lambda: timed(["make", "install"], clone)),
            ("make install again", lambda: timed(["make", "install"], clone, at_most_s=2)),
            (f"make review in {REVIEW_S_MAX} s", lambda: review(clone)),
            ("report says the same", lambda: report(clone)),
            (f"{options.runs} runs agree", lambda: agree(clone, options.runs)),
            ("killed in the ramp, nothing is left", lambda: killed(clone, Path(name, "tmp"))),
            (f"{EXCHANGES:,} exchanges through a tap, flat memory", lambda: flat(clone)),
        ]
        if not options.no_tests:
            steps.append(("make test", lambda: timed(["make", "test"], clone)))
        return 1 if [title for title, step in steps if not kept(title, step)] else 0


def kept(title: str, step: Callable[[], str]) -> bool:
    """Do a step and say how it ended."""
    print(f"…     {title}", flush=True)
    try:
        print(f"kept  {title}: {step()}", flush=True)
    except Broken as broken:
        print(f"BROKE {title}: {broken}", flush=True)
        return False
    return True


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A command that must end in 0."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **more}
    )
    if done.returncode:
        tail = "\n      ".join((done.stdout + done.stderr).splitlines()[-20:])
        raise Broken(f"`{' '.join(command)}` ended in {done.returncode}:\n      {tail}")
    return done


def timed(command: list[str], folder: Path, *, at_most_s: float = float("inf")) -> str:
    began_s = time.monotonic()
    run(command, folder)
    took_s = time.monotonic() - began_s
    if took_s > at_most_s:
        raise Broken(f"took {took_s:.0f} s")
    return f"{took_s:.0f} s"


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
    return f"{took_s:.0f} s\n{printed}"


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
    """The review above is the first run; make the others and compare the mix's knees."""
    knees = [knee(clone)]
    disturbed = 0
    while len(knees) < runs:
        loadpath(clone, "run", SYSTEM, "-q")
        knees.append(knee(clone))
        disturbed += knees[-1] is None
    known = [k for k in knees if k is not None]
    if len(known) < 2:
        return f"{disturbed} of {runs} runs said that they were disturbed"
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


def loadpath(clone: Path, *words: str) -> str:
    """Run the clone's loadpath; every ending that is a whole answer will do."""
    done = subprocess.run(
        [str(clone / ".venv/bin/loadpath"), *words],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1, 3):
        raise Broken(f"`loadpath {' '.join(words)}` ended in {done.returncode}: {done.stderr}")
    return done.stdout


def killed(clone: Path, temporary: Path) -> str:
    """SIGKILL in the ramp: its processes and its temporary folders are gone soon after."""
    temporary.mkdir()
    process = subprocess.Popen(
        [str(clone / ".venv/bin/loadpath"), "run", SYSTEM],
        cwd=clone,
        env={**os.environ, "TMPDIR": str(temporary), "CI": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline_s = time.monotonic() + RAMP_AWAITED_S
    for line in process.stderr:
        if "ramp" in line:
            break
        if time.monotonic() > deadline_s:
            break
    ours = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not ours:
        raise Broken("it had no processes when it was killed")
    _, alive = psutil.wait_procs(ours, timeout=GONE_AFTER_S)
    if alive:
        names = ", ".join(f"{p.pid} {p.name()}" for p in alive)
        raise Broken(f"{GONE_AFTER_S:.0f} s later these were alive: {names}")
    if left := sorted(p.name for p in temporary.iterdir()):
        raise Broken(f"{GONE_AFTER_S:.0f} s later these folders were there: {', '.join(left)}")
    return f"{len(ours)} processes, all gone"


def flat(clone: Path) -> str:
    """The last line that the benchmark prints: what its memory grew by."""
    command = [".venv/bin/python", "bench/tap.py", "--flat", str(EXCHANGES)]
    return run(command, clone).stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
