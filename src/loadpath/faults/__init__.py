"""What can be done to a running service and its dependencies, how it is undone, and the proof that
it took effect. One kind of fault a file; `registry.FAULTS` lists them.

**Use.** A fault is frozen data, made by `parse_fault` from what the command line says or by its
class; `fault.name` is what `parse_fault` takes back.

    fault = check(parse_fault("database killed, for 2s"), setup, tapped=True, root=False)
    stage = Stage(deployment, guard=guard, taps=taps, emit=emit)
    async with inject(fault, stage) as injection:       # its onset
        ...                                             # drive load
        await injection.heal()                          # or by leaving the context
        ...                                             # watch it recover
        hits = await injection.hits()                   # count 0: it hit nothing, and says nothing

An `Injection` may also be driven by hand: `prepare` (before the control run), `onset`, `heal`,
`clean_up` in a `finally`. `onset_s` and `healed_s` are monotonic, as all times in a recording.
`onset` returns once the fault is in effect; `heal` once everything could work again (a killed
dependency serves, a service that was killed answers). Both raise `LoadpathError` when that does not
come about; a service that is not back raises `WouldNotRunError` from `heal`, and what follows
needs a new deployment.

**When.** `fault.trigger` says it. `at_s`, `at_rate_per_s` and `after` are for whoever injects:
`is_due` decides; `for_s` is how long until `heal`. `nth`, `first` and `probability` choose among
what passes a tap, and are obeyed there.

**What it reaches.** `check` names the target and raises `ConfigurationError` for what cannot be
done to a setup; `refusal` says the same as a sentence. What is given by URL is used by others too:
no fault reaches it but through the service's own tap before it. Faults of a tap cover connections
that are open and new ones; those that a unit's fault cannot read are counted in `Hits.uncovered`.

**What is left.** Nothing: `clean_up` undoes what `heal` did not, also after an onset that failed
half-way and on Ctrl-C. Whatever ends Loadpath itself, the guard process continues what was stopped,
ends what was started and unmounts what was mounted, and the taps and sessions that hold a lock end
with Loadpath. What a fault makes a part do is let happen (`Deployment.let_end`), so
`Deployment.raise_if_died` goes on to tell of deaths that nobody ordered.

**What there is.** `rows` has a row for every kind, for `--list-faults`; `FAULTS` are the classes.

**Who restarts.** A dependency that was ended is started again by `heal`, at its port and on the
data that it left. The service is started again a second after it was ended, as its supervisor
would; its workers are the business of its own.
"""

from loadpath.faults.explain import aimed, check, refusal
from loadpath.faults.fault import Fault, Hits, Layer, Needs
from loadpath.faults.injection import Injection, inject
from loadpath.faults.language import parse_fault
from loadpath.faults.listing import Row, rows
from loadpath.faults.registry import FAULTS
from loadpath.faults.stage import Stage
from loadpath.faults.trigger import Trigger, is_due

__all__ = [
    "FAULTS",
    "Fault",
    "Hits",
    "Injection",
    "Layer",
    "Needs",
    "Row",
    "Stage",
    "Trigger",
    "aimed",
    "check",
    "inject",
    "is_due",
    "parse_fault",
    "refusal",
    "rows",
]
