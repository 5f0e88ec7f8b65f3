"""Foretells changes, makes them for real and scores what was foretold: `make ledger`.

Every case of `catalog.py` that was not measured yet, or that something disturbed, in turn: the
service is recorded once for its model, the prediction is written to disk, then baseline and change
are measured, A B B A. Kept in `.accuracy/`, by the commit of the code that predicts; called again,
it goes on. Renders docs/reference/accuracy.md. Wants a quiet machine, for hours.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from accuracy import page
from accuracy.catalog import LEDGER, SERVICES, TUNING, Case, Service
from accuracy.driving import (
    CHECKOUT,
    Effort,
    changes_of,
    measure_case,
    record,
    recorded,
    setup_of,
    source_of,
    upstream_of,
)
from accuracy.scoring import GOALS, Row, summary
from accuracy.store import Measured, Store
from loadpath.changes import applied
from loadpath.errors import LoadpathError
from loadpath.experiment.modeling import estimate_s
from loadpath.experiment.verifying import loads_around, round_s
from loadpath.spec import Setup

KEPT = CHECKOUT / ".accuracy"
PAGE = CHECKOUT / "docs/reference/accuracy.md"

PREDICTS = (
    "src/loadpath/model",
    "src/loadpath/changes",
    "src/loadpath/stats",
    "src/loadpath/questions/forecast.py",
    *(
        f"src/loadpath/experiment/{name}.py"
        for name in [
            "assess",
            "callpaths",
            "concurrency",
            "grouping",
            "holding",
            "knee",
            "limits",
            "mixknee",
            "mixload",
            "modeling",
            "observed",
            "stretches",
            "traced",
            "visits",
            "wires",
        ]
    ),
)
"""What a prediction is made by, recording included. Where none of it changed, one is as good as
another."""

FIT_S, PREDICT_S, ROUNDS = 30.0, 15.0, 4
"""About how long fitting and predicting take, and how many rounds suffice on a quiet machine."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make ledger", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="a case; may be repeated")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="begin no case after that")
    parser.add_argument("--list", action="store_true", help="say what there is and how it stands")
    parser.add_argument("--tuning", action="store_true", help="the tuning set; writes no page")
    options = parser.parse_args()
    cases = TUNING if options.tuning else LEDGER
    names = [case.name for case in cases]
    if unknown := set(options.only or ()) - set(names):
        parser.error(f"{', '.join(sorted(unknown))}: expected {', '.join(names)}")
    chosen = [case for case in cases if not options.only or case.name in options.only]
    commit = commit_of()
    store = Store(KEPT / commit)
    if options.list:
        return listed(chosen, store)
    # `python` of a service file is the one that runs this: it has what the services import.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    open_ = [case for case in chosen if not store.done(case.name)]
    estimated = sum(case_s(case) for case in open_) + sum(
        model_s(SERVICES[name]) for name in dict.fromkeys(case.service for case in open_)
    )
    print(f"{len(open_)} of {len(chosen)} cases to do, about {estimated / 60:.0f} min", flush=True)
    ends_s = time.monotonic() + (float("inf") if options.budget is None else options.budget)
    try:
        failed = driven(open_, store, commit, ends_s)
    finally:
        # Interrupted, too: hours of measuring are not to be kept to oneself.
        rows = rows_of(cases, store)
        if options.tuning:
            print(tuned(rows))
        else:
            page.write(PAGE, page.rendered(cases, rows))
            print(f"written: {PAGE.relative_to(CHECKOUT)}")
    return int(failed or any(not store.done(case.name) for case in chosen))


def driven(
    cases: Sequence[Case], store: Store, commit: str, ends_s: float, effort: Effort | None = None
) -> bool:
    """Do the cases, service by service, until time is over; whether one failed."""
    effort = effort or Effort()
    failed = False
    for name in dict.fromkeys(case.service for case in cases):
        if time.monotonic() > ends_s:
            break
        service = SERVICES[name]
        of_it = [case for case in cases if case.service == name]
        try:
            asyncio.run(_service(service, of_it, store, commit, ends_s, effort))
        except LoadpathError as error:
            print(f"FAIL  {name}: {error}", file=sys.stderr, flush=True)
            failed = True
    return failed


