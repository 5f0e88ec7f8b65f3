"""The workload: which operations, in what mix, on which keys, arriving how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from loadpath.spec.objective import Objective


class OpenArrivals(msgspec.Struct, frozen=True, tag="open", tag_field="kind"):
    """Requests arrive at a rate, whatever the service does about them."""

    rate_per_s: float
    process: Literal["poisson", "constant"] = "poisson"


class ClosedArrivals(msgspec.Struct, frozen=True, tag="closed", tag_field="kind"):
    """Each of `users` sends its next request `think_time_s` (mean, exponential) after a reply."""

    users: int
    think_time_s: float


IDENTITIES_MAX = 1_000_000

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that only ask (RFC 9110, section 9.2.1)."""

Arrivals: TypeAlias = OpenArrivals | ClosedArrivals


class KeySet(msgspec.Struct, frozen=True, kw_only=True):
    """A population of `count` keys and how often each is asked for.

    `zipf`: the rank-r key is asked for in proportion to r ** -exponent; ranks are scattered over
    the population (hot keys are not neighbors in an index). `latest`: the same, newest first, not
    scattered. Key number i (0-based) is written `pattern.format(n=first + i)`, or is line i of
    `file`.
    """

    name: str
    count: int
    first: int = 0
    distribution: Literal["zipf", "uniform", "latest"] = "uniform"
    exponent: float = 1.0
    pattern: str = "{n}"
    file: Path | None = None


class DeclaredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request written in the service file. `path`, `headers` and `body` may hold {fields}.

    `keys` maps a field to the name of a key set of the workload; other fields fill themselves (see
    `loadpath.spec.fields`). With `form` the body is urlencoded, and so is what fills its fields.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    form: bool = False
    keys: dict[str, str] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Something users do. Declared (`request`) or a generator flow of the workload's `flows` file.

    `weight` is its share of the mix relative to the others. `expect` are statuses that are success
    besides those below 400. `alone` says whether it may be measured by itself: an operation that
    consumes or grows what it acts on is judged within the mix only. `follow` is how many redirects
    in a row a declared request follows, on the service alone. `reads_back` makes it the check of
    whether something acknowledged of that kind still holds, as `flows` has it.
    """

    name: str
    weight: float = 1.0
    request: DeclaredRequest | None = None
    objective: Objective | None = None
    expect: tuple[int, ...] = ()
    alone: bool = True
    timeout_s: float = 10.0
    follow: int = 0
    reads_back: str | None = None


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the load engine needs to know except where to send it.

    `flows` is the file whose `@operation` generators are the operations without a `request`.
    Without `keep_alive` every request has a connection of its own.
    `assumptions` are sentences to show with every answer (say, where the key distribution is from).
    `identities` says how many simulated users there are and how often each of them acts; None: it
    does not matter who asks. With `cookies` each of them keeps those it is given.
    """

    arrivals: Arrivals
    operations: tuple[Operation, ...]
    key_sets: tuple[KeySet, ...] = ()
    flows: Path | None = None
    objective: Objective = Objective()
    connections_max: int = 256
    keep_alive: bool = True
    identities: KeySet | None = None
    cookies: bool = False
    assumptions: tuple[str, ...] = ()

    def objective_of(self, operation: Operation) -> Objective:
        """The operation's own objective, or the workload's."""
        return operation.objective or self.objective
