"""Puts the project through what it promises, from nothing, as a stranger would: `make acceptance`.

Clones the last commit into `.acceptance/COMMIT/`, and does the steps of `STEPS` there in order.
What a step saw is kept there too: called again, it goes on where it was interrupted. Every result
is written into docs/reference/acceptance.md with its date, the machine and the commit. Takes six
hours and wants a quiet machine. Ends in 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cached
import flawed
import grown
import known
import logs
import messaging
import page
import shortener
import social
import steps
from commands import Broken, Skipped, run, timed

CHECKOUT = Path(__file__).resolve().parents[2]
KEPT = CHECKOUT / ".acceptance"
PAGE = CHECKOUT / "docs/reference/acceptance.md"

Step = Callable[[Path], str]

STEPS: dict[str, tuple[str, Step]] = {
    "install": ("`make install`, from nothing", lambda clone: timed(["make", "install"], clone)),
    "again": (
        "`make install` again, in 2 s",
        lambda clone: timed(["make", "install"], clone, at_most_s=2),
    ),
    "review": (f"`make review`, in {steps.REVIEW_S_MAX} s", steps.review),
    "report": ("`loadpath report` says the same without driving", steps.report),
    "agree": ("3 runs agree on the knee", lambda clone: steps.agree(clone, 3)),
    "killed": (
        "killed in the ramp, it leaves nothing",
        lambda clone: steps.killed(clone, clone.parent / "tmp"),
    ),
    "crash-killed": (
        "killed in each phase of a crash, it leaves nothing",
        lambda clone: steps.crash_killed(clone, clone.parent / "tmp"),
    ),
    "flat": (f"{steps.EXCHANGES:,} exchanges through a tap, flat memory", steps.flat),
    "knees": (
        "known knees, 20 runs of each: never confidently wrong",
        lambda clone: known.knees(clone, times=20),
    ),
    "stressed": (
        "known knees beside stress-ng on one core: said, and not wrong",
        lambda clone: known.stressed(clone, times=3),
    ),
    "plans": ("no list of the shortener reads a whole table, 1,000,000 links", shortener.plans),
    "schema": ("Schemathesis finds no fault in the shortener's API", shortener.schema),
    "matrix-schema": (
        "Schemathesis finds no fault in the messaging server's API",
        messaging.schema,
    ),
    "matrix-plans": (
        f"no statement of the messaging server reads a whole table, {messaging.EVENTS:,} events",
        messaging.plans,
    ),
    "matrix-model": (
        f"{messaging.CONVERSATIONS:,} random conversations, told as a reference model says",
        messaging.model,
    ),
    "matrix-kills": (
        "the messaging server, each of its processes and servers killed 20 times: nothing lost, "
        "everybody told the same",
        lambda clone: messaging.kills(clone, times=20),
    ),
    "social-plans": (
        f"no list of the social platform reads more than it shows, {social.STATUSES:,} statuses "
        "and follows",
        social.plans,
    ),
    "social-schema": (
        "Schemathesis finds no fault in the social platform's API",
        social.schema,
    ),
    "social-kills": (
        "the social platform, each of its processes and servers killed 20 times: nothing lost, "
        "every home right",
        lambda clone: social.kills(clone, times=20),
    ),
    "grows": (
        "the shortener without its index on visits: growth finds it; with it, nothing",
        shortener.grows,
    ),
    "kills": (
        "the shortener, each of its processes and servers killed 20 times: nothing lost",
        lambda clone: shortener.kills(clone, times=20),
    ),
    "codes": ("collisions of 10 million short codes of each kind", shortener.codes),
    "kept": ("a cache before the shortener does what was foretold of it", cached.kept),
    "log": (
        f"`loadpath ask cache --log`: {logs.LINES:,} lines in {logs.SECONDS_MAX:.0f} s, "
        f"{logs.MEMORY_MAX_BYTES / 1e6:.0f} MB",
        logs.judged,
    ),
    "flaws": (
        "planted flaws and their clean twins, 20 runs of each: found, and nobody else accused",
        lambda clone: flawed.flaws(clone, times=20),
    ),
    "grow": ("1,000,000 rows grown to 16,000,000 in 3 min", grown.speed),
    "schemas": ("schemas of real applications, grown 16 × or refused by name", grown.schemas),
    "index": (
        "the index that the shortener lacks is found and proven, and none where it has it",
        grown.indexed,
    ),
    "test": ("`make test`", lambda clone: timed(["make", "test"], clone)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make acceptance", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="begin again, with a new clone")
    parser.add_argument(
        "--only", action="append", choices=STEPS, metavar="STEP", help=", ".join(STEPS)
    )
    options = parser.parse_args()
    commit = run(["git", "rev-parse", "--short=12", "HEAD"], CHECKOUT).stdout.strip()
    place = KEPT / commit
    if options.fresh and place.exists():
        shutil.rmtree(place)
    clone = place / "clone"
    if not clone.exists():
        # Made beside it and renamed: half a clone of an interrupted run is none.
        part = place / "clone.part"
        shutil.rmtree(part, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        run(["git", "clone", "--quiet", str(CHECKOUT), str(part)], CHECKOUT)
        run(["git", "checkout", "--quiet", commit], part)
        part.rename(clone)
    chosen = options.only or list(STEPS)
    if options.only and not (clone / ".venv").exists():
        chosen = ["install", *(name for name in chosen if name != "install")]
    state = State(place / "state.json")
    ends = [done(name, clone, commit, state) for name in chosen]
    return 0 if all(ends) else 1


class State:
    """What the steps of this commit came to, on disk: kept steps are not done again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.said: dict[str, str] = json.loads(file.read_text("utf-8")) if file.exists() else {}

    def keep(self, name: str, said: str) -> None:
        """Remember that a step was kept, and what it saw."""
        self.said[name] = said
        self._file.write_text(json.dumps(self.said, indent=2) + "\n", "utf-8")


def done(name: str, clone: Path, commit: str, state: State) -> bool:
    """Do a step, unless it was kept before; say how it ended and write it down. Whether it held."""
    title, step = STEPS[name]
    if name in state.said:
        print(f"kept  {title}: {state.said[name]} (before)", flush=True)
        return True
    print(f"…     {title}", flush=True)
    began_s = time.monotonic()
    try:
        kept, said = "yes", step(clone)
        state.keep(name, said)
    except Skipped as skipped:
        print(f"SKIP  {title}: {skipped}", flush=True)
        return True
    except Broken as broken:
        kept, said = "**no**", str(broken)
    took = f"{(time.monotonic() - began_s) / 60:.0f} min"
    print(f"{'kept ' if kept == 'yes' else 'BROKE'} {title}: {said} ({took})", flush=True)
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    line = page.row(title, kept, said, date, commit, page.machine())
    page.write(PAGE, title, line, [heading for heading, _ in STEPS.values()])
    return kept == "yes"


if __name__ == "__main__":
    sys.exit(main())
