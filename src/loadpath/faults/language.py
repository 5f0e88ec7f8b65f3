"""Faults as they are told on the command line, and back: pure.

    FAULT   = [TARGET] KEYWORD [DETAILS] {", " CLAUSE}
    TARGET  = the name of a dependency, or service; left out where a protocol unit tells it
    CLAUSE  = at DURATION | at RATE | for DURATION | only NTH | first K | P% of the time | seed N
            | after FAULT

A comma that no clause follows belongs to the details: statements have commas.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.faults import quantities
from loadpath.faults.fault import Fault
from loadpath.faults.registry import FAULTS
from loadpath.faults.trigger import Trigger
from loadpath.faults.words import Words

_CLAUSE = re.compile(
    r"(?P<at>at (?P<when>\S+))|(?P<for>for (?P<long>\S+))|(?P<only>only (?P<nth>\S+))"
    r"|first (?P<first>\d+)|(?P<percent>\d+(?:\.\d+)?)\s?% of the time|seed (?P<seed>\d+)"
    r"|after (?P<after>.+)"
)


def parse_fault(text: str) -> Fault:
    """The fault that `text` says. Raises `ConfigurationError`, which points at the wrong word."""
    body, clauses = _split(text)
    words = Words(body)
    if not words.next:
        raise words.wrong("a fault, such as: database killed")
    fault_class = _kind(words)
    target = ""
    if fault_class is None:
        target = words.next
        words.skip()
        fault_class = _kind(words)
    if fault_class is None:
        known = [" ".join(kind.KEYWORD) for kind in FAULTS]
        raise words.wrong(f"what shall happen to {target}", choices=known)
    words.skip(len(fault_class.KEYWORD))
    if not target and fault_class.LAYER != "protocol unit":
        raise Words(body).wrong("the name of a dependency, or service")
    fault = fault_class.read(target, words)
    words.end()
    trigger = _trigger(text, clauses)
    if trigger.picks and not fault_class.NEEDS.tap:
        raise ConfigurationError(
            f'"{text}": only a fault of a tap can choose among what passes (first, only, % of the '
            f"time); {' '.join(fault_class.KEYWORD)} is one of the {fault_class.LAYER}",
            key="--faults",
        )
    return msgspec.structs.replace(fault, trigger=trigger)


def _kind(words: Words) -> type[Fault] | None:
    """The kind of fault whose keyword is next: the longest."""
    found = [
        kind
        for kind in FAULTS
        if tuple(w.lower() for w in words.following(len(kind.KEYWORD))) == kind.KEYWORD
    ]
    return max(found, key=lambda kind: len(kind.KEYWORD), default=None)


def _split(text: str) -> tuple[str, list[tuple[int, re.Match[str]]]]:
    """What stands before the clauses, and these with their places, in order."""
    clauses: list[tuple[int, re.Match[str]]] = []
    end = len(text)
    # `after` takes the rest, with the clauses of the fault that it names.
    for found in re.finditer(r",\s*(?=after )", text):
        match = _CLAUSE.fullmatch(text, found.end())
        if match is not None:
            clauses.append((found.end(), match))
            end = found.start()
            break
    while (comma := text.rfind(",", 0, end)) >= 0:
        start = comma + 1 + (len(text[comma + 1 : end]) - len(text[comma + 1 : end].lstrip()))
        match = _CLAUSE.fullmatch(text[:end].rstrip(), start)
        if match is None:
            break
        clauses.insert(0, (start, match))
        end = comma
    return text[:end].rstrip(), clauses


def _trigger(text: str, clauses: list[tuple[int, re.Match[str]]]) -> Trigger:
    said: dict[str, Any] = {}
    for start, found in clauses:
        for key, value in _said(text, start, found).items():
            if key in said:
                raise _at(text, start, f"{key.partition('_')[0]} once", found[0])
            said[key] = value
    return Trigger(**said)


def _said(text: str, start: int, found: re.Match[str]) -> dict[str, Any]:
    if found["at"]:
        seconds = quantities.duration_s(found["when"])
        rate = quantities.rate_per_s(found["when"])
        if seconds is None and rate is None:
            where = start + len("at ")
            raise _at(text, where, "a duration or a rate such as 500/s", found["when"])
        return {"at_s": seconds} if rate is None else {"at_rate_per_s": rate}
    if found["for"]:
        seconds = quantities.duration_s(found["long"])
        if seconds is None:
            raise _at(text, start + len("for "), "a duration such as 5s", found["long"])
        return {"for_s": seconds}
    if found["only"]:
        nth = quantities.ordinal(found["nth"])
        if nth is None:
            raise _at(text, start + len("only "), "which one, such as 3rd", found["nth"])
        return {"nth": nth}
    if found["first"]:
        return {"first": int(found["first"])}
    if found["percent"]:
        share = float(found["percent"])
        if not 0 < share <= 100:
            raise _at(text, start, "a share above 0 and up to 100 %", found["percent"])
        return {"probability": share / 100}
    if found["seed"]:
        return {"seed": int(found["seed"])}
    return {"after": parse_fault(found["after"]).name}


def _at(text: str, start: int, expected: str, came: str) -> ConfigurationError:
    return ConfigurationError(
        f'expected {expected}, "{came}" came\n  {text}\n  {" " * start}{"^" * len(came)}',
        key="--faults",
        advice="--list-faults says how each fault is written.",
    )