async def _service(
    service: Service,
    cases: Sequence[Case],
    store: Store,
    commit: str,
    ends_s: float,
    effort: Effort,
) -> None:
    with upstream_of(service) as upstream:
        setup = setup_of(service, upstream)
        source = recorded(store, service, setup, effort)
        if source is None:
            print(f"…     {service.name}: the model", flush=True)
            source = source_of(await record(store, service, setup, effort), setup)
        if source.taken_cores > effort.disturbed_cores:
            # What it foretells would be scored against another machine than it was fitted on.
            taken = f"others took {source.taken_cores:.2f} cores while its model was recorded"
            print(f"AGAIN {service.name}: {taken}", flush=True)
            return
        for case in cases:
            if time.monotonic() > ends_s:
                return
            print(f"…     {service.name}: {case.said}", flush=True)
            attempt = store.next(case.name)
            try:
                said(case, await measure_case(case, source, attempt, store, commit, effort))
            except LoadpathError as error:
                print(f"FAIL  {case.name}: {error}", file=sys.stderr, flush=True)


def said(case: Case, measured: Measured) -> None:
    """One line of how a case ended."""
    if measured.why_not is not None:
        print(f"AGAIN {case.name}: {measured.why_not}", flush=True)
        return
    first = measured.scores[0] if measured.scores else None
    off = f"{first.figure} {first.error:+.1%}" if first is not None else "nothing to score"
    print(f"done  {case.name}: {off}", flush=True)


def rows_of(cases: Sequence[Case], store: Store) -> list[Row]:
    """Every case that was brought to its end."""
    return [Row(*last) for case in cases if (last := store.last(case.name)) is not None]


def listed(cases: Sequence[Case], store: Store) -> int:
    """Say what there is."""
    for case in cases:
        last = store.last(case.name)
        state = "open" if last is None else last[1].why_not or "done"
        print(f"{case.name}: {case.service}: {case.said}: {state}, {case_s(case) / 60:.0f} min")
    total = sum(case_s(case) for case in cases)
    total += sum(model_s(SERVICES[name]) for name in {case.service for case in cases})
    print(f"{len(cases)} cases, about {total / 60:.0f} min on a quiet machine")
    return 0


def tuned(rows: Sequence[Row]) -> str:
    """The errors of each case, and the spread that model/error.py's constants stand for."""
    lines = []
    for row in rows:
        for entry in row.entries:
            why = "" if entry.counted else f" (not counted: {row.measured.why_not or 'too wide'})"
            lines.append(
                f"{row.foretold.case}: {entry.score.figure}: {entry.score.error:+.1%}{why}"
            )
    entries = [entry for row in rows for entry in row.entries]
    for kind in GOALS:
        of = summary(entries, kind)
        spread = "–" if of.rms_log is None else f"{of.rms_log:.3f}"
        lines.append(f"{kind}: {of.count} counted, root mean square of the logarithm {spread}")
    return "\n".join(lines)


def case_s(case: Case) -> float:
    """About how long measuring it takes."""
    effort = Effort()
    setup = _setup(case.service)
    rates = tuple(10.0 for _ in effort.shares)
    changes = changes_of(case, setup)
    assert not applied(changes, setup)[1]
    return PREDICT_S + ROUNDS * round_s(effort.verify, 2, loads_around(rates, 100.0, (1.3,)))


def model_s(service: Service) -> float:
    """About how long recording what its model needs takes."""
    return FIT_S + estimate_s(_setup(service.name), Effort().model)


def _setup(service: str) -> Setup:
    return setup_of(SERVICES[service], None)


def commit_of() -> str:
    """The last commit that touched what predicts, with a digest of it where it was edited since."""
    commit = _git("log", "-1", "--format=%h", "--", *PREDICTS)
    if not _git("status", "--porcelain", "--", *PREDICTS):
        return commit
    digest = hashlib.sha256()
    for place in PREDICTS:
        path = CHECKOUT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return f"{commit}-edited-{digest.hexdigest()[:8]}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
