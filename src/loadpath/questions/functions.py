"""Which functions take the CPU of a service that ran out of it, in words and figures. Pure."""

from __future__ import annotations

from collections import Counter

import msgspec

from loadpath.answer import Line
from loadpath.experiment.limits import Resource
from loadpath.recording import Recording
from loadpath.recording.functions import Frame, FunctionsRecord

SAMPLES_MIN = 50
"""With fewer a share is known to ±14 percentage points at best."""

SHOWN = 3
SHOWN_SHARE = 0.03
MOSTLY = 0.5


class FunctionShare(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the service and the `share` of the samples that ran it, or what it called of
    others' code. `mostly`: the library in which more than half of that was spent, or nothing."""

    function: str
    file: str
    share: float
    mostly: str = ""


class FunctionShares(msgspec.Struct, frozen=True, kw_only=True):
    """What the service's CPU went into, the largest share first; `others` ran no code of its own:
    the server, the framework, the event loop, by the package they were in."""

    samples: int
    own: tuple[FunctionShare, ...]
    others: dict[str, float]


def function_shares(seen: FunctionsRecord) -> FunctionShares | None:
    """Each sample counts for the innermost call of the service's own code; None: too few."""
    samples = sum(stack.samples for stack in seen.stacks)
    if samples < SAMPLES_MIN:
        return None
    own: Counter[Frame] = Counter()
    within: dict[Frame, Counter[str]] = {}
    others: Counter[str] = Counter()
    for stack in seen.stacks:
        frame = _innermost_own(stack.frames)
        package = _package(stack.frames[-1])
        if frame is None:
            others[package] += stack.samples
            continue
        own[frame] += stack.samples
        if not stack.frames[-1].own:
            within.setdefault(frame, Counter())[package] += stack.samples
    return FunctionShares(
        samples=samples,
        own=tuple(
            FunctionShare(
                function=frame.function,
                file=frame.file,
                share=count / samples,
                mostly=_most(within.get(frame, Counter()), count),
            )
            for frame, count in own.most_common()
        ),
        others={package: count / samples for package, count in others.most_common()},
    )


def is_service_cpu(resource: Resource | None) -> bool:
    """Whether what ran out may have been spent on the service's own code."""
    if resource is None:
        return False
    ran = resource.kind in {"thread", "process"} and resource.part == "service"
    return ran or resource.kind == "cores"


def function_lines(main: Recording, resource: Resource | None) -> list[Line]:
    """Where the CPU of the service ran out, or cores did because of it: what it spent them on."""
    seen = main.functions()
    if seen is None or not is_service_cpu(resource):
        return []
    shares = function_shares(seen)
    if shares is None:
        return []
    said = [
        f"{_percent(share.share)} in {share.function} ({share.file})"
        + (f", mostly {share.mostly}" if share.mostly else "")
        for share in shares.own[:SHOWN]
        if share.share >= SHOWN_SHARE
    ]
    if (rest := sum(shares.others.values())) >= SHOWN_SHARE:
        named = list(shares.others.items())[:SHOWN]
        which = ", ".join(f"{name} {_percent(share)}" for name, share in named)
        said.append(f"{_percent(rest)} outside its own code: {which}")
    return [Line("", "of the service's Python: " + "; ".join(said))] if said else []


def _innermost_own(frames: tuple[Frame, ...]) -> Frame | None:
    """Leaves out what stands before the first library: it started the server, and is everywhere."""
    called = next((place for place, frame in enumerate(frames) if not frame.own), 0)
    own = [frame for frame in frames[called:] if frame.own and frame.function != "<module>"]
    return own[-1] if own else None


def _package(frame: Frame) -> str:
    """`asyncpg` of `asyncpg/connection.py`, `selectors` of `selectors.py`."""
    return frame.file.partition("/")[0].removesuffix(".py").strip("<>")


def _most(within: Counter[str], count: int) -> str:
    package, most = next(iter(within.most_common(1)), ("", 0))
    return package if most > MOSTLY * count else ""


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
