"""Whether an answer on growth may be believed."""

from __future__ import annotations

from typing import Final

from loadpath.answer import Check
from loadpath.experiment.assess import responses
from loadpath.experiment.growth.wires import PURPOSE
from loadpath.questions.growth_figures import Growth
from loadpath.recording import Recording

VERSION: Final = "version"
SKIP_SCAN_SINCE: Final = 18
"""PostgreSQL's version that looks up a later column of an index without the first."""

FAILED_MAX: Final = 0.01
MEASURED_MIN: Final = 0.8
"""Of the calls, those whose statement could be run again."""


def checks_of(growth: Growth, recording: Recording) -> tuple[Check, ...]:
    """Every check; `recording` is the one in which the statements were read."""
    yours = recording.setup.growth.version
    return (
        _grown(growth),
        _measured(growth),
        *_versions(growth, yours),
        *_answered(recording),
    )


def _grown(growth: Growth) -> Check:
    not_grown = [each for each in growth.databases if each.problem]
    if not_grown or not growth.databases:
        said = "; ".join(f"{each.dependency}: {each.problem}" for each in not_grown)
        return Check("data grown", False, f"{said or 'there was no database'}.")
    return Check("data grown", True, "")


def _measured(growth: Growth) -> Check:
    every = [each for database in growth.databases for each in database.statements]
    known = [each for each in every if each.course is not None]
    called = sum(each.calls_per_s for each in every)
    share = sum(each.calls_per_s for each in known) / called if called else 1.0
    if share < MEASURED_MIN:
        return Check(
            "statements measured",
            False,
            f"those that could be run again are {share:.0%} of the calls.",
            "See which could not, and why, in --json.",
        )
    return Check("statements measured", True, f"{len(known)} of {len(every)} statements measured")


def _versions(growth: Growth, yours: int | None) -> list[Check]:
    """Whether it was measured on the PostgreSQL that the user has."""
    found = []
    for database in growth.databases:
        here = database.version.partition(".")[0]
        if yours is None or not here.isdigit() or int(here) == yours:
            continue
        skips = int(here) >= SKIP_SCAN_SINCE > yours
        said = f"{database.dependency} was measured on PostgreSQL {here}, and yours is {yours}"
        if skips:
            said += f": {here} skips over leading columns of an index, which {yours} reads whole"
        advice = (
            "Plans may differ: try what is recommended, and EXPLAIN what is not accused, there."
        )
        found.append(Check(VERSION, False, f"{said}.", advice))
    return found


def _answered(recording: Recording) -> list[Check]:
    """Whether requests succeeded while statements were read: a page of errors asks for nothing."""
    found = []
    for segment in recording.segments:
        if segment.purpose == PURPOSE:
            failed = responses(recording.requests(segment.index)).failed
            share = float(failed.mean()) if len(failed) else 0.0
            first = next(iter(segment.first_errors.values()), "")
            said = f"{share:.1%} of requests failed while statements were read; the first: {first}"
            if share > FAILED_MAX:
                advice = "`loadpath check` shows each operation's replies."
                found.append(Check("requests answered", False, said, advice))
    return found
