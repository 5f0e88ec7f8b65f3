"""What a fault is aimed at, and why it cannot be done if it cannot: pure over the setup."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.faults.fault import Fault
from loadpath.faults.language import parse_fault
from loadpath.faults.matching import kind_of
from loadpath.spec import Dependency, OpenArrivals, Setup
from loadpath.tap import SERVICE

_TITLES = {"postgres": "PostgreSQL", "valkey": "Valkey", "nats": "NATS", "http": "HTTP"}


def aimed(fault: Fault, setup: Setup) -> Fault:
    """The fault with its target named: where it names none, by what its unit is sent to.

    Raises `ConfigurationError` when no dependency, or more than one, would be it.
    """
    if fault.target:
        return fault
    match = getattr(fault, "match", "")
    kind = kind_of(match) if match else min(fault.kinds())
    names = [d.name for d in setup.service.dependencies if d.kind == kind]
    if len(names) == 1:
        return msgspec.structs.replace(fault, target=names[0])
    found = f"there are {' and '.join(names)}" if names else "there is none"
    title = _TITLES.get(kind, kind)
    raise ConfigurationError(
        f'"{fault.name}" looks like one for {title}, and of that kind {found}',
        key="--faults",
        advice=f'Say which: "{(names or ["database"])[0]} {fault.name}".',
    )


def refusal(fault: Fault, setup: Setup, *, tapped: bool, root: bool) -> str | None:
    """Why a fault whose target is named cannot be done to this setup, as a sentence; None: it can.

    `tapped`: taps stand before every dependency; `root`: Loadpath runs as root.
    """
    needs = fault.NEEDS
    target = fault.target
    if target == SERVICE:
        if not needs.service:
            kinds = " or ".join(_TITLES[kind] for kind in sorted(needs.kinds))
            return f"{fault.name}: only {kinds or 'a dependency'} can be hit by that"
    else:
        dependency = _dependency(target, setup.service.dependencies)
        if dependency is None:
            return _unknown(target, setup)
        if (needs.kinds or not needs.tap) and dependency.kind not in fault.kinds():
            kinds = " or ".join(_TITLES[kind] for kind in sorted(fault.kinds())) or "the service"
            is_a = _TITLES[dependency.kind]
            return f"{fault.name}: only {kinds} can be hit by that, and {target} is {is_a}"
        if needs.started and dependency.url is not None:
            return (
                f"{fault.name}: {target} is given by URL, and what others use too is never hit "
                "itself; faults of its tap reach this service alone"
            )
        if needs.writes and dependency.url is not None and not setup.allow_writes:
            return (
                f"{fault.name}: {target} is given by URL, and would be sent what the service did "
                "not send; say that writes may reach it: --allow-writes"
            )
    if needs.tap and not tapped:
        return f"{fault.name}: no tap stands before {target}"
    if needs.root and not root:
        return f"{fault.name}: that needs root, to mount a small file system"
    return None


def check(fault: Fault, setup: Setup, *, tapped: bool, root: bool) -> Fault:
    """The fault, aimed. Raises `ConfigurationError` when it cannot be done to this setup."""
    fault = aimed(fault, setup)
    why = refusal(fault, setup, tapped=tapped, root=root)
    if why is None and fault.trigger.after is not None:
        fault, why = _following(fault, setup, tapped=tapped, root=root)
    if why is None and fault.trigger.at_rate_per_s is not None:
        arrivals = setup.workload.arrivals
        if not isinstance(arrivals, OpenArrivals):
            why = f"{fault.name}: {arrivals.users} users have no rate that could be reached"
    if why is not None:
        raise ConfigurationError(
            why, key="--faults", advice="--list-faults says what each fault needs."
        )
    return fault


def _following(fault: Fault, setup: Setup, *, tapped: bool, root: bool) -> tuple[Fault, str | None]:
    """The fault with what it comes after aimed as well, and why it cannot if it cannot."""
    first = check(parse_fault(fault.trigger.after or ""), setup, tapped=tapped, root=root)
    if type(first).prepare is not Fault.prepare:
        return fault, f"{fault.name}: nothing can come after {first.name}, which is made beforehand"
    trigger = msgspec.structs.replace(fault.trigger, after=first.name)
    return msgspec.structs.replace(fault, trigger=trigger), None


def _dependency(name: str, dependencies: Iterable[Dependency]) -> Dependency | None:
    return next((d for d in dependencies if d.name == name), None)


def _unknown(target: str, setup: Setup) -> str:
    names = [d.name for d in setup.service.dependencies] + [SERVICE]
    near = get_close_matches(target, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no dependency {target}{hint} There are: {', '.join(names)}"
