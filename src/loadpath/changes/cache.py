"""`cache GET /{code} 30s`: replies of an operation kept before the service."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadpath.changes.change import ChangeError, NotAppliedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.hits import hit_ratio
from loadpath.changes.slower import duration
from loadpath.changes.steps import program_of, replaced
from loadpath.changes.words import Known, Words
from loadpath.model.network import Maybe, Model, Serve, Step
from loadpath.spec import KeySet, OpenArrivals, Operation, Setup
from loadpath.spec.fields import KeyField, split_fields
from loadpath.spec.workload import SAFE_METHODS


class Cache(msgspec.Struct, frozen=True):
    """Replies to `operation` are given again for `ttl_s`, to `hit_ratio` of its requests.

    `given`: the hit ratio was said by the user; else it follows from the keys and the rate.
    """

    operation: str
    ttl_s: float
    hit_ratio: float
    given: bool = False

    @property
    def title(self) -> str:
        """`cache GET /{code} 30s hits 91%`."""
        hits = f"hits {self.hit_ratio * 100:.3g}%"
        return f"cache {self.operation} {duration(self.ttl_s)} {hits}"

    @property
    def assumes(self) -> str:
        """Where the figure is from, and what a hit costs."""
        source = "as given" if self.given else "from the workload's keys at its own rate"
        return (
            f"{self.hit_ratio * 100:.3g} % hits ({source}); a hit never reaches this host's cores"
        )

    def predict(self, model: Model) -> Model:
        """A hit is answered before anything is done for it; what the engine does for it stays."""
        steps = program_of(model, self.operation).steps
        first = 0
        while first < len(steps) and _is_engines(steps[first], model):
            first += 1
        last = len(steps)
        while last > first and _is_engines(steps[last - 1], model):
            last -= 1
        missed = Maybe(1 - self.hit_ratio, steps[first:last])
        return replaced(model, self.operation, (*steps[:first], missed, *steps[last:]))

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: whether it may be kept at all is another question."""
        raise NotAppliedError("`loadpath ask cache` puts a cache in its place, and scores that")


def _is_engines(step: Step, model: Model) -> bool:
    return isinstance(step, Serve) and step.station == model.engine


def _read(words: Words, known: Known) -> Cache:
    words.keyword("cache")
    operation = known.operations[words.operation(known)]
    _refuse_writing(operation, words)
    ttl_s = words.duration_s("how long a reply is kept")
    if words.peek():
        words.keyword("hits")
        hits = words.share("the share of requests that find one", example="90%")
        words.end()
        return Cache(operation.name, ttl_s, hits, given=True)
    return Cache(operation.name, ttl_s, _computed(operation, ttl_s, words, known))


def _refuse_writing(operation: Operation, words: Words) -> None:
    request = operation.request
    method = operation.name.partition(" ")[0] if request is None else request.method
    if method not in SAFE_METHODS:
        said = f"{operation.name} changes something: its reply cannot be kept"
        raise words.wrong(said, len(operation.name), at=len("cache "))


def _computed(operation: Operation, ttl_s: float, words: Words, known: Known) -> float:
    """The hit ratio of the workload's own keys. Raises `ChangeError` when it has to be said."""
    workload = known.setup.workload
    arrivals = workload.arrivals
    if not isinstance(arrivals, OpenArrivals):
        raise _to_be_said("how often users come back is not known beforehand", words)
    request = operation.request
    if request is None:
        raise _to_be_said("it is a flow, whose keys are its own", words)
    text = request.path + (request.body or "")
    fields = [part for part in split_fields(text, request.keys) if not isinstance(part, str)]
    names = {field.name for field in fields if isinstance(field, KeyField)}
    if any(not isinstance(field, KeyField) for field in fields) or len(names) > 1:
        raise _to_be_said("its requests differ in more than one key", words)
    keys: KeySet | None = None
    if names:
        wanted = request.keys[names.pop()]
        keys = next(each for each in workload.key_sets if each.name == wanted)
    share = operation.weight / sum(each.weight for each in workload.operations)
    return hit_ratio(arrivals.rate_per_s * share, ttl_s, keys)


def declared_keys(operation: Operation, key_sets: Sequence[KeySet]) -> KeySet | None:
    """The one key set whose keys tell its requests apart; None: there is not exactly one."""
    request = operation.request
    if request is None:
        return None
    fields = split_fields(request.path + (request.body or ""), request.keys)
    names = {field.name for field in fields if isinstance(field, KeyField)}
    others = [f for f in fields if not isinstance(f, str | KeyField)]
    if len(names) != 1 or others:
        return None
    wanted = request.keys[names.pop()]
    return next((each for each in key_sets if each.name == wanted), None)


def _to_be_said(why: str, words: Words) -> ChangeError:
    said = f"the hit ratio has to be given, as in `hits 90%`: {why}"
    return words.wrong(said, 1, at=len(words.text))


FORM = Form(
    usage="cache OPERATION TIME [hits SHARE%]",
    says="replies are kept so long and given again",
    keyword="cache",
    claims=begins_with("cache"),
    read=_read,
)
